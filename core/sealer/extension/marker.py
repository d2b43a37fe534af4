"""The two markers of pluggy, under sealer's name."""

import pluggy

PROJECT = "sealer"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
