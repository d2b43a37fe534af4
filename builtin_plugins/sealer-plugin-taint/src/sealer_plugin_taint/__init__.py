"""Plugin type TAINT: taints nodes."""

from __future__ import annotations

from collections.abc import Sequence

from sealer.extension import PluginType, hookimpl
from sealer_plugin_taint.taint import Taint, Taints

__all__ = ["Taint", "plugin_types"]


@hookimpl
def plugin_types() -> Sequence[type[PluginType[Taints]]]:
    """The type TAINT."""
    return [Taint]
