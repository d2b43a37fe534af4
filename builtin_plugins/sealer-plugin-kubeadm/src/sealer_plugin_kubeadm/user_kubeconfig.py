"""The cluster in a kubeconfig of the user's own: put in beside what is there, taken out again."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from sealer.cluster.files import write_atomically
from sealer.documents import DocumentError, load_yaml
from sealer.errors import SealerError

_LISTS = ("clusters", "users", "contexts")


def place(environment: Mapping[str, str] = os.environ) -> Path:
    """Where kubectl looks first."""
    named = next((part for part in environment.get("KUBECONFIG", "").split(os.pathsep) if part), "")
    return Path(named) if named else Path.home() / ".kube" / "config"


def entry(cluster: str) -> str:
    """What the cluster's parts are called there."""
    return f"sealer-{cluster}"


def merge(path: Path, ours: bytes, cluster: str, *, only_new: bool) -> bool:
    """Put a kubeconfig's cluster, user and context into a file, under the cluster's name; nothing else is touched.

    :param ours: a kubeconfig with one of each, called :func:`entry`.
    :param only_new: not where the file exists and does not have the cluster yet.
    :returns: whether the file has it now.
    :raises SealerError: the file is no kubeconfig, has another cluster under that name, or cannot be written.
    """
    there = _read(path)
    name = entry(cluster)
    if there is not None and _authority(there, name) not in ("", _authority(yaml.safe_load(ours), name)):
        raise SealerError(
            f"The user's kubeconfig has another cluster as {name}, and keeps it",
            where=str(path),
            why="its certificate authority is another: it is of another home, or gone",
            remedy=f"Take it out (`kubectl config delete-cluster {name}`), or set spec.runtime.kubeconfig: never; this "
            "cluster's own kubeconfig is among its credentials.",
        )
    if only_new and there is not None and not _has(there, name):
        return False
    new: dict[str, Any] = yaml.safe_load(ours)
    merged = dict(there or {"apiVersion": "v1", "kind": "Config", "preferences": {}})
    for kind in _LISTS:
        others = [item for item in merged.get(kind) or [] if item.get("name") != name]
        merged[kind] = [*others, *new[kind]]
    if not merged.get("current-context"):
        merged["current-context"] = name
    if merged != there:
        _write(path, merged)
    return True


def remove(path: Path, cluster: str, authority: bytes) -> None:
    """Take the cluster out again; a file that has nothing else goes, and so does a directory that it was alone in.

    :param authority: the certificate of the cluster's authority: one of that name with another one stays.
    :raises SealerError: the file is no kubeconfig, or cannot be written.
    """
    there = _read(path)
    name = entry(cluster)
    if there is None or not _has(there, name):
        return
    if _authority(there, name) not in ("", base64.b64encode(authority).decode()):
        return
    for kind in _LISTS:
        there[kind] = [item for item in there.get(kind) or [] if item.get("name") != name]
    if there.get("current-context") == name:
        there["current-context"] = ""
    if any(there[kind] for kind in _LISTS):
        _write(path, there)
        return
    path.unlink(missing_ok=True)


def _has(content: Mapping[str, Any], name: str) -> bool:
    return any(item.get("name") == name for kind in _LISTS for item in content.get(kind) or [])


def _authority(content: Mapping[str, Any], name: str) -> str:
    """By what a cluster there is known, as the file has it; empty: there is no such cluster."""
    found: Mapping[str, Any] = next((item for item in content.get("clusters") or [] if item.get("name") == name), {})
    cluster = found.get("cluster")
    return str(cluster.get("certificate-authority-data", "")) if isinstance(cluster, dict) else ""


def _read(path: Path) -> dict[str, Any] | None:
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(path, str(error)) from error
    try:
        content = load_yaml(text)
    except DocumentError as error:
        raise _wrong(path, f"it is no YAML: {getattr(error, 'problem', '')}") from error
    if content is None:
        return None
    if not isinstance(content, dict):
        raise _wrong(path, "it is no mapping")
    for kind in _LISTS:
        items = content.get(kind) or []
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise _wrong(path, f"{kind} is no list of mappings")
    return content


def _write(path: Path, content: Mapping[str, Any]) -> None:
    target = path.resolve()  # a link stays one
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise _wrong(path, str(error)) from error
    write_atomically(target, yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True).encode())


def _wrong(path: Path, why: str) -> SealerError:
    return SealerError(
        "The cluster does not come into the user's kubeconfig",
        where=str(path),
        why=why,
        remedy="Fix that file, or set spec.runtime.kubeconfig: never; the cluster's own is among its credentials.",
    )
