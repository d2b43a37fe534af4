"""Plugin type LABEL: labels nodes."""

from __future__ import annotations

from collections.abc import Sequence

from sealer.extension import PluginType, hookimpl
from sealer_plugin_label.label import Label, Labels

__all__ = ["Label", "plugin_types"]


@hookimpl
def plugin_types() -> Sequence[type[PluginType[Labels]]]:
    """The type LABEL."""
    return [Label]
