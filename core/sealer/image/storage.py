"""What the operating system says about the disk, in the user's words."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from sealer.errors import ImageError

_REMEDIES = {
    errno.ENOSPC: "free some space (`sealer images`, `sealer rmi`), or point SEALER_HOME to a larger disk",
    errno.EDQUOT: "free some of your quota or point SEALER_HOME to another disk, then run it again",
    errno.EROFS: "point SEALER_HOME to a disk that can be written",
    errno.EACCES: "check the permissions, or point SEALER_HOME to a directory of yours",
    errno.EPERM: "check the permissions, or run it as root",
}
_HARDLY = 1024 * 1024  # bytes: with fewer free, a disk is full for a program that writes in larger pieces


@contextmanager
def storage_errors(what: str, where: str | os.PathLike[str] = "") -> Iterator[None]:
    """Turn an OSError into an ImageError that says what was done, where, why, and how to go on."""
    try:
        yield
    except OSError as error:
        place = shown(error.filename if isinstance(error.filename, str | bytes) else where)
        why = "no space left on the disk" if error.errno == errno.ENOSPC else (error.strerror or str(error))
        raise ImageError(what, where=place, why=why, remedy=_REMEDIES.get(error.errno or 0, "")) from error


def make_directories(path: Path) -> None:
    """`path` and those above it that are missing, all of them for their owner alone; what exists stays as it is."""
    # mkdir's own `parents` makes the upper ones as the umask has them.
    for directory in reversed([path, *path.parents]):
        if not directory.is_dir():
            directory.mkdir(mode=0o700, exist_ok=True)


def full_disk_remedy(place: Path) -> str:
    """What to do about a disk on which something just failed, if it is full; else nothing."""
    try:
        status = os.statvfs(place)
    except OSError:
        return ""
    return _REMEDIES[errno.ENOSPC] if status.f_bavail * status.f_frsize < _HARDLY else ""


def shown(path: str | bytes | os.PathLike[str]) -> str:
    """A path for a message: names need not be UTF-8, messages must."""
    return os.fsencode(path).decode("utf-8", "replace")


def sync_directory(path: Path) -> None:
    """Make renames in a directory survive a power loss."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(path: Path, content: bytes) -> None:
    """Replace a file so that a crash leaves the old content or the new one, never a part; one writer at a time."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def remove_tree(path: Path) -> None:
    """Remove a directory with all it holds, however deep, also where a directory in it forbids writing."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    waiting = [os.fspath(path)]
    emptied: list[str] = []
    while waiting:
        directory = waiting.pop()
        emptied.append(directory)
        os.chmod(directory, 0o700)  # noqa: PTH101 - a Path for each of many files is slow
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    os.unlink(entry.path)  # noqa: PTH108
    for directory in reversed(emptied):
        os.rmdir(directory)  # noqa: PTH106


def open_file(path: Path) -> IO[bytes]:
    """Open a file for reading bytes, in the shape that the openers of compressed files have."""
    return path.open("rb")
