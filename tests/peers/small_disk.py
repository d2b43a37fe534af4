"""A disk that is soon full: a tmpfs of a few megabytes, which only root can mount."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MIB = 1024 * 1024
NAME = "sealer-test-disk-"  # of the mount, with the number of the process whose tests it is for
needs_root = pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="mounts need root on Linux")


@contextmanager
def small_disk(place: Path, size: int) -> Iterator[Path]:
    """Mount one; what a killed test left mounted goes first, and this one at the end, whoever still reads it.

    :param size: bytes.
    """
    _remove_stale()
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", f"{NAME}{os.getpid()}", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def resize(disk: Path, size: int) -> None:
    """Give a disk another size, in bytes."""
    subprocess.run(["mount", "-o", f"remount,size={size}", disk], check=True)


def fill(disk: Path) -> Path:
    """Fill it to the last byte; the file to be removed is returned."""
    filler = disk / "filler"
    try:
        with filler.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
    except OSError:
        pass
    assert os.statvfs(disk).f_bavail == 0
    return filler


def _remove_stale() -> None:
    for line in Path("/proc/mounts").read_text().splitlines():
        source, place, *_ = line.split(" ")
        owner = source.removeprefix(NAME)
        if owner != source and not Path("/proc", owner).exists():
            subprocess.run(["umount", "--lazy", place.encode().decode("unicode_escape")], check=False)
