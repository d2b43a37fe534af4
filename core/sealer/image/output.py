"""Writing what the user gets as a file or directory: beside its place first, then renamed, so that it is whole or old.

What a killed sealer left is written over by the next that writes to the same place. Two at once: the second is refused.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from sealer.errors import ImageError, InputError, LockHeldError
from sealer.image.storage import remove_tree, sync_directory

_REMEDIES = {
    errno.ENOSPC: "free some space there, or write it to another disk",
    errno.EDQUOT: "free some of your quota there, or write it to another disk",
    errno.EFBIG: "the disk or a limit takes no file of this size: write it elsewhere, or through `split`",
    errno.ENOENT: "make the directory first",
    errno.ENOTDIR: "name a file in a directory",
    errno.EACCES: "check the permissions, or write it elsewhere",
    errno.EPERM: "check the permissions, or write it elsewhere",
    errno.EROFS: "write it to a disk that can be written",
    errno.EPIPE: "whatever read it has ended: look at what that said",
}
_ELSEWHERE = "write it elsewhere"
_ATTEMPTS = 5


@contextmanager
def output_errors(target: str) -> Iterator[None]:
    """Say of every error of the operating system which output it is about, as the user named it, and what to do."""
    try:
        yield
    except OSError as error:
        why = "no space left on the disk" if error.errno == errno.ENOSPC else (error.strerror or str(error))
        remedy = _REMEDIES.get(error.errno or 0, _ELSEWHERE)
        raise ImageError("the archive could not be written", where=target, why=why, remedy=remedy) from error


@contextmanager
def written_file(target: Path) -> Iterator[BinaryIO]:
    """A file that gets its name when the body has ended; devices and pipes are written to as they are.

    :raises InputError: it is a directory.
    :raises ImageError: it could not be written; a file that was there is still the old one.
    """
    with output_errors(str(target)):
        kind = target.stat().st_mode if target.exists() else stat.S_IFREG
        if stat.S_ISDIR(kind):
            raise InputError("a directory is there", where=str(target), remedy="name a file, or save as `oci-dir`")
        if not stat.S_ISREG(kind):  # /dev/stdout may be a link to what has no path
            with target.open("wb") as stream:
                yield stream
            return
        place = Path(os.path.realpath(target))  # where a link leads: the link stays one
        partial = place.with_name(f".{place.name}.partial")
        with _locked(partial, os.O_CREAT | os.O_RDWR, target) as descriptor:
            try:
                os.ftruncate(descriptor, 0)
                with os.fdopen(descriptor, "wb", closefd=False) as file:
                    yield file
                os.fsync(descriptor)
                partial.replace(place)
            except BaseException:
                partial.unlink(missing_ok=True)
                raise
        sync_directory(place.parent)


@contextmanager
def written_directory(target: Path) -> Iterator[Path]:
    """A directory that gets its name when the body has ended.

    :raises InputError: something is there already.
    :raises ImageError: it could not be written; nothing is left.
    """
    with output_errors(str(target)):
        place = Path(os.path.realpath(target))
        if place.exists() and (not place.is_dir() or any(place.iterdir())):
            raise InputError("something is there already", where=str(target), remedy="name a new or empty directory")
        partial = place.with_name(f".{place.name}.partial")
        with suppress(FileExistsError):
            partial.mkdir()
        with _locked(partial, os.O_RDONLY | os.O_DIRECTORY, target):
            try:
                for left in list(partial.iterdir()):
                    remove_tree(left)
                yield partial
                sync_directory(partial)
                partial.replace(place)
            except BaseException:
                with suppress(OSError):
                    remove_tree(partial)
                raise
        sync_directory(place.parent)


@contextmanager
def _locked(partial: Path, flags: int, target: Path) -> Iterator[int]:
    """The file or directory of that name, opened and ours alone; whoever had it before may just have renamed it."""
    for _ in range(_ATTEMPTS):
        descriptor = os.open(partial, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still(partial, descriptor):
                yield descriptor
                return
        except BlockingIOError:
            raise LockHeldError(
                "another sealer is writing it", where=str(target), remedy="wait for it, or name another file"
            ) from None
        finally:
            os.close(descriptor)
    raise LockHeldError("others are writing it", where=str(target), remedy="name another file")


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    own = os.fstat(descriptor)
    return (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino)
