"""The runtime driver `external`: a Kubernetes that is there already, reached by a kubeconfig."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from typing import ClassVar

from sealer.errors import CommandError, HostError, RefusedError
from sealer.events import Json
from sealer.extension import (
    FIRST_MASTER,
    Effect,
    HostPaths,
    Node,
    Operation,
    Result,
    Role,
    Runtime,
    Step,
    StepContext,
)
from sealer.hosts import MASTER, Host
from sealer_plugin_kubeadm import cluster_api
from sealer_plugin_kubeadm.external.looking import given, look_at

_NOT_FOUND = 127


class External(Runtime):
    """Hosts of a cluster like this are those from which it is reached; none of its own is known or touched."""

    # It has nodes; but they are no hosts of ours, and ours are no nodes of it.
    keeps_nodes = False
    honours: ClassVar[frozenset[str] | None] = frozenset()
    schema: ClassVar[Mapping[str, Json]] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["kubeconfig"],
        "properties": {
            "kubeconfig": {
                "type": "string",
                "minLength": 1,
                "description": "The file on the operator's machine; its current context is the cluster.",
            }
        },
    }

    def install(self, operation: Operation) -> Sequence[Step]:
        """Never.

        :raises RefusedError: always.
        """
        raise _no_cluster()

    def join(self, operation: Operation) -> Sequence[Step]:
        """Never.

        :raises RefusedError: always.
        """
        raise _no_cluster()

    def forget(self, operation: Operation) -> Sequence[Step]:
        """Nothing: no host of ours is a node."""
        return []

    def clean(self, operation: Operation) -> Sequence[Step]:
        """Nothing beside our own files."""
        return []

    def upgrade(self, operation: Operation) -> Sequence[Step]:
        """Never.

        :raises RefusedError: always.
        """
        raise _no_cluster()

    def receive(self, operation: Operation) -> Sequence[Step]:
        """The kubeconfig on the hosts, when the cluster has said once more that it is the right one."""
        access = given(operation)
        # A kubeconfig that was renewed after a failure has to reach the hosts.
        inputs: dict[str, Json] = {"kubeconfig": hashlib.sha256(access.content).hexdigest()}

        def put(context: StepContext) -> None:
            data = context.operation.paths.data
            found = look_at(context, access)
            if found is None:
                raise HostError("There is no kubectl here", where=context.host.id, remedy="Install it there.")
            context.write(_kubeconfig(context.operation.paths), access.content)
            if found.identity:
                context.write(f"{data}/cluster", found.identity.encode())

        return [Step("kubeconfig", "Configure access to the cluster", Role(MASTER), put, inputs, timeout=120)]

    def nodes(self, context: StepContext) -> Sequence[Node]:
        """The nodes of the API."""
        return cluster_api.nodes(context, self.kubectl)

    def kubectl(self, context: StepContext, *arguments: str, stdin: bytes | None = None, check: bool = True) -> Result:
        """The host's kubectl, or one that an application brought."""
        try:
            line = f"{kubectl_words(context.operation.paths)} {shlex.join(arguments)}"
            return context.query(line, stdin=stdin, check=check)
        except CommandError as error:
            if error.status != _NOT_FOUND:
                raise
            raise CommandError(
                "kubectl is missing on this host", status=error.status, where=context.host.id, output=error.output
            ) from error

    def check(self, operation: Operation) -> Sequence[Step]:
        """Whether the cluster answers."""

        def ask(context: StepContext) -> None:
            self.kubectl(context, "--request-timeout=10s", "get", "--raw", "/readyz")

        return [Step("api", "The cluster's API answers", FIRST_MASTER, ask, effect=Effect.QUERY)]

    def environment(self, operation: Operation, host: Host) -> Mapping[str, str]:
        """Where kubectl and its like find the cluster."""
        return {"KUBECONFIG": _kubeconfig(operation.paths)} if host.is_master else {}


def kubectl_words(paths: HostPaths) -> str:
    """What stands before kubectl's arguments in a script, on a host that applications were installed from."""
    path = f"for bin in {shlex.quote(paths.data)}/apps/*/bin; do PATH=$PATH:$bin; done"
    return f"{path}; KUBECONFIG={shlex.quote(_kubeconfig(paths))} kubectl"


def _kubeconfig(paths: HostPaths) -> str:
    """Where it lies on the hosts."""
    return f"{paths.data}/kubeconfig"


def _no_cluster() -> RefusedError:
    return RefusedError(
        "The runtime 'external' makes no cluster",
        why="it is for applications on a Kubernetes that runs already",
        remedy="Take it out of spec.runtime, or install an application image with --kubeconfig.",
    )
