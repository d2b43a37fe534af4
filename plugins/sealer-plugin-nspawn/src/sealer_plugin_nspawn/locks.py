"""Locks between processes that vanish with their files."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path

_own = threading.local()


@contextlib.contextmanager
def exclusive(path: Path, *, wait: bool = True) -> Iterator[int]:
    """Hold the lock `path`; yields its file descriptor.

    Whoever holds it may unlink the file: one who waited for it notices, and locks the file that is there then.

    :param wait: until whoever holds it lets it go.
    :raises BlockingIOError: somebody holds it, and `wait` is false.
    """
    while True:
        descriptor = _open(path)
        if descriptor is None:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if not _is_file(descriptor, path):
                continue
            _own.held = (*held(), descriptor)
            try:
                yield descriptor
            finally:
                _own.held = tuple(other for other in held() if other != descriptor)
            return
        finally:
            os.close(descriptor)


def held() -> tuple[int, ...]:
    """Descriptors of the locks this thread holds.

    A program that it starts is given them: killed, this process leaves programs behind that still do their work, and
    whoever comes next must not begin before they have ended.
    """
    return getattr(_own, "held", ())


def _open(path: Path) -> int | None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return None  # the directory was removed in between, by one who held the lock
    except FileExistsError:
        if path.parent.is_file():
            raise
        return None  # it was there for `mkdir`, and removed before that looked whether it is a directory


def _is_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
