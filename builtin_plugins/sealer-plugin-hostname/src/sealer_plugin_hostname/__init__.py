"""Plugin type HOSTNAME: gives hosts their names, and gives the old ones back when they leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sealer.extension import Operation, PluginType, Step, hookimpl
from sealer_plugin_hostname.hostname import Hostname
from sealer_plugin_hostname.renaming import give_back

__all__ = ["Hostname", "plugin_types", "post_clean"]


@hookimpl
def plugin_types() -> Sequence[type[PluginType[Mapping[str, str]]]]:
    """The type HOSTNAME."""
    return [Hostname]


@hookimpl
def post_clean(operation: Operation) -> Sequence[Step]:
    """Hosts that leave a cluster whose documents named hosts get their old names back."""
    known = operation.recorded.clusterfile.plugins if operation.recorded else ()
    if all(document.type != Hostname.type for document in (*known, *operation.desired.plugins)):
        return []
    return [give_back()]
