"""The recorded state of a cluster, on disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sealer.cluster.files import sync_directory, write_atomically, writing
from sealer.cluster.home import ClusterHome
from sealer.clusterfile.model import Cluster, Clusterfile
from sealer.clusterfile.reading import read
from sealer.clusterfile.secrets import recordable, without_secrets
from sealer.clusterfile.writing import write
from sealer.documents import load_json
from sealer.errors import InputError, SealerError
from sealer.extension.operation import Recorded, RecordedHost
from sealer.hosts import Host, Ssh

FORMAT = 1
UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)  # what a damaged file makes of a reader


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
        "cluster": _essentials(recorded.clusterfile.cluster or Cluster(name=recorded.name)),
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


class DamagedRecordError(SealerError):
    """A file of a cluster's record cannot be read: whoever deletes the cluster with force can do without."""


def load(home: ClusterHome) -> Recorded | None:
    """What is recorded; None when the cluster is unknown.

    :raises SealerError: the files are damaged, or of a later sealer.
    """
    found = load_state(home)
    if found is None:
        return None
    path = home.clusterfile if home.clusterfile.exists() else home.pending_clusterfile
    return replace(found, clusterfile=load_clusterfile(home, path))


def load_state(home: ClusterHome) -> Recorded | None:
    """The same without the Clusterfile, which is in files of its own.

    :raises SealerError: the file is damaged, or of a later sealer.
    """
    try:
        content = load_json(home.state.read_bytes())
        if content["format"] != FORMAT:
            raise SealerError(
                "The cluster's state was written by another version of sealer",
                where=str(home.state),
                why=f"format {content['format']}, this sealer reads {FORMAT}",
                remedy="Use the sealer that wrote it.",
            )
        return Recorded(
            name=content["name"],
            status=content["status"],
            hosts=tuple(host_from_json(host) for host in content["hosts"]),
            clusterfile=Clusterfile(),
            image=content["image"],
            image_digest=content["imageDigest"],
            applications=dict(content["applications"]),
            pending_image=content.get("pendingImage", ""),
            runtime=content.get("runtime", ""),
            registry=content.get("registry", ""),
            foreign=content.get("foreign", False),
            id=content.get("id") or kept_id(home),
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, *UNREADABLE) as error:
        raise damaged(home, home.state, _reason(error)) from error


def load_clusterfile(home: ClusterHome, path: Path) -> Clusterfile:
    """One of the two Clusterfiles in a cluster's record.

    :raises DamagedRecordError: it is empty, damaged, or not there.
    """
    try:
        found = read(path.read_text("utf-8"), str(path), recorded=True)
    except FileNotFoundError:
        raise damaged(home, path, "the file is missing") from None
    except (OSError, ValueError, SealerError) as error:
        raise damaged(home, path, _reason(error)) from error
    if found.cluster is None:
        raise damaged(home, path, "there is no Cluster in it")
    return found


def damaged(home: ClusterHome, path: Path, why: str) -> DamagedRecordError:
    """The error for a file of a cluster's record that cannot be used."""
    return DamagedRecordError(
        f"The record of the cluster '{home.name}' is damaged",
        where=str(path),
        why=why,
        remedy=f"Restore the file from a backup. `sealer delete --all --force --name {home.name}` deletes the cluster "
        "without it, as far as its hosts are still known.",
    )


def _reason(error: Exception) -> str:
    if isinstance(error, InputError) and error.problems:
        return str(error.problems[0])
    if isinstance(error, SealerError):
        return error.why or error.what
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return f"{type(error).__name__}: {error}"


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
    return load_clusterfile(home, path) if path.exists() else None


def change_hosts(recorded: Recorded, change: Callable[[RecordedHost], RecordedHost | None]) -> Recorded:
    """`recorded` with each host changed, or left out where `change` gives None."""
    changed = (change(host) for host in recorded.hosts)
    return replace(recorded, hosts=tuple(host for host in changed if host is not None))


def same_logins(one: Recorded, other: Recorded) -> bool:
    """Whether the same is recorded of how to log in to each host."""
    logins = [[_host_as_json(entry)["ssh"] for entry in recorded.hosts] for recorded in (one, other)]
    return logins[0] == logins[1]


def _essentials(cluster: Cluster) -> dict[str, Any]:
    """What a delete must know of a cluster whose Clusterfile is lost."""
    clean = without_secrets(Clusterfile(cluster=cluster)).cluster or cluster
    return {
        "dataRoot": clean.data_root,
        "provider": {"name": clean.provider.name, "options": dict(clean.provider.options)},
        "transport": {"name": clean.transport.name, "options": dict(clean.transport.options)},
    }


def _host_as_json(recorded: RecordedHost) -> dict[str, Any]:
    host = recorded.host
    ssh = recordable(host)
    return {
        "address": host.address,
        "placeholder": host.placeholder,
        "roles": list(host.roles),
        "ssh": {
            "user": ssh.user,
            "port": ssh.port,
            "privateKey": ssh.private_key,
            "config": ssh.config,
            "alias": ssh.alias,
        },
        "env": dict(host.env),
        "labels": dict(host.labels),
        "taints": list(host.taints),
        "machineId": recorded.machine_id,
        "hostKey": recorded.host_key,
        "member": recorded.member,
    }


def host_from_json(content: Mapping[str, Any]) -> RecordedHost:
    """A host of `state.json`.

    :raises KeyError, TypeError: it is damaged.
    """
    ssh = content["ssh"]
    host = Host(
        address=content["address"],
        roles=tuple(content["roles"]),
        ssh=Ssh(
            user=ssh["user"],
            port=ssh["port"],
            private_key=ssh["privateKey"],
            config=ssh.get("config", ""),
            alias=ssh.get("alias", ""),
        ),
        env=content["env"],
        labels=content["labels"],
        taints=tuple(content["taints"]),
        placeholder=content["placeholder"],
    )
    return RecordedHost(host, content["machineId"], content["hostKey"], content["member"])
