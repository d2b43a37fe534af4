"""Clusters that sealer did not make: applications are installed onto them, and nothing else is done to them."""

from __future__ import annotations

from dataclasses import replace

from sealer.clusterfile.model import Cluster, Clusterfile, LocalRegistry, RegistrySpec
from sealer.errors import InputError, RefusedError
from sealer.events import EventStream
from sealer.extension.operation import Recorded, RecordedHost
from sealer.hosts import MASTER, Host
from sealer.image.model import APP_INSTALLER, ClusterImage

# Where nobody names another host: its address towards the network may be another one tomorrow.
THIS_MACHINE = Host("127.0.0.1", (MASTER,))


def attached(recorded: Recorded | None, desired: Cluster, image: ClusterImage) -> Recorded:
    """The record of such a cluster as an installation begins.

    :param recorded: what is recorded under its name.
    :param desired: `runtime` says which cluster it is, `hosts` from where it is reached; empty: as recorded, or from
        this machine.
    :raises InputError: the image holds no application, or a private registry is asked for.
    :raises RefusedError: sealer made the cluster of that name, or reached it from elsewhere.
    """
    name = desired.name
    if image.first.type != APP_INSTALLER:
        raise InputError(
            f"{image.reference} is a cluster image",
            why="onto a cluster that runs, only an application image can be installed",
            remedy="Build the application with `--type app-installer`, or leave out `--kubeconfig` for a new cluster.",
        )
    if recorded is not None and not recorded.foreign:
        raise RefusedError(
            f"The cluster '{name}' is one that sealer made, and needs no `--kubeconfig`",
            remedy="Leave that out to install onto it, or give the other cluster a name of its own with `--name`.",
        )
    before = recorded.clusterfile.cluster if recorded else None
    hosts = _hosts(recorded, desired)
    registry = desired.registry if before is None or desired.registry != RegistrySpec() else before.registry
    if registry.local != LocalRegistry():
        raise InputError(
            "spec.registry.localRegistry",
            why="sealer runs no registry on the hosts of a cluster that it did not make",
            remedy="Name one that they pull from in spec.registry.externalRegistry.",
        )
    cluster = replace(
        before or desired,
        image="",
        hosts=hosts,
        groups=(),
        env={},
        cmd=(),
        cmd_args=(),
        app_names=None,
        runtime=desired.runtime if before is None or desired.runtime.name else before.runtime,
        registry=registry,
    )
    known = {entry.host.address: entry for entry in (recorded.hosts if recorded else ())}
    return replace(
        recorded or Recorded(name, "running", (), Clusterfile(), foreign=True),
        hosts=tuple(replace(known.get(host.address, RecordedHost(host, member=True)), host=host) for host in hosts),
        clusterfile=Clusterfile(cluster=cluster),
        runtime=cluster.runtime.name,
    )


def settle_images(recorded: Recorded, image: ClusterImage, events: EventStream, *, publish: bool) -> Recorded:
    """See that the cluster's hosts can get the container images: nothing is set up on them.

    :param publish: False: somebody says that they get them elsewhere.
    :returns: the record, without a registry where none is to be filled.
    :raises RefusedError: nobody says so, and there is no registry to publish them to.
    """
    cluster = recorded.clusterfile.cluster or Cluster(name=recorded.name)
    names = sorted({container.reference for container in image.containers})
    if not publish:
        return replace(recorded, clusterfile=Clusterfile(cluster=replace(cluster, registry=RegistrySpec())))
    external = cluster.registry.external
    if names and external is None:
        raise RefusedError(
            f"Nobody knows whether the hosts of '{recorded.name}' can get the container images of {image.reference}",
            why=f"sealer runs no registry there, and no other one is named; they are {', '.join(names)}",
            remedy="Name a registry that its hosts pull from in spec.registry.externalRegistry of a Clusterfile (-f), "
            "or say with --no-publish that they get these images elsewhere.",
        )
    if names and external:
        events.warn(
            f"The images are published to {external.domain}: set up the hosts of '{recorded.name}' to pull from it"
        )
    return recorded


def refuse_changes(recorded: Recorded) -> None:
    """Hosts and fields of such a cluster are not sealer's to change.

    :raises RefusedError: it is one.
    """
    if recorded.foreign:
        raise RefusedError(
            f"The cluster '{recorded.name}' is not one that sealer made",
            why="it was named with --kubeconfig, so that only applications can be installed onto it",
            remedy=f"`sealer delete --all --name {recorded.name}` forgets it, and leaves it as it is.",
        )


def _hosts(recorded: Recorded | None, desired: Cluster) -> tuple[Host, ...]:
    """From where the cluster is reached."""
    before = tuple(entry.host for entry in recorded.hosts) if recorded else (THIS_MACHINE,)
    if not desired.hosts:
        # What is exported is said anew with each application. A login that names no host is not for this machine.
        local = {host.id for host in before if host.address == THIS_MACHINE.address and not host.has_login}
        return tuple(
            replace(host, env={}, ssh=host.ssh if host.id in local else desired.ssh.filled_from(host.ssh))
            for host in before
        )
    if recorded and {host.address for host in before} != {host.address for host in desired.hosts}:
        raise RefusedError(
            f"The cluster '{recorded.name}' is reached from {', '.join(host.address for host in before)}",
            remedy=f"Name no hosts, or forget the cluster with `sealer delete --all --name {recorded.name}`, which "
            "leaves it as it is, then install again.",
        )
    known = {host.address: host.ssh for host in before}
    return tuple(
        replace(host, ssh=host.ssh.filled_from(known[host.address])) if host.address in known else host
        for host in desired.hosts
    )
