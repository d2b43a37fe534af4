"""The lock of a store, and the space put by for whoever holds it: enough to remove an image also on a full disk."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sealer.image.storage import storage_errors

RESERVE = 64 * 1024  # bytes


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Hold the lock of a store, which is waited for; it is there for moments.

    :param root: the store's directory.
    :raises ImageError: it cannot be written.
    """
    with storage_errors("the image store cannot be used", root):
        lock = os.open(root / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with storage_errors("the image store cannot be used", root):
            (root / "reserve").unlink(missing_ok=True)
        yield
    finally:
        with suppress(OSError):
            _refill(root / "reserve")
        os.close(lock)


def _refill(reserve: Path) -> None:
    try:
        reserve.write_bytes(os.urandom(RESERVE))  # what a file system cannot compress
    except OSError:
        reserve.unlink(missing_ok=True)
        raise
