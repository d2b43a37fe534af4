"""On which hosts the registry runs: the first master, or with `ha` all of them."""

from __future__ import annotations

from dataclasses import dataclass

from sealer.extension import Operation
from sealer.hosts import Host


@dataclass(frozen=True)
class Seats:
    """Where the registry runs when an operation has ended, and where it did before.

    :param after: the hosts; empty where none of ours is asked for, or the cluster goes.
    :param before: the hosts that it runs on already; their registries hold what was published.
    """

    after: tuple[Host, ...]
    before: tuple[Host, ...]

    @property
    def new(self) -> tuple[Host, ...]:
        """Where it has to be started and filled."""
        known = {host.address for host in self.before}
        return tuple(host for host in self.after if host.address not in known)

    @property
    def stay(self) -> tuple[Host, ...]:
        """Where it runs already, and goes on."""
        known = {host.address for host in self.before}
        return tuple(host for host in self.after if host.address in known)

    @property
    def moved(self) -> bool:
        """Whether hosts that were set up have to be told of another address."""
        return bool(self.before) and [host.address for host in self.before] != [host.address for host in self.after]


def seats(operation: Operation) -> Seats:
    """Where the registry runs, by the order in which the masters came to the cluster."""
    registry = operation.spec.registry
    if registry.external is not None and registry.local == type(registry.local)():
        return Seats((), ())
    many = registry.local.ha
    members = [entry.host for entry in operation.recorded.hosts if entry.member] if operation.recorded else []
    known = [host for host in members if host.is_master] if operation.kind != "create" else []
    # A host as the operation has it knows how to be reached now.
    now = {host.address: host for host in (*operation.masters, *operation.removed)}
    before = [now.get(host.address, host) for host in known]
    leaving = {host.address for host in operation.removed}
    stay = [host for host in before if host.address not in leaving]
    come = [host for host in operation.masters if host.address not in {other.address for other in stay}]
    after = (*stay, *come)
    return Seats(tuple(after if many else after[:1]), tuple(before if many else before[:1]))
