"""The phases of a cluster's life at which plugins may act."""

from __future__ import annotations

import enum


class Phase(enum.StrEnum):
    """The seven lifecycle phases, by the names users write in `spec.action`."""

    PRE_INIT = "PreInit"
    PRE_JOIN = "PreJoin"
    POST_JOIN = "PostJoin"
    PRE_GUEST = "PreGuest"
    POST_INSTALL = "PostInstall"
    PRE_CLEAN = "PreClean"
    POST_CLEAN = "PostClean"

    @property
    def hook(self) -> str:
        """The name of the hook that is called in this phase, e.g. `pre_init`."""
        return self.name.lower()


# Where the cluster's API answers, so that a node label can be resolved.
LABEL_PHASES = frozenset({Phase.PRE_GUEST, Phase.POST_INSTALL, Phase.POST_JOIN, Phase.PRE_CLEAN})
# Phases that belong to the installation: a later apply does not run them.
INSTALL_PHASES = frozenset({Phase.PRE_INIT, Phase.PRE_GUEST, Phase.POST_INSTALL})
# Phases that are about hosts that leave.
CLEANING_PHASES = frozenset({Phase.PRE_CLEAN, Phase.POST_CLEAN})
