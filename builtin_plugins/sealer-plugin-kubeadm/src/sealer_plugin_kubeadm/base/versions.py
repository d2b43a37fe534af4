"""Which version of everything goes with a version of Kubernetes: `versions.yml`, which people read and mend."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from sealer.errors import InputError

OVERRIDABLE = ("containerd", "runc", "cni-plugins", "crictl", "registry")
ARCHITECTURES = ("amd64", "arm64", "ppc64le", "s390x")
_KUBERNETES = re.compile(r"v?(1\.\d{1,3})\.\d{1,3}(-(alpha|beta|rc)\.\d+)?")
_VERSION = re.compile(r"v?(\d+(\.\d+){1,2}([-+][0-9A-Za-z.]+)?)")


@dataclass(frozen=True)
class Versions:
    """Of one base image.

    :param kubernetes: with its v: `v1.30.4`.
    :param parts: by name, without a v; images of etcd, coredns and pause by their tags, haproxy as a reference.
    :param known: whether the table has a line for this minor version; else the newest line stands in.
    """

    kubernetes: str
    parts: Mapping[str, str]
    known: bool = True


def versions_of(kubernetes: str, given: Mapping[str, str]) -> Versions:
    """What goes with a version of Kubernetes.

    :param given: of some parts, over what the table says.
    :raises InputError: what is given is no version.
    """
    match = _KUBERNETES.fullmatch(kubernetes)
    if not match:
        raise InputError(
            f"--version {kubernetes}", why="not a full version of Kubernetes", remedy="write it as v1.30.4"
        )
    own = {name: _version(name, text) for name, text in given.items()}
    table = _table()
    lines: Mapping[str, Mapping[str, str]] = table["kubernetes"]
    minor = match[1]
    line = lines.get(minor) or lines[max(lines, key=_minor)]
    if _minor(minor) < min(map(_minor, lines)):
        raise InputError(f"--version {kubernetes}", why=f"the oldest is 1.{min(map(_minor, lines))}")
    return Versions(f"v{kubernetes.removeprefix('v')}", {**table["usual"], **line, **own}, minor in lines)


def downloads() -> list[Mapping[str, Any]]:
    """The entries of `downloads`."""
    found: list[Mapping[str, Any]] = _table()["downloads"]
    return found


def _minor(text: str) -> int:
    return int(text.partition(".")[2])


def _version(name: str, text: str) -> str:
    match = _VERSION.fullmatch(text)
    if not match:
        raise InputError(f"--{name}-version {text}", why="it is no version", remedy="write it as 1.7.27")
    return match[1]


@cache
def _table() -> dict[str, Any]:
    import yaml  # noqa: PLC0415  # `sealer kubernetes --help` does without

    text = resources.files(__package__).joinpath("versions.yml").read_text(encoding="utf-8")
    table: dict[str, Any] = yaml.safe_load(text)
    return table
