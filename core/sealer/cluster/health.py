"""What a look at a cluster has shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sealer.errors import HostError, SealerError
from sealer.extension.operation import Node
from sealer.hosts import Host

Condition = Literal["well", "warning", "failed", "unknown"]


@dataclass(frozen=True)
class Finding:
    """What came of one check on one host.

    :param check: id of the check, `phase/plugin/step`.
    :param title: what is true of a healthy cluster.
    :param host: id of the host, `operator`, or empty: the cluster as a whole.
    :param state: `warning`: it holds, with a reservation; `unknown`: nobody could be asked.
    :param error: what is wrong, or why it is not known; None: nothing.
    :param notes: what the check warned of.
    """

    check: str
    plugin: str
    title: str
    host: str
    state: Condition
    error: SealerError | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Health:
    """All findings about a cluster, and what hosts and its API said.

    :param reached: by host id; True: it answered and is the machine it was. Hosts that were not asked are missing.
    :param lost: by host id why it was not reached.
    :param nodes: as the cluster's own API has them; None: nobody answered for it.
    :param keeps_nodes: whether there is such an API.
    :param off: by id, the hosts that their provider made and that are switched off.
    """

    cluster: str
    findings: tuple[Finding, ...]
    reached: Mapping[str, bool] = field(default_factory=dict)
    lost: Mapping[str, str] = field(default_factory=dict)
    nodes: tuple[Node, ...] | None = None
    keeps_nodes: bool = True
    off: tuple[str, ...] = ()

    @property
    def well(self) -> bool:
        """Whether every check could be made, and found nothing wrong."""
        return all(finding.state in ("well", "warning") for finding in self.findings)


def of_nodes(nodes: Sequence[Node] | None, hosts: Sequence[Host], why_unknown: str) -> list[Finding]:
    """Whether each host is a node that is ready, and each node a host.

    :param nodes: None: nobody answered.
    :param hosts: the members of the cluster.
    :param why_unknown: why there is no answer.
    """
    check, title = "Nodes/kernel/ready", "Its node is ready"
    if nodes is None:
        return [
            Finding(check, "kernel", title, host.id, "unknown", HostError("Not known", where=host.id, why=why_unknown))
            for host in hosts
        ]
    by_address = {node.address: node for node in nodes}
    found = []
    for host in hosts:
        error = _unready(host, by_address.get(host.address))
        found.append(Finding(check, "kernel", title, host.id, "failed" if error else "well", error))
    return [*found, *_strangers(nodes, {host.address for host in hosts})]


def _unready(host: Host, node: Node | None) -> SealerError | None:
    if node is None:
        option = f"{'-m' if host.is_master else '-n'} {host.address}"
        return HostError(
            "It is no node of the cluster",
            where=host.id,
            remedy=f"Remove the host and add it again: `sealer delete {option} --force`, then "
            f"`sealer scale-up {option}`.",
        )
    if node.ready:
        return None
    return HostError(
        f"The node {node.name} is not ready",
        where=host.id,
        why=node.reason,
        remedy=f"See `sealer kubectl describe node {node.name}`, and the logs of its services on the host.",
    )


def _strangers(nodes: Sequence[Node], addresses: set[str]) -> list[Finding]:
    return [
        Finding(
            "Nodes/kernel/known",
            "kernel",
            "Every node is a host of ours",
            node.address,
            "failed",
            HostError(
                f"The node {node.name} is no host that sealer recorded",
                where=node.address or node.name,
                remedy=f"If it is not wanted: `sealer kubectl delete node {node.name}`.",
            ),
        )
        for node in nodes
        if node.address not in addresses
    ]
