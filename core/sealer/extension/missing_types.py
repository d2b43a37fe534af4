"""Types of sealer's own that Plugin documents can name and that cannot be had here: not installed, or disabled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sealer.clusterfile.model import PluginDocument
from sealer.extension.manager import PluginManager
from sealer.extension.operation import Operation
from sealer.extension.plugin_types import PluginType
from sealer.extension.steps import Step
from sealer.phases import LABEL_PHASES, Phase
from sealer.settings import SHIPPED


class MissingType(PluginType[object]):
    """Takes any data, and does nothing: a plan goes on without it, a run is refused.

    :ivar missing: that it is missing, and what would bring it.
    """

    default_phases = tuple(phase for phase in Phase if phase in LABEL_PHASES)

    def __init__(self, name: str, missing: str) -> None:
        self.type = name  # type: ignore[misc]  # of the class, in every other type
        self.missing = missing

    def parse(self, document: PluginDocument) -> object:
        """What only the type itself could understand."""
        return None

    def steps(self, operation: Operation, phase: Phase, document: PluginDocument, parsed: object) -> Sequence[Step]:
        """Nothing is known of them."""
        return ()


def all_types(plugins: PluginManager) -> Mapping[str, PluginType[object]]:
    """The types that installed plugins offer, and those that only a package of sealer's own would.

    :raises PluginError: as :meth:`PluginManager.plugin_types`.
    """
    offered = plugins.plugin_types()
    settings = plugins.settings
    disabled = {plugin.distribution for plugin in plugins.installed if plugin.status == "disabled"}
    broken = {plugin.distribution for plugin in plugins.installed if plugin.status == "broken"}
    found: dict[str, PluginType[object]] = dict(offered)
    for lower, package in SHIPPED["type"].items():
        name = lower.upper()
        if name in offered or package in broken:  # of a broken one its own warning tells
            continue
        why = f"is disabled by {settings.disabled_by}; {settings.enable_again}"
        if package not in disabled:
            why = f"is not installed; pip install {package}"
        found[name] = MissingType(name, f"type '{name}' {why}")
    return found
