"""The interfaces of drivers: one of many, chosen by name."""

from __future__ import annotations

import abc
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from sealer.events import EventStream, Json
from sealer.extension.context import Result, StepContext
from sealer.extension.operation import Node, Operation
from sealer.extension.steps import Fact, Step
from sealer.extension.transport import Connection
from sealer.hosts import Host
from sealer.settings import Settings

# What a provider learned: for each placeholder (`master-0`) the host's address and how to log in,
# {"master-0": {"address": "198.18.0.11", "port": 22, "user": "root", "private_key": "/path"}}.
HOSTS_MADE: Fact[dict[str, Any]] = Fact("provider.hosts", dict)

# What a Clusterfile says to whatever runtime there is; KUBEADM_DOCUMENTS stands for those of kubeadm and its like.
KUBEADM_DOCUMENTS = "kubeadm"
RUNTIME_FIELDS = frozenset(
    {
        *("spec.network", "spec.certSANS", "spec.containerRuntime", "spec.hostAliases"),
        *("spec.hosts.labels", "spec.hosts.taints", KUBEADM_DOCUMENTS),
    }
)


class Driver(abc.ABC):  # noqa: B024  # each kind of driver has methods of its own
    """What all drivers have in common.

    :cvar schema: JSON Schema of the driver's own fields beside `name`; none allowed by default.
    :cvar credentials: directory of the cluster's own keys on this machine, where a driver may keep what only the owner
        may read; it goes when the cluster is deleted. Set by the kernel; None: no cluster.
    """

    credentials: Path | None = None
    schema: ClassVar[Mapping[str, Json]] = {"type": "object", "additionalProperties": False, "properties": {}}

    def __init__(self, settings: Settings, events: EventStream, options: Mapping[str, Json]) -> None:
        self.settings = settings
        self.events = events
        self.options = options


class Runtime(Driver):
    """What turns hosts with a rootfs into a cluster: kubeadm, standalone, k3s, ...

    Every method that returns steps only plans; it must not touch a host.

    :cvar keeps_nodes: whether the cluster itself keeps a list of its nodes and of how they are, so that :meth:`nodes`
        tells more than what was recorded here.
    :cvar takes_kubeadm: whether a Clusterfile's documents of kubeadm, kubelet and kube-proxy are for this runtime: then
        it is asked about them also where no image says which runtime a cluster is to have.
    :cvar honours: those of :data:`RUNTIME_FIELDS` that it does something with: of any other that a Clusterfile gives,
        the user is warned; None: it does not say, and nobody is warned.
    """

    keeps_nodes: ClassVar[bool] = True
    takes_kubeadm: ClassVar[bool] = False
    honours: ClassVar[frozenset[str] | None] = None

    @abc.abstractmethod
    def install(self, operation: Operation) -> Sequence[Step]:
        """The first master, the other masters, the nodes, of a new cluster.

        It is asked for before an operation is begun, too, and by `sealer validate`: where the image is not at hand with
        an operation that has none.

        :raises InputError: what the Clusterfile says to the runtime cannot be right; `problems` has all of it.
        """

    @abc.abstractmethod
    def join(self, operation: Operation) -> Sequence[Step]:
        """`operation.added` joins the cluster."""

    @abc.abstractmethod
    def forget(self, operation: Operation) -> Sequence[Step]:
        """On the survivors: `operation.removed` leaves the cluster, whether it can be reached or not."""

    @abc.abstractmethod
    def clean(self, operation: Operation) -> Sequence[Step]:
        """On `operation.removed` itself, where it can be reached."""

    @abc.abstractmethod
    def upgrade(self, operation: Operation) -> Sequence[Step]:
        """From the recorded image to `operation.image`."""

    @abc.abstractmethod
    def nodes(self, context: StepContext) -> Sequence[Node]:
        """The nodes as the cluster itself sees them; `context` is on a master."""

    @abc.abstractmethod
    def kubectl(self, context: StepContext, *arguments: str, stdin: bytes | None = None, check: bool = True) -> Result:
        """Run kubectl on a master, without a receipt: as often as it is called.

        :param check: raise when its status is not 0.
        :raises CommandError: it failed, or there is no such thing in this runtime.
        """

    def receive(self, operation: Operation) -> Sequence[Step]:
        """An application's files are on the hosts: what its plugins and CMDs need of the runtime there."""
        return ()

    def update(self, operation: Operation) -> Sequence[Step]:
        """On `operation.kept`, after hosts came or went or fields changed: the steps say which fields they cover."""
        return ()

    def check(self, operation: Operation) -> Sequence[Step]:
        """QUERY steps on `operation.kept`, each of which raises where something is wrong; see `sealer check`."""
        return ()

    def environment(self, operation: Operation, host: Host) -> Mapping[str, str]:
        """What scripts and CMDs on a host find exported, such as `KUBECONFIG`; what the user says comes before it."""
        return {}


class Registry(Driver):
    """The private registry on the hosts. Chosen by `spec.registry`, or by the image's label `io.sealer.registry`."""

    @abc.abstractmethod
    def deploy(self, operation: Operation) -> Sequence[Step]:
        """Start it where it is to run and does not yet: on a create, and where hosts that come or go change that."""

    @abc.abstractmethod
    def publish(self, operation: Operation) -> Sequence[Step]:
        """Put the image's container images in."""

    @abc.abstractmethod
    def trust(self, operation: Operation) -> Sequence[Step]:
        """On added hosts, and on kept ones when a domain is new or the registry runs elsewhere."""

    @abc.abstractmethod
    def remove(self, operation: Operation) -> Sequence[Step]:
        """Take it, and all trust in it, away again from `operation.removed`.

        :raises RefusedError: it runs on one of them alone, and what it holds would be lost.
        """

    def changed(self, operation: Operation) -> frozenset[str]:
        """The fields of `spec.registry` that no record shows: passwords, say, which are kept elsewhere.

        Asked when a Clusterfile is applied to a cluster that runs. A field that none of the steps of `deploy` and
        `trust` covers is refused, as is every other one that differs.

        :param operation: as it would be: `operation.kept` are all hosts that stay.
        :returns: names as `spec.registry.localRegistry.password`; by default a user that is not the recorded one.
        """
        recorded = operation.recorded.clusterfile.cluster if operation.recorded else None
        before = (recorded or operation.spec).registry.local.username
        return frozenset(
            {"spec.registry.localRegistry.username"} if before != operation.spec.registry.local.username else ()
        )

    def check(self, operation: Operation) -> Sequence[Step]:
        """QUERY steps on `operation.kept`, each of which raises where something is wrong; see `sealer check`."""
        return ()


class Provider(Driver):
    """Where hosts come from.

    :cvar makes_hosts: whether it makes hosts by count; otherwise they must be given by address.
    """

    makes_hosts: ClassVar[bool] = False

    @abc.abstractmethod
    def reconcile(self, operation: Operation) -> Sequence[Step]:
        """Make those of `operation.added` that have no address yet; the last step gives :data:`HOSTS_MADE`."""

    @abc.abstractmethod
    def destroy(self, operation: Operation) -> Sequence[Step]:
        """Take away those of `operation.removed` that it made; on the delete of a cluster, all else that it made."""

    @abc.abstractmethod
    def find(self, cluster: str) -> Sequence[Host]:
        """What exists of a cluster, also after the process that made it is long gone; `placeholder` is set."""

    def running(self, cluster: str) -> frozenset[str] | None:
        """The addresses of those of its hosts that are switched on, at once and without a change; None: it cannot tell.

        One that is shutting down is off. `sealer status` and `sealer apply` name a host that is not among them as off.
        """
        del cluster
        return None

    def start(self, cluster: str, hosts: Sequence[Host]) -> Sequence[Step] | None:
        """Boot those of `hosts`, which it made, that are off; those that are on stay as they are.

        For `sealer start`, which asks for the masters first and then waits until every host answers. Steps run on the
        operator's machine and are not recorded: each must bear being run again, also after a stop that was cut short.
        A host keeps its address and its disks.

        :returns: None, by default: it cannot.
        """
        del cluster, hosts
        return None

    def stop(self, cluster: str, hosts: Sequence[Host]) -> Sequence[Step] | None:
        """Shut `hosts` down, as their operating system does it, and wait until they are off.

        One that does not end in time is switched off, with a warning. For `sealer stop`, which asks for the masters
        last; otherwise as :meth:`start`.

        :returns: None, by default: it cannot.
        """
        del cluster, hosts
        return None


class Transport(Driver):
    """The only thing that opens a way to a host.

    :cvar cancelled: set when the run was asked to stop: whoever still connects should give up. Set by the kernel.
    :cvar host_keys: by address, the :attr:`~sealer.extension.Connection.host_key` that is recorded of a cluster's host:
        one that shows another is refused before the login, whatever else is known of it. Set by the kernel.
    """

    cancelled: threading.Event | None = None
    host_keys: Mapping[str, str] = MappingProxyType({})

    @abc.abstractmethod
    def connect(self, host: Host) -> Connection:
        """Open an authenticated connection.

        :raises HostUnreachableError: nobody answers, or the answer is no SSH server (say).
        :raises AuthenticationError: the credentials are refused; says which were tried.
        :raises HostKeyError: the host's identity changed; says where the old one is recorded.
        :raises InterruptedRunError: the run was asked to stop meanwhile.
        """

    def locate(self, name: str, config: str) -> tuple[str, int]:
        """Where a host that is named is, by what the transport knows of names: a name or an address, and a port.

        :param config: the user's choice of a configuration, `ssh.config`.
        :returns: by default the name itself, and 0 for no port of its own.
        :raises InputError: the configuration cannot be understood.
        """
        del config
        return name, 0

    def forget(self, host: Host) -> None:
        """Drop what is remembered of a host's identity: it was taken out by force, and another may get its address."""
        del host

    def authorize(self, operation: Operation) -> Sequence[Step]:
        """Let the cluster's own key in on `operation.added`, so that no password needs keeping."""
        return ()

    def revoke(self, operation: Operation) -> Sequence[Step]:
        """Take that key away from `operation.removed` again."""
        return ()
