"""`--packages DIR`: packages of distributions, which the image's scripts install on hosts that lack a program."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sealer.errors import InputError
from sealer.image.storage import storage_errors

_NAMES = {
    ".deb": re.compile(r"[\w.+~%:-]+_([a-z0-9]+)\.deb", re.ASCII),
    ".rpm": re.compile(r"[\w.+~%^:-]+\.([a-z0-9_]+)\.rpm", re.ASCII),
}
_MACHINES = {
    **{"amd64": "amd64", "arm64": "arm64", "ppc64el": "ppc64le", "s390x": "s390x"},
    **{"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64le"},
}
_ANY = ("all", "noarch")
_HEADS = {".deb": b"!<arch>\n", ".rpm": b"\xed\xab\xee\xdb"}

Packages = Mapping[str, Sequence[Path]]  # by distribution, as `debian-12`; empty for those of every one


def read_packages(directory: Path, architecture: str) -> Packages:
    """The packages of a directory that are for an architecture.

    :param directory: has `*.deb` and `*.rpm`, and directories of these that are called as distributions are.
    :raises InputError: something in it is no package, or nothing is for this architecture.
    """
    if not directory.is_dir():
        raise InputError(f"--packages {directory}", why="it is no directory")
    found: dict[str, list[Path]] = {}
    with storage_errors("the packages cannot be read", directory):
        for distribution, path in _files(directory):
            if _machine(path) in (architecture, ""):
                found.setdefault(distribution, []).append(path)
    if not found:
        raise InputError(
            f"--packages {directory}",
            why=f"it has no package for {architecture}",
            remedy="put *.deb and *.rpm there, or in directories such as debian-12 and rhel-9",
        )
    return found


def place_packages(packages: Packages, directory: Path) -> None:
    """Copy packages to where the scripts look for them."""
    with storage_errors("the build context could not be written", directory):
        for distribution, paths in packages.items():
            target = directory / distribution
            target.mkdir(parents=True, exist_ok=True)
            for path in paths:
                shutil.copyfile(path, target / path.name)
                (target / path.name).chmod(0o644)


def _files(directory: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(directory.iterdir()):
        if path.name.startswith("."):
            continue
        if not path.is_dir():
            yield "", path
        elif re.fullmatch(r"[\w.-]+", path.name, re.ASCII):
            yield from ((path.name, inner) for inner in sorted(path.iterdir()) if not inner.name.startswith("."))
        else:
            raise InputError(f"{path} is called as no distribution is", remedy="write it as debian-12")


def _machine(path: Path) -> str:
    """The architecture of a package, by its name; empty: it is for all.

    :raises InputError: it is no package.
    """
    pattern = _NAMES.get(path.suffix)
    match = pattern.fullmatch(path.name) if pattern else None
    if not match or match[1] not in {*_ANY, *_MACHINES}:
        raise InputError(
            f"{path} is no package by its name",
            remedy="the name of a package ends as those of its distribution do, in _amd64.deb or .x86_64.rpm",
        )
    head = _HEADS[path.suffix]
    with path.open("rb") as file:
        if file.read(len(head)) != head:
            raise InputError(f"{path} is no package", why=f"its content is not that of a {path.suffix}")
    return _MACHINES.get(match[1], "")
