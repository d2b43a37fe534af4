"""Which cluster a host belongs to: a random id, in the cluster's record and in a file on each of its hosts."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sealer.cluster.receipts import host_script
from sealer.documents import load_json
from sealer.errors import HostError, RefusedError
from sealer.events import Json
from sealer.extension.context import StepContext
from sealer.extension.operation import HostPaths, Operation, Recorded
from sealer.extension.steps import Step
from sealer.extension.targets import Targets
from sealer.hosts import MASTER, NODE, Host, Ssh

OTHERS = 76  # what `identify.sh` ends with where the host belongs to another cluster
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}\Z")


def new_id() -> str:
    """An id that no other cluster has."""
    return str(uuid.uuid4())


# -- what hosts say ----------------------------------------------------------------------------------------------


def clusters_script(data_root: str) -> str:
    """Prints `cluster=NAME ID` for every cluster whose files are below a data root, quoted for a shell; ID is empty
    where an earlier sealer put them there. :func:`cluster_line` reads a line."""
    return f"""for at in {data_root}/data/*/; do
    [ -e "${{at}}identity" ] || [ -e "${{at}}rootfs" ] || continue
    at=${{at%/}}
    echo "cluster=${{at##*/}} $(sed -n 's/^id=//p' "$at/identity" 2>/dev/null | head -n 1)"
done
"""


def cluster_line(value: str) -> tuple[str, str] | None:
    """Name and id from a line's `NAME ID`; None: no sealer wrote that."""
    name, _, identifier = value.partition(" ")
    if not _NAME.match(name) or not (identifier == "" or ID.match(identifier)):
        return None
    return name, identifier


# -- judging it --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Neighbour:
    """Another cluster in the same home.

    :param id: empty: no operation on it was by a sealer that gives ids.
    """

    id: str
    addresses: frozenset[str]


def neighbours(clusters: Path, besides: str) -> Mapping[str, Neighbour]:
    """The other clusters of a home, by name. A record that cannot be read is passed over: it vouches for no host."""
    found = {}
    for path in sorted(clusters.glob("*/state.json")):
        if path.parent.name == besides:
            continue
        try:
            content = load_json(path.read_bytes())
            addresses = frozenset(str(host["address"]) for host in content["hosts"])
            found[path.parent.name] = Neighbour(str(content.get("id", "")), addresses)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return found


@dataclass(frozen=True)
class Ownership:
    """What tells a cluster's own hosts from those of others.

    :param id: of the cluster; empty: it is not recorded yet, or by an earlier sealer alone.
    :param recorded: addresses of the hosts that its record has: there its files may lie without an id.
    :param clusters: directory of the home's records.
    :param shares: its hosts may belong to other clusters as well.
    """

    cluster: str
    id: str
    recorded: frozenset[str]
    clusters: Path
    neighbours: Mapping[str, Neighbour] = field(default_factory=dict)
    shares: bool = False

    @classmethod
    def of(cls, name: str, recorded: Recorded | None, clusters: Path) -> Ownership:
        """Of a cluster as it is recorded, if it is."""
        return cls(
            name,
            recorded.id if recorded else "",
            frozenset(entry.host.address for entry in (recorded.hosts if recorded else ())),
            clusters,
            neighbours(clusters, name),
            shares=recorded is not None and recorded.foreign,
        )

    def refusal(self, host: str, said: Mapping[str, Any], *, joins: bool) -> RefusedError | None:
        """Why nothing may be done to a host; None: it is the cluster's own, or nobody's.

        :param host: its address.
        :param said: its facts.
        :param joins: it is to become a host of the cluster: then it may belong to no other one, unless that is in the
            same home.
        """
        for name, identifier in said.get("clusters", ()):
            if name == self.cluster:
                ours = identifier == self.id if identifier else host in self.recorded
            else:
                known = self.neighbours.get(name)
                ours = known is not None and (identifier == known.id if identifier else host in known.addresses)
                ours = ours or not joins or self.shares
            if not ours:
                return self.other_cluster(host, name, identifier)
        return None

    def other_cluster(self, host: str, name: str, identifier: str) -> RefusedError:
        """A host of a cluster that is not this one."""
        known = f"id {identifier}" if identifier else "made by an earlier version of sealer, without an id"
        record = self.clusters / name
        if self.shares:
            remedy = "Give the cluster of the kubeconfig another name with --name"
        elif not identifier:
            remedy = (
                f"Bring back its record, {record}, to manage or delete it; without one, run clean.sh of its rootfs "
                f"on the host, and remove the directory data/{name} there"
            )
        elif name == self.cluster and self.recorded:
            remedy = (
                f"The record in {record} has the id {self.id}: remove that directory if the cluster it is of is gone. "
                f"{_deletes(identifier)} the cluster on the host"
            )
        else:
            remedy = f"Bring back its record, {record}, to manage it. {_deletes(identifier)} it"
        return RefusedError(
            f"This host belongs to another cluster: '{name}', {known}",
            where=host,
            remedy=f"{remedy}. Or name other hosts.",
        )


def _deletes(identifier: str) -> str:
    return f"`sealer delete --all --cluster-id {identifier} -m MASTERS -n NODES` deletes"


# -- the file on hosts -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Identity:
    """What a host knows of its cluster.

    :param id: of the cluster.
    :param hosts: all of them, as they were when this was written.
    """

    id: str
    name: str
    image: str = ""
    image_digest: str = ""
    runtime: str = ""
    registry: str = ""
    hosts: tuple[Host, ...] = ()

    @classmethod
    def of(cls, operation: Operation, runtime: str, registry: str) -> Identity:
        """What the hosts of an operation are to know.

        :param runtime, registry: names of the drivers that the cluster is made with.
        """
        recorded = operation.recorded if operation.kind != "create" else None
        image = operation.image
        return cls(
            id=operation.cluster_id,
            name=operation.cluster,
            image=recorded.image if recorded else image.reference if image else "",
            image_digest=recorded.image_digest if recorded else image.digest if image else "",
            runtime=runtime,
            registry=registry,
            hosts=operation.hosts,
        )

    @classmethod
    def read(cls, text: str) -> Identity | None:
        """From the file's text; None: there is none, or no sealer wrote it."""
        fields: dict[str, str] = {}
        hosts = []
        for line in text.splitlines():
            key, _, value = line.partition("=")
            if key == "host":
                address, _, role = value.partition(" ")
                with contextlib.suppress(ValueError):  # what a host says need not be true
                    ipaddress.ip_address(address)
                    hosts.append(Host(address, (MASTER if role == MASTER else NODE,), Ssh()))
            elif value.isprintable():
                fields[key] = value
        if not ID.match(fields.get("id", "")) or not _NAME.match(fields.get("name", "")):
            return None
        image, digest, runtime, registry = (
            fields.get(key, "") for key in ("image", "imageDigest", "runtime", "registry")
        )
        return cls(fields["id"], fields["name"], image, digest, runtime, registry, tuple(hosts))

    @property
    def text(self) -> str:
        """The file's content."""
        fields = {
            "id": self.id,
            "name": self.name,
            "image": self.image,
            "imageDigest": self.image_digest,
            "runtime": self.runtime,
            "registry": self.registry,
        }
        lines = [f"{key}={value}" for key, value in fields.items()]
        lines += [f"host={host.address} {MASTER if host.is_master else NODE}" for host in self.hosts]
        return "\n".join(lines) + "\n"


def identify(identity: Identity, ownership: Ownership, on: Targets, *, joins: bool) -> Step:
    """The step that makes hosts know which cluster they belong to.

    :param joins: they join it: one that another operator takes at the same moment is refused.
    """
    content = identity.text.encode()
    known = " ".join(sorted({other.id for other in ownership.neighbours.values() if other.id}))

    def write(context: StepContext) -> None:
        paths: HostPaths = context.operation.paths
        env = {
            "data": paths.data,
            "root": paths.data_root,
            "id": identity.id,
            "size": str(len(content)),
            "known": known,
            "joining": "yes" if joins and not ownership.shares else "",
        }
        result = context.query(host_script("identify.sh"), env=env, stdin=content, check=False)
        if result.status == OTHERS:
            found = cluster_line(result.stdout.strip().removeprefix("cluster="))
            raise ownership.other_cluster(context.host.id, *(found or ("?", "")))
        if not result.ok:
            raise HostError(
                "The host cannot be told which cluster it belongs to",
                where=context.host.id,
                why=result.stderr.strip() or f"status {result.status}",
                remedy=f"See whether {paths.identity} can be written there.",
            )

    inputs: dict[str, Json] = {"identity": identity.text}
    return Step(
        "identity",
        "Write the cluster's id to the host",
        on,
        write,
        inputs,
        unreachable="fail" if joins else "skip",
        timeout=60,
    )


# -- deleting by id ----------------------------------------------------------------------------------------------


def read_script(data_root: str) -> str:
    """Prints the files of all clusters on a host, each after a line `==`.

    :param data_root: quoted for a shell.
    """
    return f'for at in {data_root}/data/*/identity; do [ ! -e "$at" ] || {{ echo "=="; cat "$at"; }}; done\n'


def identities(printed: str) -> Sequence[Identity]:
    """What :func:`read_script` printed."""
    found: Iterable[Identity | None] = (Identity.read(part) for part in printed.split("==\n")[1:])
    return [identity for identity in found if identity is not None]
