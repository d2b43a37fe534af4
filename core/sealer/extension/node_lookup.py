"""From the hosts that data names to the nodes that the cluster knows them by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sealer.errors import CommandError
from sealer.extension.context import StepContext
from sealer.extension.operation import Node, Operation
from sealer.extension.targets import within
from sealer.hosts import Host
from sealer.phases import Phase


def hosts_of(phase: Phase, operation: Operation) -> tuple[Host, ...]:
    """The hosts that a phase is about: those that come, those that go, or all where an installation is."""
    return {"added": operation.added, "removed": operation.removed}.get(within(phase), operation.hosts)


def nodes_by_address(context: StepContext, addresses: Iterable[str]) -> Mapping[str, Node]:
    """The nodes of some hosts, as the cluster itself has them.

    :raises CommandError: one of the hosts is no node.
    """
    nodes = {node.address: node for node in context.nodes()}
    wanted = sorted(addresses)
    if missing := [address for address in wanted if address not in nodes]:
        raise CommandError(
            f"{', '.join(missing)}: no node of the cluster has this address",
            status=1,
            where=context.host.id,
            remedy="see `sealer kubectl -- get nodes -o wide`; the address of a node is its InternalIP",
        )
    return {address: nodes[address] for address in wanted}


def nodes_that_leave(context: StepContext, addresses: Iterable[str]) -> Mapping[str, Node]:
    """The nodes of some hosts that leave: those that never became one, and a cluster that is gone, are passed over.

    :raises CommandError: the cluster does not answer, and some host stays.
    """
    try:
        nodes = context.nodes()
    except CommandError as error:
        if context.operation.hosts:
            raise
        context.warn(f"the cluster does not answer, and nothing is done to its nodes: {error.what}")
        return {}
    wanted = set(addresses)
    return {node.address: node for node in nodes if node.address in wanted}
