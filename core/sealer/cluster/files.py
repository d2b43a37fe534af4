"""Files of our own that must never be half written and are nobody else's to read."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from sealer.errors import SealerError
from sealer.image.storage import make_directories


@contextlib.contextmanager
def writing(path: Path, but: tuple[type[OSError], ...] = ()) -> Iterator[None]:
    """What the system says against writing `path`, as a message for people.

    :param but: errors that are passed on as they are.
    :raises SealerError: the disk is full, say.
    """
    try:
        yield
    except but:
        raise
    except OSError as error:
        raise SealerError(
            "A file of sealer's own cannot be written",
            where=str(path),
            why=error.strerror or str(error),
            remedy="Check permissions and free space there, then run the same command again.",
        ) from error


def make_private_directory(path: Path) -> Path:
    """`path` and its parents, only for their owner; one that exists keeps its mode.

    :raises SealerError: it cannot be made.
    """
    with writing(path):
        make_directories(path)
    return path


def write_atomically(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace `path` by `content`: after a crash at any moment it is the old file or the new one, on disk.

    :param mode: permissions of the new file.
    :raises SealerError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with writing(path):
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
