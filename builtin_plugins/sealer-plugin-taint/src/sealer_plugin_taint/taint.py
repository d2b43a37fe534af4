"""The type TAINT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sealer.clusterfile.host_lines import host_lines
from sealer.clusterfile.model import PluginDocument
from sealer.documents import load_json
from sealer.events import Json
from sealer.extension import (
    FIRST_MASTER,
    Operation,
    PluginType,
    Step,
    StepContext,
    hosts_of,
    nodes_by_address,
    nodes_that_leave,
)
from sealer.phases import LABEL_PHASES, Phase
from sealer_plugin_taint.rules import NodeTaint, Rule, changes, wrong_rule

# For each address what is asked of its node, in the order written.
Taints = Mapping[str, Sequence[Rule]]
FORM = "ips key=value:Effect"


class Taint(PluginType[Taints]):
    """Taints nodes, and takes taints away."""

    type = "TAINT"
    default_phases = (Phase.PRE_GUEST, Phase.POST_JOIN)
    phases = LABEL_PHASES
    joining = Phase.POST_JOIN

    def parse(self, document: PluginDocument) -> Taints:
        """The rules by address.

        :raises InputError: with every line that is wrong.
        """
        found: dict[str, list[Rule]] = {}
        for line in host_lines(document, FORM, wrong_rule):
            for address in line.addresses:
                found.setdefault(address, []).extend(Rule.parse(word.text) for word in line.words)
        return found

    def steps(self, operation: Operation, phase: Phase, document: PluginDocument, parsed: Taints) -> Sequence[Step]:
        """One step on the first master, about the hosts of this phase that the data names."""
        about = [host.address for host in hosts_of(phase, operation)]
        wanted = {address: parsed[address] for address in about if address in parsed}
        if not wanted:
            return []

        def run(context: StepContext) -> None:
            taint(context, wanted, leaving=phase is Phase.PRE_CLEAN)

        inputs: dict[str, Json] = {address: [str(rule) for rule in rules] for address, rules in wanted.items()}
        return [Step("taint", "Taint the nodes", FIRST_MASTER, run, inputs={"taints": inputs})]

    def addresses(self, parsed: Taints) -> frozenset[str]:
        """The hosts that are tainted."""
        return frozenset(parsed)


def taint(context: StepContext, wanted: Taints, *, leaving: bool = False) -> None:
    """Bring the taints of nodes to what is wanted; what is so already is left alone.

    :param leaving: the hosts are about to go: where they are no nodes, nothing is to be done.
    :raises CommandError: a host is no node, or the cluster refuses.
    """
    find = nodes_that_leave if leaving else nodes_by_address
    nodes = find(context, wanted)
    if not nodes:
        return
    found = load_json(context.kubectl("get", "nodes", "-o", "json").stdout)
    have = {entry["metadata"]["name"]: _taints(entry) for entry in found["items"]}
    for address, node in nodes.items():
        if asked := changes(wanted[address], have.get(node.name, ())):
            context.kubectl("taint", "node", node.name, "--overwrite", *asked)
            context.log(f"{node.name}: {', '.join(asked)}")


def _taints(node: Mapping[str, Mapping[str, object]]) -> list[NodeTaint]:
    entries = node.get("spec", {}).get("taints") or []
    assert isinstance(entries, list)  # by the API of Kubernetes
    return [NodeTaint(entry["key"], entry.get("value", ""), entry["effect"]) for entry in entries]
