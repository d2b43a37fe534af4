"""Operations on a cluster of made-up hosts (addresses of 192.0.2.0/24, which is kept for documentation)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sealer.clusterfile.model import Cluster, Clusterfile, ConfigDocument, PluginDocument
from sealer.errors import Position
from sealer.events import Json
from sealer.extension.operation import ClusterStatus, Operation, OperationKind, Recorded, RecordedHost
from sealer.hosts import MASTER, NODE, Host, Ssh
from sealer.image.model import APP_INSTALLER, KUBE_INSTALLER, TYPE_LABEL, ClusterImage, Rootfs
from sealer.phases import Phase

CLUSTER = "testing"
APPLICATION = "testing-app"
_STATUS: Mapping[OperationKind, ClusterStatus] = {"delete": "deleting", "scale": "changing", "upgrade": "changing"}


def make_host(number: int, role: str = NODE, **more: object) -> Host:
    """The host `192.0.2.<10 + number>`.

    :param more: further fields of :class:`~sealer.hosts.Host`.
    """
    host = Host(f"192.0.2.{10 + number}", (role,), Ssh(user="root"))
    return replace(host, **more)  # type: ignore[arg-type]  # the fields are checked by the dataclass itself


def make_operation(
    kind: OperationKind = "create",
    *,
    masters: int = 1,
    nodes: int = 2,
    joining: int = 1,
    hosts: Sequence[Host] | None = None,
    added: Sequence[Host] | None = None,
    removed: Sequence[Host] | None = None,
    plugins: Sequence[PluginDocument] = (),
    configs: Sequence[ConfigDocument] = (),
    names: Mapping[str, str] | None = None,
    spec: Cluster | None = None,
) -> Operation:
    """An operation of a kind on a cluster of `masters` and `nodes`, numbered from 1 in this order.

    `create` adds all of them; `delete` removes all, or `removed` alone; `scale` keeps them and adds `joining` nodes (or
    `added`, and takes `removed` away); `application` and `upgrade` keep them.

    :param hosts: instead of made-up ones.
    :param spec: fields of the cluster; its hosts are replaced.
    """
    given = tuple(hosts) if hosts is not None else _hosts(masters, nodes)
    come, stay, go = _changes(kind, given, joining, added, removed)
    cluster = replace(spec or Cluster(name=CLUSTER, image="testing:v1"), hosts=(*stay, *come))
    desired = Clusterfile(cluster=cluster, plugins=tuple(plugins), configs=tuple(configs))
    before = replace(desired, cluster=replace(cluster, hosts=(*stay, *go)))
    return Operation(
        id=f"testing-{kind}",
        kind=kind,
        cluster=cluster.name,
        desired=desired,
        recorded=None if kind == "create" else _recorded(kind, before, (*stay, *go)),
        image=_image(kind),
        added=come,
        kept=stay,
        removed=go,
        names=dict(names or {}),
        application=APPLICATION if kind == "application" else "",
    )


def make_document(
    plugin_type: str,
    data: Json = "",
    *,
    phases: Sequence[Phase] = (),
    on: str = "",
    name: str = "",
    line: int = 8,
    column: int = 5,
) -> PluginDocument:
    """A Plugin document as the Clusterfile's reader gives it.

    :param line, column: where the first line of `data` stands in the file.
    """
    return PluginDocument(
        name=name or plugin_type.lower(),
        type=plugin_type,
        phases=tuple(phases),
        on=on,
        data=data,
        position=Position("Clusterfile", 1, 1),
        data_position=Position("Clusterfile", line, column),
    )


def _hosts(masters: int, nodes: int) -> tuple[Host, ...]:
    roles = [MASTER] * masters + [NODE] * nodes
    return tuple(make_host(number, role) for number, role in enumerate(roles, start=1))


def _changes(
    kind: OperationKind,
    given: tuple[Host, ...],
    joining: int,
    added: Sequence[Host] | None,
    removed: Sequence[Host] | None,
) -> tuple[tuple[Host, ...], tuple[Host, ...], tuple[Host, ...]]:
    """The hosts that come, stay and go."""
    if kind == "create":
        return given, (), ()
    if kind == "delete":
        leaving = given if removed is None else tuple(removed)
        return (), tuple(host for host in given if host not in leaving), leaving
    leaving = tuple(removed or ())
    staying = tuple(host for host in given if host not in leaving)
    if kind != "scale":
        return (), staying, leaving
    coming = tuple(make_host(100 + number) for number in range(joining)) if added is None else tuple(added)
    return coming, staying, leaving


def _recorded(kind: OperationKind, before: Clusterfile, hosts: Sequence[Host]) -> Recorded:
    return Recorded(
        name=before.cluster.name if before.cluster else CLUSTER,
        status=_STATUS.get(kind, "running"),
        hosts=tuple(RecordedHost(host, f"{number:032x}", "", True) for number, host in enumerate(hosts, start=1)),
        clusterfile=before,
        image="testing:v1",
        image_digest="sha256:" + "1" * 64,
    )


def _image(kind: OperationKind) -> ClusterImage:
    label = APP_INSTALLER if kind == "application" else KUBE_INSTALLER
    number = "2" if kind == "upgrade" else "1"
    rootfs = Rootfs("linux/amd64", "sha256:" + "a" * 64, (), labels={TYPE_LABEL: label})
    return ClusterImage(f"testing:v{number}", "sha256:" + number * 64, (rootfs,))
