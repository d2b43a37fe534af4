"""`--from DIR`: a directory with `bin/`, `cni/` and `images/`; of several architectures, `bin/<arch>/`."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sealer.errors import InputError
from sealer.image.storage import storage_errors
from sealer_plugin_kubeadm.base.versions import ARCHITECTURES

NEEDED = ("kubeadm", "kubelet", "kubectl", "containerd", "containerd-shim-runc-v2", "ctr", "runc", "registry")
NEEDED_PLUGINS = ("bridge", "host-local", "loopback", "portmap")
_ELF = b"\x7fELF"
_MACHINES = {62: "amd64", 183: "arm64", 21: "ppc64le", 22: "s390x"}


@dataclass(frozen=True)
class Payload:
    """A directory of programs and images.

    :param programs: the directory of the programs, and that of the CNI plugins, by architecture.
    :param images: where image archives are; None: there are none.
    """

    programs: dict[str, tuple[Path, Path]]
    images: Path | None


def read_payload(directory: Path, wanted: Sequence[str], plugins: Sequence[str] = NEEDED_PLUGINS) -> Payload:
    """Look at a directory, and at every program that is needed.

    :param wanted: architectures; empty: those that it has.
    :param plugins: the CNI plugins that are needed.
    :raises InputError: it lacks something, or has programs of another architecture.
    """
    if not (directory / "bin").is_dir():
        raise InputError(
            f"--from {directory}",
            why="the directory bin is missing",
            remedy="give a directory with bin/, cni/ and images/",
        )
    several = [name for name in ARCHITECTURES if (directory / "bin" / name).is_dir()]
    if several:
        places = {name: (directory / "bin" / name, directory / "cni" / name) for name in several}
    else:
        places = {_machine(directory / "bin" / "kubeadm"): (directory / "bin", directory / "cni")}
    for name in wanted:
        if name not in places:
            raise InputError(f"--arch {name}", why=f"{directory} has programs of {', '.join(places)}")
    chosen = {name: places[name] for name in wanted or places}
    for architecture, (programs, cni) in chosen.items():
        _require(programs, NEEDED, architecture)
        _require(cni, plugins, architecture)
    images = directory / "images"
    return Payload(chosen, images if images.is_dir() else None)


def files(directory: Path) -> list[Path]:
    """The programs of a directory, by name."""
    with storage_errors("the programs cannot be read", directory):
        return [path for path in sorted(directory.iterdir()) if path.is_file()]


def _require(directory: Path, names: Sequence[str], architecture: str) -> None:
    missing = [name for name in names if not (directory / name).is_file()]
    if missing:
        raise InputError(f"{directory} lacks {', '.join(missing)}", remedy="put them there; each is a single program")
    for name in names:
        found = _machine(directory / name)
        if found != architecture:
            raise InputError(f"{directory / name} is a program of {found}, not of {architecture}")


def _machine(path: Path) -> str:
    """The architecture of a program, by its ELF header.

    :raises InputError: it is no program of Linux.
    """
    try:
        with path.open("rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise InputError(f"{path} is no file")
            head = file.read(20)
    except OSError as error:
        raise InputError(f"{path} cannot be read", why=error.strerror or str(error)) from None
    if head[:4] != _ELF or len(head) < 20:
        raise InputError(f"{path} is no program", why="it has no ELF header")
    number = int.from_bytes(head[18:20], "little" if head[5] == 1 else "big")
    return _MACHINES.get(number, f"machine {number}")
