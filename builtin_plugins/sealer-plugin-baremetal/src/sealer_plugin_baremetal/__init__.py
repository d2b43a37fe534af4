"""Provider BAREMETAL: the hosts that are given by address."""

from __future__ import annotations

from collections.abc import Sequence

from sealer.extension import Operation, Provider, Step
from sealer.hosts import Host


class Baremetal(Provider):
    """Makes no hosts and destroys none."""

    def reconcile(self, operation: Operation) -> Sequence[Step]:
        """Nothing: the hosts are there."""
        return []

    def destroy(self, operation: Operation) -> Sequence[Step]:
        """Nothing: the hosts are not sealer's."""
        return []

    def find(self, cluster: str) -> Sequence[Host]:
        """None: what exists of a cluster is what was recorded of it."""
        return ()
