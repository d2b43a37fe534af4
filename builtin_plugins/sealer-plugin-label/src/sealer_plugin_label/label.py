"""The type LABEL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sealer.clusterfile.host_lines import host_lines
from sealer.clusterfile.kubernetes_names import wrong_label_key, wrong_label_value
from sealer.clusterfile.model import PluginDocument
from sealer.errors import InputError, Problem
from sealer.events import Json
from sealer.extension import (
    FIRST_MASTER,
    Node,
    Operation,
    PluginType,
    Step,
    StepContext,
    hosts_of,
    nodes_by_address,
    nodes_that_leave,
)
from sealer.phases import LABEL_PHASES, Phase

# For each address the labels by key; None: it is taken away.
Labels = Mapping[str, Mapping[str, str | None]]
FORM = "ips key=value,key2=value2"


class Label(PluginType[Labels]):
    """Labels nodes, and takes labels away."""

    type = "LABEL"
    default_phases = (Phase.PRE_GUEST, Phase.POST_JOIN)
    phases = LABEL_PHASES
    joining = Phase.POST_JOIN

    def parse(self, document: PluginDocument) -> Labels:
        """The labels by address.

        :raises InputError: with every line that is wrong.
        """
        found: dict[str, dict[str, str | None]] = {}
        said: dict[tuple[str, str], int] = {}
        problems: list[Problem] = []
        for line in host_lines(document, FORM, _wrong):
            for word in line.words:
                key, value = _parsed(word.text)
                for address in line.addresses:
                    before = said.setdefault((address, key), word.line)
                    if found.setdefault(address, {}).setdefault(key, value) != value:
                        at = document.at(before).line
                        message = f"'{address}' has another '{key}' already, in line {at}"
                        problems.append(document.problem(message, word.line, word.column))
        if problems:
            raise InputError("the LABEL plugin is not right", problems=problems)
        return found

    def steps(self, operation: Operation, phase: Phase, document: PluginDocument, parsed: Labels) -> Sequence[Step]:
        """One step on the first master, about the hosts of this phase that the data names."""
        about = [host.address for host in hosts_of(phase, operation)]
        wanted = {address: dict(parsed[address]) for address in about if address in parsed}
        if not wanted:
            return []

        def run(context: StepContext) -> None:
            label(context, wanted, leaving=phase is Phase.PRE_CLEAN)

        inputs: dict[str, Json] = {address: {**labels} for address, labels in wanted.items()}
        return [Step("label", "Label the nodes", FIRST_MASTER, run, inputs={"labels": inputs})]

    def addresses(self, parsed: Labels) -> frozenset[str]:
        """The hosts that get labels."""
        return frozenset(parsed)


def label(context: StepContext, wanted: Labels, *, leaving: bool = False) -> None:
    """Give nodes their labels; what a node has already is left alone.

    :param leaving: the hosts are about to go: where they are no nodes, nothing is to be done.
    :raises CommandError: a host is no node, or the cluster refuses.
    """
    find = nodes_that_leave if leaving else nodes_by_address
    for address, node in find(context, wanted).items():
        if changes := _changes(node, wanted[address]):
            context.kubectl("label", "node", node.name, "--overwrite", *changes)
            context.log(f"{node.name}: {', '.join(changes)}")


def _changes(node: Node, labels: Mapping[str, str | None]) -> list[str]:
    """What kubectl is told."""
    given = [f"{key}={value}" for key, value in labels.items() if value is not None and node.labels.get(key) != value]
    taken = [f"{key}-" for key, value in labels.items() if value is None and key in node.labels]
    return given + taken


def _parsed(word: str) -> tuple[str, str | None]:
    key, equals, value = word.partition("=")
    return (key, value) if equals else (word.removesuffix("-"), None)


def _wrong(word: str) -> str:
    """What is wrong with `key=value` or `key-`; empty if nothing."""
    key, equals, value = word.partition("=")
    if not equals:
        if not word.endswith("-"):
            return f"'{word}' has no value: write '{word}=', or '{word}-' to remove the label"
        return wrong_label_key(word.removesuffix("-"))
    return wrong_label_key(key) or wrong_label_value(value)
