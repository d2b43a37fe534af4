"""Who a step is for, when it starts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from sealer.cluster.executor import OPERATOR_HOST
from sealer.extension.operation import Operation
from sealer.extension.targets import Addresses, Group, Role, Targets
from sealer.hosts import Host

# The addresses of the nodes with a label, by the cluster's own API.
NodesLabelled = Callable[[str, str | None], frozenset[str]]


def groups(operation: Operation) -> Mapping[str, tuple[Host, ...]]:
    """The hosts of an operation by what it does to them; those not made yet are left out by whoever cannot use them."""
    first = operation.first_master
    return {
        "any": (*operation.hosts, *operation.removed),
        "all": operation.hosts,
        "added": operation.added,
        "kept": operation.kept,
        "removed": operation.removed,
        "first-master": (first,) if first else (),
        "operator": (OPERATOR_HOST,),
    }


def resolve(targets: Targets, operation: Operation, labelled: NodesLabelled) -> Sequence[Host]:
    """The hosts that `targets` means now, masters first."""
    among = groups(operation)
    if isinstance(targets, Group):
        return among[targets.name]
    within: Iterable[Host] = among[targets.within]
    if isinstance(targets, Role):
        return [host for host in within if targets.role in host.roles]
    if isinstance(targets, Addresses):
        return [host for host in within if host.id in targets.addresses]
    addresses = labelled(targets.key, targets.value)
    return [host for host in within if host.address in addresses]
