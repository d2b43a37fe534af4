"""The file that brings sealer onto a machine without internet: `sealer-offline-VERSION-ARCH.tar.gz`.

In it are the wheels of all distributions of this tree and of what they need, for several versions of Python; for each
of these a list of exact versions with hashes; pip, which installs them; and the installer of `tools/offline/`.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import archives
from install_all import ROOT

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
# Debian 12 has 2.36, RHEL 8 has this; the installer refuses what is older than the chosen wheels want.
NEWEST_GLIBC = 28
_OLD_TAGS = {"manylinux2014": 17, "manylinux2010": 12, "manylinux1": 5}
INSTALLER = ROOT / "tools" / "offline"


@dataclass(frozen=True)
class OfflineFiles:
    """What goes into the file for one architecture.

    :param wheels: ours and those of others, each once.
    :param requirements: for each version of Python, lines of exact versions with the hashes of these wheels.
    :param glibc: the oldest minor version of glibc 2 that all wheels run with.
    """

    wheels: tuple[Path, ...]
    requirements: dict[str, str]
    glibc: int


def gather(own: Sequence[Path], work: Path, pythons: Sequence[str], machine: str, constraints: Path) -> OfflineFiles:
    """Resolve and download what these wheels need.

    :param own: the wheels of our distributions.
    :param work: directory for the downloads.
    :param pythons: versions such as 3.11.
    :param machine: one of :data:`MACHINES`.
    :param constraints: file with the versions that are known to work.
    :raises subprocess.CalledProcessError: something cannot be resolved, or has no wheel for this.
    """
    work.mkdir(parents=True, exist_ok=True)
    wanted = work / "wanted.txt"
    wanted.write_text(
        "".join(f"{path.name.split('-')[0].replace('_', '-')} @ {path.as_uri()}\n" for path in own) + "pip\n"
    )
    wheels: dict[str, Path] = {path.name: path for path in own}
    requirements = {}
    for python in pythons:
        resolved = _resolve(wanted, python, MACHINES[machine], constraints)
        directory = work / python
        _download(resolved, directory, python, MACHINES[machine])
        found = {path.name: wheels.setdefault(path.name, path) for path in directory.glob("*.whl")}
        requirements[python] = "".join(_requirement(path) for path in sorted([*own, *found.values()], key=_name))
    glibc = max((_glibc(name) for name in wheels), default=0)
    return OfflineFiles(tuple(sorted(wheels.values(), key=_name)), requirements, glibc)


def pack(files: OfflineFiles, target: Path, version: str, machine: str, *, also: Sequence[Path], moment: int) -> Path:
    """Write the file into the directory `target`.

    :param also: files to put beside the installer.
    :param moment: seconds since 1970 that all files bear.
    """
    top = f"sealer-offline-{version}-{machine}"
    about = {
        "version": version,
        "machine": MACHINES[machine],
        "pythons": list(files.requirements),
        "glibc": files.glibc,
        "wheels": {path.name: _digest(path) for path in files.wheels},
    }
    content = {
        **{f"wheels/{path.name}": path.read_bytes() for path in files.wheels},
        **{f"requirements/{python}.txt": text.encode() for python, text in files.requirements.items()},
        **{path.name: path.read_bytes() for path in [*also, *sorted(INSTALLER.iterdir())] if path.is_file()},
        "about.json": (json.dumps(about, indent=1) + "\n").encode(),
    }
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(content.items()))
    content["SHA256SUMS"] = sums.encode()
    members = [(f"{top}/{name}", data, 0o755 if name == "install.sh" else 0o644) for name, data in content.items()]
    archive = target / f"{top}.tar.gz"
    archives.write(archive, members, moment)
    return archive


def _resolve(wanted: Path, python: str, machine: str, constraints: Path) -> Path:
    """Exact versions, with the hashes of all files of each; markers are those of the target."""
    resolved = wanted.with_name(f"resolved-{python}.txt")
    command = [sys.executable, "-m", "uv", "pip", "compile", "-q", "--no-header", "--no-annotate", "--generate-hashes"]
    about = ["--python-version", python, "--python-platform", f"{machine}-manylinux_2_{NEWEST_GLIBC}"]
    files = ["--only-binary", ":all:", "-c", str(constraints), "-o", str(resolved), str(wanted)]
    subprocess.run([*command, *about, *files], check=True)
    return resolved


def _download(resolved: Path, directory: Path, python: str, machine: str) -> None:
    """The wheels of others, checked against the hashes."""
    others = re.sub(r"(?m)^\S+ @ file:.*\n(?:    .*\n)*", "", resolved.read_text())
    listed = resolved.with_name(f"others-{python}.txt")
    listed.write_text(others)
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(NEWEST_GLIBC, 4, -1)]
    tags += [f"{old}_{machine}" for old in _OLD_TAGS]
    platforms = [word for tag in tags for word in ("--platform", tag)]
    abis = [word for abi in (f"cp{python.replace('.', '')}", "abi3", "none") for word in ("--abi", abi)]
    command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
    target = ["--only-binary=:all:", "--implementation", "cp", "--python-version", python, *abis, *platforms]
    subprocess.run([*command, *target, "--require-hashes", "-d", str(directory), "-r", str(listed)], check=True)


def _requirement(wheel: Path) -> str:
    name, version, *_ = wheel.name.split("-")
    return f"{name.replace('_', '-').lower()}=={version} --hash=sha256:{_digest(wheel)}\n"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _name(path: Path) -> str:
    return path.name


def _glibc(wheel: str) -> int:
    """The oldest minor version of glibc 2 that a wheel runs with; it may have several tags."""
    tags = wheel.removesuffix(".whl").rpartition("-")[2].split(".")
    minors = [_OLD_TAGS.get(tag.partition("_")[0], 0) for tag in tags]
    minors += [int(match[1]) for tag in tags if (match := re.match(r"manylinux_2_(\d+)_", tag))]
    return min((minor for minor in minors if minor), default=0)
