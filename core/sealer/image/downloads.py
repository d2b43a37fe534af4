"""Where blobs lie while they are fetched, and stay when the process dies: what was transferred is not lost.

`downloads/<hex>.partial` grows while its blob comes in, locked by the process that writes it; whole and verified, it is
called `downloads/<hex>` until an image that needs it is in the store. Both are files of the store's file system, so a
whole one enters a staging area by a hard link. What nobody came back for is removed after a week, or by `prune`.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sealer.image.storage import storage_errors

PARTIAL = ".partial"
STALE = 7 * 24 * 3600.0  # seconds


class Downloads:
    """The directory of a store.

    :param directory: need not exist.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def whole(self, digest: str, size: int) -> Path | None:
        """The blob, if an earlier process got all of it."""
        path = self._path(digest)
        try:
            return path if path.stat().st_size == size else None
        except OSError:
            return None

    @contextmanager
    def partial(self, digest: str) -> Iterator[int | None]:
        """The descriptor of a blob's partial file, locked; None: another process fetches the same blob."""
        path = self._path(digest, PARTIAL)
        with storage_errors("a blob could not be written", path):
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = _locked(path)
        try:
            yield file
        finally:
            if file is not None:
                os.close(file)

    def complete(self, digest: str, file: int) -> Path:
        """Make a verified partial file durable, and give it its final name."""
        path = self._path(digest)
        with storage_errors("a blob could not be written", path):
            os.fchmod(file, 0o644)
            os.fsync(file)
            self._path(digest, PARTIAL).replace(path)
        return path

    def drop(self, digest: str) -> None:
        """Remove a partial file, whose lock the caller has."""
        self._path(digest, PARTIAL).unlink(missing_ok=True)

    def forget(self, digests: Iterable[str]) -> None:
        """Remove whole blobs: the store has them now."""
        with storage_errors("temporary files could not be removed", self.directory):
            for digest in digests:
                self._path(digest).unlink(missing_ok=True)

    def sweep(self, age: float = STALE) -> int:
        """Remove what is older and in nobody's hands.

        :returns: bytes that were freed.
        """
        freed = 0
        with storage_errors("temporary files could not be removed", self.directory):
            for path in sorted(self.directory.glob("*")):
                freed += _remove_stale(path, time.time() - age)
        return freed

    def _path(self, digest: str, suffix: str = "") -> Path:
        return self.directory / (digest.removeprefix("sha256:") + suffix)


def _locked(path: Path) -> int | None:
    while True:
        file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return None
        try:
            if os.fstat(file).st_ino == path.stat().st_ino:
                return file
        except FileNotFoundError:
            pass
        os.close(file)  # it was removed, or completed, before the lock was ours


def _remove_stale(path: Path, before: float) -> int:
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        state = os.fstat(file)
        if state.st_mtime > before:
            return 0
        path.unlink(missing_ok=True)
        return state.st_size
    except BlockingIOError:
        return 0
    finally:
        os.close(file)
