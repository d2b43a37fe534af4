"""The recorded state of a cluster, on disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sealer.cluster.files import sync_directory, write_atomically, writing
from sealer.cluster.home import ClusterHome
from sealer.clusterfile.model import Clusterfile
from sealer.clusterfile.reading import read
from sealer.clusterfile.secrets import recordable
from sealer.clusterfile.writing import write
from sealer.errors import SealerError
from sealer.extension.operation import Recorded, RecordedHost
from sealer.hosts import Host, Ssh

FORMAT = 1


def save(home: ClusterHome, recorded: Recorded) -> None:
    """Record hosts and status; on disk when this returns."""
    content = {
        "format": FORMAT,
        "name": recorded.name,
        "id": recorded.id,
        "status": recorded.status,
        "image": recorded.image,
        "imageDigest": recorded.image_digest,
        "applications": dict(recorded.applications),
        "pendingImage": recorded.pending_image,
        "runtime": recorded.runtime,
        "registry": recorded.registry,
        "foreign": recorded.foreign,
        "hosts": [_host_as_json(host) for host in recorded.hosts],
    }
    write_atomically(home.state, json.dumps(content, indent=2).encode())


def save_pending(home: ClusterHome, desired: Clusterfile) -> None:
    """Record what an operation is about, before it begins."""
    write_atomically(home.pending_clusterfile, write(desired).encode())


def save_settled(home: ClusterHome, clusterfile: Clusterfile) -> None:
    """Record what the cluster is, where that is not what the operation was about."""
    write_atomically(home.clusterfile, write(clusterfile).encode())


def settle_pending(home: ClusterHome) -> None:
    """The operation has ended: what it was about is what the cluster is."""
    if home.pending_clusterfile.exists():
        with writing(home.clusterfile):
            home.pending_clusterfile.rename(home.clusterfile)
            sync_directory(home.directory)


def load(home: ClusterHome) -> Recorded | None:
    """What is recorded; None when the cluster is unknown.

    :raises SealerError: the files are damaged, or of a later sealer.
    """
    try:
        content = json.loads(home.state.read_text("utf-8"))
        if content["format"] != FORMAT:
            raise SealerError(
                "The cluster's state was written by another version of sealer",
                where=str(home.state),
                why=f"format {content['format']}, this sealer reads {FORMAT}",
                remedy="Use the sealer that wrote it.",
            )
        file = home.clusterfile if home.clusterfile.exists() else home.pending_clusterfile
        clusterfile = read(file.read_text("utf-8"), str(file), recorded=True) if file.exists() else Clusterfile()
        return Recorded(
            name=content["name"],
            status=content["status"],
            hosts=tuple(_host_from_json(host) for host in content["hosts"]),
            clusterfile=clusterfile,
            image=content["image"],
            image_digest=content["imageDigest"],
            applications=content["applications"],
            pending_image=content.get("pendingImage", ""),
            runtime=content.get("runtime", ""),
            registry=content.get("registry", ""),
            foreign=content.get("foreign", False),
            id=content.get("id") or kept_id(home),
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SealerError(
            "The cluster's state is damaged",
            where=str(home.state),
            why=f"{type(error).__name__}: {error}",
            remedy="Restore the file from a backup.",
        ) from error


def keep_id(home: ClusterHome, identifier: str) -> None:
    """Record a cluster's id beside its state, too."""
    if kept_id(home) != identifier:
        write_atomically(home.cluster_id, f"{identifier}\n".encode())


def kept_id(home: ClusterHome) -> str:
    """The id that is recorded beside the state; empty: there is none."""
    try:
        return home.cluster_id.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def load_pending(home: ClusterHome) -> Clusterfile | None:
    """What the unfinished operation is about; None when there is none."""
    path = home.pending_clusterfile
    return read(path.read_text("utf-8"), str(path), recorded=True) if path.exists() else None


def change_hosts(recorded: Recorded, change: Callable[[RecordedHost], RecordedHost | None]) -> Recorded:
    """`recorded` with each host changed, or left out where `change` gives None."""
    changed = (change(host) for host in recorded.hosts)
    return replace(recorded, hosts=tuple(host for host in changed if host is not None))


def _host_as_json(recorded: RecordedHost) -> dict[str, Any]:
    host = recorded.host
    ssh = recordable(host.ssh)
    return {
        "address": host.address,
        "placeholder": host.placeholder,
        "roles": list(host.roles),
        "ssh": {"user": ssh.user, "port": ssh.port, "privateKey": ssh.private_key},
        "env": dict(host.env),
        "labels": dict(host.labels),
        "taints": list(host.taints),
        "machineId": recorded.machine_id,
        "hostKey": recorded.host_key,
        "member": recorded.member,
    }


def _host_from_json(content: dict[str, Any]) -> RecordedHost:
    ssh = content["ssh"]
    host = Host(
        address=content["address"],
        roles=tuple(content["roles"]),
        ssh=Ssh(user=ssh["user"], port=ssh["port"], private_key=ssh["privateKey"]),
        env=content["env"],
        labels=content["labels"],
        taints=tuple(content["taints"]),
        placeholder=content["placeholder"],
    )
    return RecordedHost(host, content["machineId"], content["hostKey"], content["member"])
