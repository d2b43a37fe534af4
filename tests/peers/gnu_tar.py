"""GNU tar in a jail: what it makes of bytes that nobody vouches for, listed and unpacked."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

# As hosts unpack layers (sealer.cluster.distribution).
UNPACK = ("--no-same-owner", "--exclude=.wh.*", "-xp")
_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_LINE = re.compile(rf"([-dlhC])([-rwxsStT]{{9}}) +\d+/\d+ +(\d+) +\S+ +\S+ +{_QUOTED}(?:(?: -> | link to ){_QUOTED})?")
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)
_SIGNS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v", b"\\": b"\\"}
_KINDS = {"-": "file", "C": "file", "d": "directory", "l": "symlink", "h": "hardlink"}

Found = tuple[str, int, str, bytes]  # kind, permission bits, target of a symlink, content of a file


@dataclass(frozen=True)
class Answer:
    """What GNU tar says.

    :param listed: kind, permission bits, size, name and link target of each member.
    :param unpacked: what lies under each path afterwards.
    :param faults: what it printed about what it did not like; empty: it was content.
    """

    listed: list[tuple[str, int, int, str, str]]
    unpacked: dict[str, Found]
    faults: str


class Jail:
    """A directory with tar and nothing else, which is the root of what runs in it."""

    def __init__(self, directory: Path) -> None:
        self._root = directory
        program = shutil.which("tar")
        assert program, "GNU tar is needed"
        libraries = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        for library in re.findall(r"(/\S+)", libraries):
            target = directory / library.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, target)
        shutil.copy(program, directory / "tar")
        self._out = directory / "out"
        apart = [] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user"]
        self._command = [*apart, "chroot", str(directory), "/tar", "--directory=/out"]

    def read(self, archive: bytes) -> Answer:
        """List and unpack an archive."""
        self._out.mkdir()
        try:
            look = ("--quoting-style=c", "--numeric-owner", "-tv")
            listing, faults = self._run(look, archive)
            _, more = self._run(UNPACK, archive)
            return Answer(_listed(listing), self._unpacked(), faults + more)
        finally:
            shutil.rmtree(self._out)

    def _run(self, options: tuple[str, ...], archive: bytes) -> tuple[str, str]:
        done = subprocess.run(
            [*self._command, *options, "--file=-"],
            input=archive,
            capture_output=True,
            env={"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            check=False,
            umask=0o022,
            timeout=60,
        )
        said = done.stderr.decode("utf-8", "backslashreplace")
        return os.fsdecode(done.stdout), said if done.returncode else ""

    def _unpacked(self) -> dict[str, Found]:
        found: dict[str, Found] = {}
        for path in sorted(self._out.rglob("*")):
            status = path.lstat()
            bits = stat.S_IMODE(status.st_mode)
            name = str(path.relative_to(self._out))
            if stat.S_ISLNK(status.st_mode):
                found[name] = ("symlink", 0, os.readlink(path), b"")  # noqa: PTH115 - as a text
            elif stat.S_ISDIR(status.st_mode):
                found[name] = ("directory", bits, "", b"")
            else:
                assert stat.S_ISREG(status.st_mode), f"a special file: {name}"
                found[name] = ("file", bits, "", path.read_bytes())
        return found


def _listed(listing: str) -> list[tuple[str, int, int, str, str]]:
    found = []
    for line in listing.splitlines():
        match = _LINE.fullmatch(line)
        assert match, f"a member that only GNU tar sees: {line!r}"
        kind, bits, size, name, link = match.groups()
        found.append((_KINDS[kind], _bits(bits), int(size), _unquoted(name), _unquoted(link or "")))
    return found


def _bits(text: str) -> int:
    value = 0
    for place, sign in enumerate(text):
        value |= (0o400 >> place) if sign not in "-ST" else 0
        value |= (0o4000 >> place // 3) if sign in "sStT" else 0
    return value


def _unquoted(text: str) -> str:
    def one(match: re.Match[bytes]) -> bytes:
        sign = match[1]
        return bytes([int(sign, 8)]) if len(sign) == 3 else _SIGNS.get(sign, sign)

    return os.fsdecode(_ESCAPE.sub(one, os.fsencode(text)))
