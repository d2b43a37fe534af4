"""Runtime standalone: hosts and their scripts, without a control plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from sealer.errors import CommandError
from sealer.extension import Node, Operation, Result, Runtime, Step, StepContext
from sealer.hosts import Host

ROLE_LABEL = "node-role.kubernetes.io/"
NOT_FOUND = 127  # what a shell says of a command that is not there


class Standalone(Runtime):
    """The image's scripts are all there is; the kernel runs them for every runtime."""

    keeps_nodes = False
    honours: ClassVar[frozenset[str] | None] = frozenset({"spec.hosts.labels"})  # `on` chooses by them

    def install(self, operation: Operation) -> Sequence[Step]:
        """Nothing beyond the image's scripts."""
        return []

    def join(self, operation: Operation) -> Sequence[Step]:
        """Nothing beyond the image's scripts."""
        return []

    def forget(self, operation: Operation) -> Sequence[Step]:
        """Nothing: nobody keeps a list of nodes."""
        return []

    def clean(self, operation: Operation) -> Sequence[Step]:
        """Nothing beyond the image's scripts."""
        return []

    def upgrade(self, operation: Operation) -> Sequence[Step]:
        """Nothing beyond the image's scripts."""
        return []

    def nodes(self, context: StepContext) -> Sequence[Node]:
        """The hosts that the operation leaves in the cluster, and those that it removes while they are still there."""
        operation = context.operation
        return [_node(host, operation.names) for host in (*operation.hosts, *operation.removed)]

    def kubectl(self, context: StepContext, *arguments: str, stdin: bytes | None = None, check: bool = True) -> Result:
        """Always an error: there is no API server to talk to.

        :raises CommandError: always.
        """
        raise CommandError(
            "kubectl needs a cluster of Kubernetes, and the runtime 'standalone' has none",
            status=NOT_FOUND,
            where=context.host.id,
            remedy="use an image with another runtime, or name one in spec.runtime",
        )


def _node(host: Host, names: Mapping[str, str]) -> Node:
    roles = {f"{ROLE_LABEL}{role}": "" for role in host.roles}
    return Node(names.get(host.address, host.address), host.address, True, {**roles, **host.labels})
