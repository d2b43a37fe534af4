"""What is being done to which cluster: the value that hooks and drivers are asked about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sealer.clusterfile.model import Cluster, Clusterfile
from sealer.hosts import Host
from sealer.image.model import ClusterImage

OperationKind = Literal["create", "scale", "application", "upgrade", "delete"]
ClusterStatus = Literal["creating", "running", "changing", "deleting"]


@dataclass(frozen=True)
class HostPaths:
    """Where things lie on a host."""

    data_root: str
    cluster: str
    application_name: str = ""  # of the application image that an operation installs

    @property
    def data(self) -> str:
        """Everything of this cluster."""
        return f"{self.data_root}/data/{self.cluster}"

    @property
    def rootfs(self) -> str:
        """The files of the image that the operation is about: the cluster's, or beside it an application's."""
        return f"{self.data}/apps/{self.application_name}" if self.application_name else f"{self.data}/rootfs"

    @property
    def receipts(self) -> str:
        """What scripts left behind about themselves, one directory an attempt."""
        return f"{self.data}/receipts"

    @property
    def lock(self) -> str:
        """Who works on this host for this cluster."""
        return f"{self.data}/lock"

    @property
    def identity(self) -> str:
        """Which cluster this is: its id, and what deletes it where its record is lost."""
        return f"{self.data}/identity"

    @property
    def layers(self) -> str:
        """Verified layers, shared by all clusters."""
        return f"{self.data_root}/layers/sha256"


@dataclass(frozen=True)
class RecordedHost:
    """A host that belongs to the cluster, or to an operation on it that has not ended.

    :param machine_id: `/etc/machine-id` when it was first seen; empty before that.
    :param host_key: the transport's identity of it at that time.
    :param member: whether an operation that added it has ended.
    """

    host: Host
    machine_id: str = ""
    host_key: str = ""
    member: bool = False


@dataclass(frozen=True)
class Recorded:
    """The cluster as the last operations left it.

    :param status: `creating`, `running`, `changing` or `deleting`.
    :param image: reference, and digest of the index, of the cluster image.
    :param clusterfile: as applied, without secrets.
    :param applications: digest by name of the application images installed.
    :param pending_image: digest of the image that an unfinished operation works with; empty if there is none.
    :param runtime: name of the driver it was made with.
    :param registry: name of the driver of its private registry; empty: it has none.
    :param foreign: whether sealer did not make it: it has no image, and its hosts are those from which it is reached.
    :param id: random, also on its hosts; empty: no operation on it was by a sealer that gives ids.
    """

    name: str
    status: ClusterStatus
    hosts: tuple[RecordedHost, ...]
    clusterfile: Clusterfile
    image: str = ""
    image_digest: str = ""
    applications: Mapping[str, str] = field(default_factory=dict)
    pending_image: str = ""
    runtime: str = ""
    registry: str = ""
    foreign: bool = False
    id: str = ""


@dataclass(frozen=True)
class Node:
    """A host as the cluster's own API sees it."""

    name: str
    address: str
    ready: bool
    labels: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True)
class Operation:
    """One change of one cluster.

    :param id: unique; new for every operation, the same when it is resumed.
    :param desired: what the cluster is to be.
    :param recorded: what it is; None when there is none yet.
    :param image: the image this is about; for a scale or delete the cluster's own; None where it is gone.
    :param added, kept, removed: hosts still to be made have no address yet.
    :param names: host names that plugins will give, by address: the reserved variable `HostName`.
    :param application: name of the application that is installed; empty otherwise.
    :param unreachable: ids of the hosts that did not answer when it began; empty before they were asked.
    :param cluster_id: the cluster's random id; empty in a plan of a cluster that has none yet.
    """

    id: str
    kind: OperationKind
    cluster: str
    desired: Clusterfile
    recorded: Recorded | None
    image: ClusterImage | None
    added: tuple[Host, ...] = ()
    kept: tuple[Host, ...] = ()
    removed: tuple[Host, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    application: str = ""
    unreachable: frozenset[str] = frozenset()
    cluster_id: str = ""

    @property
    def spec(self) -> Cluster:
        """The desired cluster."""
        return self.desired.cluster or Cluster(name=self.cluster)

    @property
    def hosts(self) -> tuple[Host, ...]:
        """The cluster's hosts when the operation has ended: kept and added, masters first."""
        return tuple(sorted((*self.kept, *self.added), key=lambda host: not host.is_master))

    @property
    def masters(self) -> tuple[Host, ...]:
        """The control plane when the operation has ended; kept ones first."""
        return tuple(host for host in self.hosts if host.is_master)

    @property
    def nodes(self) -> tuple[Host, ...]:
        """The other hosts when the operation has ended."""
        return tuple(host for host in self.hosts if not host.is_master)

    @property
    def first_master(self) -> Host | None:
        """The master that came first of those that stay and answer; on a delete of everything, of those that leave.

        One that is still to join is none while there are others. Where nobody answers it is the first of all.
        """
        staying = tuple(host for host in self.kept if host.is_master) or self.masters
        masters = staying or tuple(host for host in self.removed if host.is_master)
        answering = (host for host in masters if host.id not in self.unreachable)
        return next(answering, next(iter(masters), None))

    @property
    def paths(self) -> HostPaths:
        """Where things lie on the hosts."""
        return HostPaths(self.spec.data_root, self.cluster, self.application)
