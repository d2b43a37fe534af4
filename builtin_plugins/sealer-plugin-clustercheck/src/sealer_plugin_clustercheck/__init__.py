"""Plugin type CLUSTERCHECK: waits until the cluster is stable."""

from __future__ import annotations

from collections.abc import Sequence

from sealer.extension import PluginType, hookimpl
from sealer_plugin_clustercheck.check import ClusterCheck, Patience

__all__ = ["ClusterCheck", "plugin_types"]


@hookimpl
def plugin_types() -> Sequence[type[PluginType[Patience]]]:
    """The type CLUSTERCHECK."""
    return [ClusterCheck]
