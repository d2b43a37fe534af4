"""Which drivers a cluster has: by its Clusterfile, by what it was made with, by its image."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sealer.cluster.connections import is_this_machine
from sealer.cluster.stages import Drivers
from sealer.clusterfile.model import Cluster, RegistrySpec
from sealer.errors import InputError
from sealer.events import EventStream
from sealer.extension.drivers import Registry, Transport
from sealer.extension.loading import driver_names, load_driver
from sealer.extension.operation import Recorded
from sealer.hosts import Host
from sealer.image.model import ClusterImage
from sealer.settings import (
    DEFAULT_LOCAL_TRANSPORT,
    DEFAULT_PROVIDER,
    DEFAULT_REGISTRY,
    DEFAULT_RUNTIME,
    DEFAULT_TRANSPORT,
    Settings,
)


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


def choose_drivers(  # noqa: PLR0917  # what a driver is made with
    cluster: Cluster,
    names: DriverNames,
    settings: Settings,
    events: EventStream,
    credentials: Path,
    stop: threading.Event,
) -> Drivers:
    """Load the drivers of a cluster.

    :param credentials: directory of the cluster's own keys on this machine.
    :param stop: set when the run was asked to stop.
    :raises InputError: a name that no package offers, or fields that the driver does not have.
    """
    with _placed(cluster):
        runtime = load_driver(
            "runtime", names.runtime, settings, events, cluster.runtime.options, position=cluster.runtime.position
        )
    provider = load_driver(
        "provider",
        cluster.provider.name or DEFAULT_PROVIDER,
        settings,
        events,
        cluster.provider.options,
        position=cluster.provider.position,
    )
    registry: Registry | None = None
    if names.registry:
        with _placed(cluster):
            registry = load_driver("registry", names.registry, settings, events, cluster.registry.options)
    remote = load_driver(
        "transport",
        cluster.transport.name or DEFAULT_TRANSPORT,
        settings,
        events,
        cluster.transport.options,
        position=cluster.transport.position,
    )
    transports: list[Transport] = [remote]
    local: Transport | None = None
    if not cluster.transport.name and DEFAULT_LOCAL_TRANSPORT in driver_names("transport"):
        local = load_driver("transport", DEFAULT_LOCAL_TRANSPORT, settings, events)
        transports.append(local)
    for driver in (runtime, provider, *transports, *([registry] if registry else [])):
        driver.credentials = credentials
    for transport in transports:
        transport.cancelled = stop

    def transport_of(host: Host) -> Transport:
        return local if local is not None and is_this_machine(host.address) else remote

    return Drivers(runtime, provider, transports, transport_of, registry, names.runtime, names.registry)


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
