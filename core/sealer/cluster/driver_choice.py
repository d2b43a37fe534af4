"""Which drivers a cluster has: by its Clusterfile, by what it was made with, by its image."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

from sealer.cluster.stages import Drivers
from sealer.cluster.stand_ins import NoProvider, NoRegistry, NoRuntime, NoTransport
from sealer.clusterfile.model import Cluster, RegistrySpec
from sealer.errors import InputError, MissingDriverError
from sealer.events import EventStream, Json
from sealer.extension.drivers import Driver, Provider, Registry, Transport
from sealer.extension.loading import load_driver
from sealer.extension.operation import Recorded, RecordedHost
from sealer.hosts import Host, is_this_machine
from sealer.image.model import ClusterImage
from sealer.settings import (
    DEFAULT_LOCAL_TRANSPORT,
    DEFAULT_PROVIDER,
    DEFAULT_REGISTRY,
    DEFAULT_RUNTIME,
    DEFAULT_TRANSPORT,
    Settings,
)

D = TypeVar("D", bound=Driver)
StandIn = Callable[[Settings, EventStream, Mapping[str, Json]], D]


@dataclass(frozen=True)
class DriverNames:
    """The drivers that an image may choose, too.

    :param registry: empty: no private registry.
    """

    runtime: str
    registry: str

    @classmethod
    def of(cls, cluster: Cluster, image: ClusterImage | None, recorded: Recorded | None) -> DriverNames:
        """The one named, else the one that the cluster was made with, else the image's, else the default.

        What a cluster was made with is recorded: its image may be gone, and an application's image says nothing of it.
        """
        runtime = recorded.runtime if recorded else image.first.runtime if image else ""
        registry = recorded.registry if recorded else image.first.registry if image else ""
        asked_for = DEFAULT_REGISTRY if cluster.registry != RegistrySpec() else ""
        return cls(cluster.runtime.name or runtime or DEFAULT_RUNTIME, cluster.registry.driver or registry or asked_for)


@dataclass(frozen=True)
class DriverRequest:
    """What drivers are chosen for.

    :param hosts: all that the operation is about.
    :param recorded: the cluster as recorded; its hosts are reached as they were.
    :param credentials: directory of the cluster's own keys on this machine.
    :param stop: set when the run was asked to stop.
    :param plan_only: go on without drivers that cannot be had; :attr:`Drivers.missing` tells of them.
    :param needs_provider: False where no host comes or goes.
    """

    cluster: Cluster
    names: DriverNames
    hosts: Sequence[Host]
    recorded: Recorded | None
    credentials: Path
    stop: threading.Event
    plan_only: bool = False
    needs_provider: bool = True


def choose_drivers(request: DriverRequest, settings: Settings, events: EventStream) -> Drivers:
    """Load the drivers of a cluster.

    :raises InputError: a name that no package offers, or fields that the driver does not have.
    :raises MissingDriverError: drivers are not installed, or disabled; all of them are named.
    """
    cluster, names = request.cluster, request.names
    choice = cluster.provider
    missing: list[MissingDriverError] = []

    def get(load: Callable[[], D], stand_in: StandIn[D], *, needed: bool = True) -> D:
        try:
            return load()
        except MissingDriverError as error:
            if needed:
                missing.append(error)
            return stand_in(settings, events, {})

    with _placed(cluster):
        options, position = cluster.runtime.options, cluster.runtime.position
        runtime = get(
            lambda: load_driver("runtime", names.runtime, settings, events, options, position=position), NoRuntime
        )
    provider: Provider = NoProvider(settings, events, {})
    if request.needs_provider:
        name = choice.name or DEFAULT_PROVIDER
        provider = get(
            lambda: load_driver("provider", name, settings, events, choice.options, position=choice.position),
            NoProvider,
        )
    registry: Registry | None = None
    if names.registry:
        with _placed(cluster):
            fields = cluster.registry.options
            registry = get(lambda: load_driver("registry", names.registry, settings, events, fields), NoRegistry)
    transport_of, transports = _transports(request, settings, events, get)
    if missing and not request.plan_only:
        raise _all_of(missing)
    for driver in (runtime, provider, *transports, *([registry] if registry else [])):
        driver.credentials = request.credentials
    known = request.recorded.hosts if request.recorded else ()
    for transport in transports:
        transport.host_keys = {entry.host.address: entry.host_key for entry in known if entry.host_key}
    told = tuple(f"{error.what}; {error.remedy}" for error in missing)
    return Drivers(runtime, provider, transports, transport_of, registry, names.runtime, names.registry, told)


class _Get(Protocol):
    """Loads a driver; where it cannot be had, that is noted if it is needed, and a stand-in is given."""

    def __call__(self, load: Callable[[], D], stand_in: StandIn[D], *, needed: bool = True) -> D: ...


def _transports(
    request: DriverRequest, settings: Settings, events: EventStream, get: _Get
) -> tuple[Callable[[Host], Transport], list[Transport]]:
    """The transport of a host, and all that there are."""
    choice, hosts = request.cluster.transport, request.hosts
    if choice.name:
        chosen = get(
            lambda: load_driver("transport", choice.name, settings, events, choice.options, position=choice.position),
            NoTransport,
        )
        chosen.cancelled = request.stop
        return (lambda host: chosen), [chosen]
    recorded = {entry.host.address: entry for entry in (request.recorded.hosts if request.recorded else ())}

    def is_local(host: Host) -> bool:
        return _stays_here(host, recorded.get(host.address))

    remote = get(
        lambda: load_driver("transport", DEFAULT_TRANSPORT, settings, events, choice.options, position=choice.position),
        NoTransport,
        needed=any(not is_local(host) for host in hosts),
    )
    local = get(
        lambda: load_driver("transport", DEFAULT_LOCAL_TRANSPORT, settings, events),
        NoTransport,
        needed=any(is_local(host) for host in hosts),
    )
    for transport in (remote, local):
        transport.cancelled = request.stop
    return (lambda host: local if is_local(host) else remote), [remote, local]


def _stays_here(host: Host, entry: RecordedHost | None) -> bool:
    """Whether commands for a host run on this machine itself, and not through its network.

    A port may lead to another machine, and who gives a login wants it used. A host that was reached goes on being
    reached as it was: passwords are not recorded, and those given for other hosts are not meant for it.
    """
    if not host.address or not is_this_machine(host.address):
        return False
    if entry is not None and entry.machine_id and entry.host.ssh.port == host.ssh.port:
        return not entry.host_key  # only this machine itself has none
    return not host.has_login


def _all_of(missing: Sequence[MissingDriverError]) -> MissingDriverError:
    if len(missing) == 1:
        return missing[0]
    packages = sorted({error.package for error in missing if error.package})
    remedies = [f"pip install {' '.join(packages)}"] if packages else []
    remedies += sorted({error.remedy for error in missing if not error.package})
    return MissingDriverError(
        ", ".join(error.what for error in missing), remedy="; ".join(remedies), package=" ".join(packages)
    )


@contextmanager
def _placed(cluster: Cluster) -> Iterator[None]:
    """Mistakes in fields for a driver that the image chose, who was not asked when they were read: where they stand."""
    try:
        yield
    except InputError as error:
        if not error.problems:
            raise
        problems = [replace(problem, position=cluster.at(problem.path)) for problem in error.problems]
        raise InputError(error.what, problems=problems, where=error.where, remedy=error.remedy) from error
