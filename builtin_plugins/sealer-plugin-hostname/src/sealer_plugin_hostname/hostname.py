"""The type HOSTNAME."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sealer.clusterfile.model import PluginDocument
from sealer.extension import Addresses, Operation, PluginType, Step, StepContext, hosts_of, within
from sealer.phases import Phase
from sealer_plugin_hostname.names import parse_names
from sealer_plugin_hostname.renaming import rename


class Hostname(PluginType[Mapping[str, str]]):
    """Gives hosts their names."""

    type = "HOSTNAME"
    default_phases = (Phase.PRE_INIT, Phase.PRE_JOIN)
    phases = frozenset(Phase) - {Phase.PRE_CLEAN, Phase.POST_CLEAN}  # who leaves needs no new name
    joining = Phase.PRE_JOIN

    def parse(self, document: PluginDocument) -> Mapping[str, str]:
        """The names by address.

        :raises InputError: with every line that is wrong.
        """
        return parse_names(document)

    def steps(
        self, operation: Operation, phase: Phase, document: PluginDocument, parsed: Mapping[str, str]
    ) -> Sequence[Step]:
        """One step, on the hosts of this phase that have a name in the data."""
        names = {host.address: parsed[host.address] for host in hosts_of(phase, operation) if host.address in parsed}
        if not names:
            return []

        def run(context: StepContext) -> None:
            rename(context, names[context.host.address])

        return [
            Step(
                "hostname",
                "Set host names",
                Addresses(frozenset(names), within(phase)),
                run,
                inputs={"names": dict(names)},
            )
        ]

    def addresses(self, parsed: Mapping[str, str]) -> frozenset[str]:
        """The hosts that get a name."""
        return frozenset(parsed)

    def host_names(self, parsed: Mapping[str, str]) -> Mapping[str, str]:
        """The names, by address."""
        return parsed
