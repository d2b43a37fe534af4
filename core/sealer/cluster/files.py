"""Files of our own that must never be half written and are nobody else's to read."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def make_private_directory(path: Path) -> Path:
    """`path` and its parents, only for their owner; one that exists keeps its mode."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def write_atomically(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace `path` by `content`: after a crash at any moment it is the old file or the new one, on disk.

    :param mode: permissions of the new file.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make renames and removals in `path` survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # some network file systems cannot; there is nothing better to do there
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
