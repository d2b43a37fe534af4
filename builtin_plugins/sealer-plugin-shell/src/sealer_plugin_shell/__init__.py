"""Plugin type SHELL: runs a script on hosts."""

from __future__ import annotations

from collections.abc import Sequence

from sealer.extension import PluginType, hookimpl
from sealer_plugin_shell.shell import Shell

__all__ = ["Shell", "plugin_types"]


@hookimpl
def plugin_types() -> Sequence[type[PluginType[str]]]:
    """The type SHELL."""
    return [Shell]
