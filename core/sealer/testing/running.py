"""Runs steps one by one over made-up hosts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sealer.extension.operation import Node, Operation
from sealer.extension.steps import Step
from sealer.extension.targets import Addresses, Group, Labelled, Role, Targets
from sealer.hosts import Host
from sealer.testing.answers import Answers
from sealer.testing.context import Call, FactValues, RecordedContext


@dataclass
class Recording:
    """What steps did, in order."""

    calls: list[Call] = field(default_factory=list)
    facts: FactValues = field(default_factory=dict)
    hosts: dict[str, list[str]] = field(default_factory=dict)

    def scripts(self, host: str = "") -> list[str]:
        """The scripts that ran, everywhere or on one host."""
        return [call.text for call in self.calls if call.what in ("sh", "query") and host in ("", call.host)]

    def written(self, host: str) -> dict[str, bytes]:
        """The files that were written on a host, by path."""
        return {call.text: call.content for call in self.calls if call.what == "write" and call.host == host}

    def messages(self) -> list[str]:
        """What was logged and warned of."""
        return [call.text for call in self.calls if call.what in ("log", "warn")]


def run_steps(
    steps: Sequence[Step],
    operation: Operation,
    *,
    answers: Answers | None = None,
    environment: Callable[[Host], Mapping[str, str]] = lambda host: {},
    nodes: Sequence[Node] = (),
    facts: FactValues | None = None,
) -> Recording:
    """Run `steps` in the order of the list, each over its hosts one after the other.

    :param answers: what the hosts answer; without it every script succeeds and prints nothing.
    :param nodes: for targets by label.
    :param facts: known before the first step.
    :raises SealerError: what a step raised.
    """
    recording = Recording(facts=dict(facts or {}))
    for step in steps:
        hosts = hosts_of(step.on, operation, nodes)
        recording.hosts[step.id] = [host.id for host in hosts]
        for host in hosts:
            context = RecordedContext(
                operation,
                host,
                answers=answers,
                environment=environment(host),
                step=step,
                calls=recording.calls,
                facts=recording.facts,
            )
            step.run(context)
    return recording


def hosts_of(targets: Targets, operation: Operation, nodes: Sequence[Node] = ()) -> tuple[Host, ...]:
    """The hosts that a step runs on; for the operator one without an address."""
    if isinstance(targets, Group):
        return _group(targets.name, operation)
    candidates = _group(targets.within, operation)
    if isinstance(targets, Role):
        return tuple(host for host in candidates if targets.role in host.roles)
    if isinstance(targets, Addresses):
        return tuple(host for host in candidates if host.address in targets.addresses)
    labelled = {node.address for node in nodes if _has(node, targets)}
    return tuple(host for host in candidates if host.address in labelled)


def _has(node: Node, targets: Labelled) -> bool:
    return targets.key in node.labels and targets.value in (None, node.labels[targets.key])


def _group(name: str, operation: Operation) -> tuple[Host, ...]:
    first = operation.first_master
    groups: Mapping[str, tuple[Host, ...]] = {
        "operator": (Host("", placeholder="operator"),),
        "all": operation.hosts,
        "added": operation.added,
        "kept": operation.kept,
        "removed": operation.removed,
        "any": (*operation.hosts, *operation.removed),
        "first-master": (first,) if first else (),
    }
    return groups[name]
