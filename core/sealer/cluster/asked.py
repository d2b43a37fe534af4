"""A recorded cluster that is asked something: nothing is recorded, no lock is taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sealer.cluster.cancellation import Cancellation
from sealer.cluster.connections import Connections
from sealer.cluster.environment import environment
from sealer.cluster.executor import Surroundings
from sealer.cluster.facts import Facts
from sealer.cluster.hosts_of import resolve
from sealer.cluster.journal import Journal
from sealer.cluster.ownership import Ownership
from sealer.cluster.stages import Drivers
from sealer.events import EventStream
from sealer.extension.operation import Operation
from sealer.hosts import Host


@dataclass(frozen=True)
class Asked:
    """A cluster as recorded, and the ways to it.

    :param operation: which cluster; all of its hosts are kept.
    :param parallel: how many hosts are asked at once.
    :param clusters: directory of the home's records.
    """

    operation: Operation
    drivers: Drivers
    connections: Connections
    cancellation: Cancellation
    parallel: int
    clusters: Path

    @property
    def ownership(self) -> Ownership:
        """What tells the cluster's own hosts from those of others."""
        return Ownership.of(self.operation.cluster, self.operation.recorded, self.clusters)

    def environment_of(self, host: Host) -> Mapping[str, str]:
        """What is exported on a host."""
        name = self.operation.names.get(host.address, "")
        return environment(self.operation, host, name, self.drivers.runtime.environment(self.operation, host))

    def surroundings(self, events: EventStream) -> Surroundings:
        """What an executor works with, for steps that only query: they are never recorded."""
        return Surroundings(
            operation=self.operation,
            journal=Journal(Path("/nonexistent")),
            key=b"",
            facts=Facts(),
            connections=self.connections,
            events=events,
            cancellation=self.cancellation,
            parallel=self.parallel,
            hosts_of=lambda planned: resolve(planned.step.on, self.operation, lambda key, value: frozenset()),
            environment_of=self.environment_of,
            runtime=self.drivers.runtime,
        )
