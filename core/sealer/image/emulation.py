"""Whether this machine executes programs of another architecture, and where a rootfs needs that.

A RUN is the machine's own shell with the machine's own programs. Foreign are only the programs of the rootfs, and its
`bin` is first on PATH: what lies there, a command may find. Whether the machine can execute it is tried, not read from
a list of handlers: a handler may be there with its emulator gone, and the kernel may need none.
"""

from __future__ import annotations

import stat
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sealer.errors import BuildError
from sealer.image.platforms import host_platform
from sealer.image.storage import storage_errors

REMEDY = (
    "install qemu-user-static and binfmt-support (Debian, Ubuntu) or qemu-user-static (Fedora, EL with a repository "
    "that has it), or build on a machine of {architecture}"
)
MOST_NAMED = 3
_SECONDS = 30  # an emulator's first start on a busy machine
_ELF = b"\x7fELF"
_LITTLE, _BIG = "<", ">"
_BASE = 0x400000


@dataclass(frozen=True)
class _Machine:
    """An architecture's mark in an ELF file, and its shortest program: one that ends with status 0.

    :param number: `e_machine`.
    :param flags: `e_flags`.
    :param code: `exit(0)`.
    """

    number: int
    code: bytes
    flags: int = 0
    order: str = _LITTLE
    wide: bool = True  # 64 bits

    @property
    def program(self) -> bytes:
        """The ELF file: a header, one segment, the code."""
        header, segment = (64, 56) if self.wide else (52, 32)
        size = header + segment + len(self.code)
        ident = _ELF + bytes([1 + self.wide, 1 + (self.order == _BIG), 1])
        word = "Q" if self.wide else "I"
        parts = struct.pack(
            f"{self.order}16sHHI{word * 3}IHHHHHH",
            *(ident, 2, self.number, 1, _BASE + header + segment, header, 0, self.flags),
            *(header, segment, 1, 0, 0, 0),
        )
        if self.wide:
            parts += struct.pack(f"{self.order}IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x10000)
        else:
            parts += struct.pack(f"{self.order}8I", 1, 0, _BASE, _BASE, size, size, 5, 0x10000)
        return parts + self.code


_MACHINES = {
    "386": _Machine(3, bytes.fromhex("31db b801000000 cd80"), wide=False),
    "amd64": _Machine(62, bytes.fromhex("31ff b83c000000 0f05")),
    "arm": _Machine(40, struct.pack("<3I", 0xE3A00000, 0xE3A07001, 0xEF000000), flags=0x05000000, wide=False),
    "arm64": _Machine(183, struct.pack("<3I", 0xD2800000, 0xD2800BA8, 0xD4000001)),
    "loong64": _Machine(258, struct.pack("<3I", 0x02800004, 0x0281740B, 0x002B0000), flags=0x43),
    "mips64le": _Machine(8, struct.pack("<3I", 0x240213C2, 0x24040000, 0x0000000C), flags=0x80000007),
    "ppc64le": _Machine(21, struct.pack("<3I", 0x38000001, 0x38600000, 0x44000002), flags=2),
    "riscv64": _Machine(243, struct.pack("<3I", 0x00000513, 0x05D00893, 0x00000073)),
    "s390x": _Machine(22, struct.pack(">IH", 0xA7290000, 0x0A01), order=_BIG),
}


def executes(architecture: str, directory: Path) -> bool | None:
    """Whether this machine executes programs of an architecture; None: it cannot be told.

    :param architecture: by its OCI name.
    :param directory: where a program may be written and executed for a moment.
    :raises ImageError: it cannot be written.
    """
    if architecture == host_platform().split("/")[1]:
        return True
    if architecture not in _MACHINES:
        return None
    path = directory / "probe"
    with storage_errors("a program could not be tried", path):
        path.unlink(missing_ok=True)
        path.write_bytes(_MACHINES[architecture].program)
        path.chmod(0o700)
    try:
        return _ends_well(path)
    finally:
        path.unlink()


def _ends_well(path: Path) -> bool:
    try:
        done = subprocess.run(
            [path], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={}, timeout=_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def prepare_run(platform: str, rootfs: Path) -> str:
    """See to it that a RUN finds no program that this machine cannot execute.

    :param platform: `linux/arm64`, of the rootfs.
    :param rootfs: its directory; the one above it is the build's own.
    :returns: what to say when the command fails all the same; empty for a platform that is executed here.
    :raises BuildError: its `bin` has such a program.
    """
    architecture = platform.split("/")[1]
    known = executes(architecture, rootfs.parent)
    if known:
        return ""
    remedy = REMEDY.format(architecture=architecture)
    found = [] if known is None else sorted(_programs(rootfs / "bin", _MACHINES[architecture]))
    if found:
        more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
        raise BuildError(
            f"this machine cannot execute programs of {architecture}",
            why=f"the rootfs has {', '.join(found[:MOST_NAMED])}{more}, first on the PATH of a RUN",
            remedy=remedy,
        )
    own = host_platform().split("/")[1]
    return (
        f"fix the command and build again; if it starts a program of {architecture}, which this machine of {own} "
        f"cannot execute, {remedy}"
    )


def _programs(directory: Path, machine: _Machine) -> Iterator[str]:
    """Those of an architecture, by name."""
    for path in directory.iterdir() if directory.is_dir() else ():
        state = path.lstat()
        if stat.S_ISREG(state.st_mode) and state.st_mode & 0o111:
            with path.open("rb") as file:
                start = file.read(20)
            if start.startswith(_ELF) and start[18:20] == struct.pack(f"{machine.order}H", machine.number):
                yield f"{directory.name}/{path.name}"
