"""A kubeconfig that a user names: one context of it, complete in itself."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sealer.documents import DocumentError, load_yaml
from sealer.errors import InputError

# Fields that name a file, and those that hold its content in its place.
_CLUSTER_FILES = {"certificate-authority": "certificate-authority-data"}
_USER_FILES = {"client-certificate": "client-certificate-data", "client-key": "client-key-data"}


@dataclass(frozen=True)
class Kubeconfig:
    """What the current context of a file says.

    :param server: URL of the API server.
    :param content: a kubeconfig of that context alone, which names no other file. It is secret.
    """

    server: str
    content: bytes = field(repr=False)


def read(path: Path) -> Kubeconfig:
    """Read the current context.

    :raises InputError: the file, or one that it names, cannot be read, or it is no kubeconfig.
    """
    content = _parsed(path)
    name = content.get("current-context")
    if not name:
        known = ", ".join(str(item.get("name", "")) for item in _items(path, content, "contexts")) or "none"
        raise _wrong(path, f"it has no current-context; its contexts: {known}", "`kubectl config use-context` sets it.")
    context = _named(path, content, "contexts", name, "context")
    cluster = dict(_named(path, content, "clusters", context.get("cluster"), "cluster"))
    user = dict(_named(path, content, "users", context["user"], "user")) if context.get("user") else {}
    server = cluster.get("server")
    if not isinstance(server, str) or not server:
        raise _wrong(path, f"the cluster {context['cluster']} has no server")
    for part, files in ((cluster, _CLUSTER_FILES), (user, _USER_FILES)):
        for there, here in files.items():
            if (file := part.pop(there, "")) and not part.get(here):
                part[here] = base64.b64encode(_file(path, file)).decode()
    if file := user.pop("tokenFile", ""):  # the token itself stands there as it is
        user["token"] = _file(path, file).decode("utf-8", "replace").strip()
    program = user.get("exec")
    if isinstance(program, dict) and "/" in str(program.get("command", "")):
        user["exec"] = {**program, "command": str(path.parent / program["command"])}
    kept = {key: value for key, value in context.items() if key not in ("cluster", "user")}
    alone = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "cluster", "cluster": cluster}],
        "users": [{"name": "user", "user": user}],
        "contexts": [{"name": "context", "context": {**kept, "cluster": "cluster", "user": "user"}}],
        "current-context": "context",
    }
    return Kubeconfig(server, yaml.safe_dump(alone, sort_keys=False).encode())


def _parsed(path: Path) -> Mapping[str, Any]:
    try:
        content = load_yaml(path.read_text("utf-8"))
    except FileNotFoundError as error:
        remedy = "Name the file where it is now with --kubeconfig."
        raise InputError("there is no such kubeconfig", where=str(path), remedy=remedy) from error
    except OSError as error:
        raise _wrong(path, error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise _wrong(path, "it is no text") from error
    except DocumentError as error:  # its own message would show lines of the file
        raise _wrong(path, "it is no YAML") from error
    if not isinstance(content, dict) or content.get("kind", "Config") != "Config" or "clusters" not in content:
        raise _wrong(path, "it is no mapping of kind Config with clusters, users and contexts")
    return content


def _items(path: Path, content: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    items = content.get(kind) or []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise _wrong(path, f"{kind} is no list of mappings")
    return items


def _named(path: Path, content: Mapping[str, Any], kind: str, name: object, what: str) -> Mapping[str, Any]:
    for item in _items(path, content, kind):
        if item.get("name") == name and isinstance(item.get(what), dict):
            found: Mapping[str, Any] = item[what]
            return found
    raise _wrong(path, f"there is no {what} '{name}' in it")


def _file(path: Path, name: object) -> bytes:
    """A file that the kubeconfig names, beside it where the name is relative."""
    file = path.parent / str(name)
    try:
        return file.read_bytes()
    except OSError as error:
        raise _wrong(path, f"it names {file}: {error.strerror or error}") from error


def _wrong(path: Path, why: str, remedy: str = "Check --kubeconfig.") -> InputError:
    return InputError("the file is no kubeconfig that can be used", where=str(path), why=why, remedy=remedy)
