"""The runtime driver `kubeadm`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from sealer.errors import RefusedError
from sealer.events import EventStream, Json
from sealer.extension import RUNTIME_FIELDS, Addresses, Node, Operation, Result, Runtime, Step, StepContext
from sealer.hosts import Host
from sealer.settings import Settings
from sealer_plugin_kubeadm import (
    access,
    cluster_api,
    configuration,
    endpoint,
    health,
    images,
    leave,
    marks,
    network,
    readiness,
    rotation,
)
from sealer_plugin_kubeadm.install import Installation
from sealer_plugin_kubeadm.options import SCHEMA, Options
from sealer_plugin_kubeadm.places import ADMIN
from sealer_plugin_kubeadm.probing import probe


class Kubeadm(Runtime):
    """Kubernetes, set up by kubeadm."""

    schema: ClassVar[Mapping[str, Json]] = SCHEMA
    takes_kubeadm: ClassVar[bool] = True
    honours: ClassVar[frozenset[str] | None] = RUNTIME_FIELDS

    def __init__(self, settings: Settings, events: EventStream, options: Mapping[str, Json]) -> None:
        super().__init__(settings, events, options)
        self._told: set[str] = set()

    def install(self, operation: Operation) -> Sequence[Step]:
        """The first master, then further masters one by one and nodes beside them, each with its network."""
        return self._coming(operation)

    def join(self, operation: Operation) -> Sequence[Step]:
        """The same, with a master that is there.

        :raises RefusedError: none of them answers.
        """
        first = operation.first_master
        if first is not None and first in operation.kept and first.id in operation.unreachable:
            raise RefusedError(
                f"No master of '{operation.cluster}' answers, and hosts join through one",
                remedy="See that one of them can be reached over SSH, and run the same command again.",
            )
        return self._coming(operation)

    def forget(self, operation: Operation) -> Sequence[Step]:
        """Hosts are drained, taken out of etcd and deleted."""
        return leave.forget(operation)

    def clean(self, operation: Operation) -> Sequence[Step]:
        """What the runtime put on hosts beside the image's scripts, and in the user's kubeconfig."""
        steps = list(leave.clean(operation, self._credentials))
        return [*steps, access.take_back(operation, self._credentials)] if operation.kind == "delete" else steps

    def upgrade(self, operation: Operation) -> Sequence[Step]:
        """Nothing yet: the kernel plans no upgrade."""
        return []

    def update(self, operation: Operation) -> Sequence[Step]:
        """Hosts that stay learn which masters and pods there are, and get the labels and taints that changed.

        :raises RefusedError: a master is to be a node, or the other way round.
        """
        first, kept = operation.first_master, operation.kept
        if first is None or first not in kept:
            return []
        if host := marks.changed_base_role(operation):
            raise RefusedError(
                f"{host.address} cannot change between master and node",
                remedy="Take the host out of the cluster, and add it again in its new role.",
            )
        installation = Installation(operation, self._options, self._credentials)
        addresses = frozenset(host.id for host in kept)
        settled = endpoint.settle("balance", "Update the masters on each host", operation, Addresses(addresses, "kept"))
        renewed = installation.names([host for host in kept if host.is_master])
        steps = [settled, *([] if operation.added else [probe(addresses)]), renewed]
        if not operation.added:  # those that come are told of together with all others
            steps += [*network.steps(operation), access.give("kubeconfig", operation, self._options, self._credentials)]
        return [*steps, *marks.steps("marks", operation, kept)]

    def check(self, operation: Operation) -> Sequence[Step]:
        """The kubelet of each host runs."""
        return health.steps(operation)

    def nodes(self, context: StepContext) -> Sequence[Node]:
        """The nodes of the API."""
        return cluster_api.nodes(context)

    def kubectl(self, context: StepContext, *arguments: str, stdin: bytes | None = None, check: bool = True) -> Result:
        """The image's kubectl, as administrator."""
        return cluster_api.kubectl(context, *arguments, stdin=stdin, check=check)

    def environment(self, operation: Operation, host: Host) -> Mapping[str, str]:
        """Where kubectl and its like find the cluster."""
        return {"KUBECONFIG": ADMIN} if host.is_master else {}

    @property
    def _options(self) -> Options:
        return Options.of(self.options)

    @property
    def _credentials(self) -> Path:
        return self.credentials or Path("/nonexistent")  # without a cluster nothing is run

    def _tell(self, warnings: Sequence[str]) -> None:
        """Warn of each thing once, however often it is planned."""
        for warning in warnings:
            if warning not in self._told:
                self._told.add(warning)
                self.events.warn(warning)

    def _coming(self, operation: Operation) -> Sequence[Step]:
        first, added = operation.first_master, operation.added
        if first is None:
            return []
        warnings = tuple(str(problem) for problem in configuration.planned(operation, self._options))
        self._tell((*warnings, *filter(None, [endpoint.single(operation)])))
        installation = Installation(operation, self._options, self._credentials, warnings)
        addresses = frozenset(host.id for host in added)
        kept_masters = frozenset(host.id for host in operation.kept if host.is_master)
        steps = [
            probe(addresses | kept_masters),
            installation.keys(),
            endpoint.settle(
                "endpoint", "Configure the control-plane endpoint", operation, Addresses(addresses, "added")
            ),
            installation.certificates(added),
            images.step(operation, Addresses(addresses, "added"), frozenset({"endpoint"})),
        ]
        if first in added:
            steps.append(replace(installation.init(first), after=frozenset({"certificates"})))
        up = frozenset({"init" if first in added else "certificates"})
        masters = [host for host in added if host.is_master and host != first]
        nodes = [host for host in added if not host.is_master]
        joining = [*([installation.masters(masters, up)] if masters else [])]
        joining += [installation.nodes(nodes, up)] if nodes else []
        joined = frozenset(step.id for step in joining) or up
        settling = [*network.steps(operation), *marks.steps("marks-of-added", operation, added)]
        settling += [
            *readiness.steps(operation, added),
            access.give("kubeconfig", operation, self._options, self._credentials),
        ]
        renewing = rotation.step(up)  # nobody waits for it
        return [*steps, *joining, renewing, replace(settling[0], after=joined), *settling[1:]]
