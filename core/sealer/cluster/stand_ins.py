"""What stands for a driver that cannot be had, or is not needed, while a plan is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from sealer.errors import MissingDriverError
from sealer.extension.context import Result, StepContext
from sealer.extension.drivers import Provider, Registry, Runtime, Transport
from sealer.extension.operation import Node, Operation
from sealer.extension.steps import Step
from sealer.extension.transport import Connection
from sealer.hosts import Host


class NoProvider(Provider):
    """Makes no hosts."""

    def reconcile(self, operation: Operation) -> Sequence[Step]:
        """Nothing is known of it."""
        return ()

    def destroy(self, operation: Operation) -> Sequence[Step]:
        """Nothing is known of it."""
        return ()

    def find(self, cluster: str) -> Sequence[Host]:
        """None."""
        return ()


class NoTransport(Transport):
    """Leads nowhere: what a host says of itself cannot be read."""

    def connect(self, host: Host) -> Connection:
        """Never."""
        _missing("transport")


class NoRegistry(Registry):
    """Holds nothing."""

    def deploy(self, operation: Operation) -> Sequence[Step]:
        """Nothing is known of it."""
        return ()

    def publish(self, operation: Operation) -> Sequence[Step]:
        """Nothing is known of it."""
        return ()

    def trust(self, operation: Operation) -> Sequence[Step]:
        """Nothing is known of it."""
        return ()

    def remove(self, operation: Operation) -> Sequence[Step]:
        """Nothing is known of it."""
        return ()


class NoRuntime(Runtime):
    """Has no nodes."""

    keeps_nodes = False

    def install(self, operation: Operation) -> Sequence[Step]:
        """Nothing is known of it."""
        return ()

    def join(self, operation: Operation) -> Sequence[Step]:
        """Nothing is known of it."""
        return ()

    def forget(self, operation: Operation) -> Sequence[Step]:
        """Nothing is known of it."""
        return ()

    def clean(self, operation: Operation) -> Sequence[Step]:
        """Nothing is known of it."""
        return ()

    def upgrade(self, operation: Operation) -> Sequence[Step]:
        """Nothing is known of it."""
        return ()

    def nodes(self, context: StepContext) -> Sequence[Node]:
        """Never."""
        _missing("runtime")

    def kubectl(self, context: StepContext, *arguments: str, stdin: bytes | None = None, check: bool = True) -> Result:
        """Never."""
        _missing("runtime")


def _missing(kind: str) -> NoReturn:
    raise MissingDriverError(f"the {kind} of this cluster is not installed")
