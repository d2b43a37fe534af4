"""How much may come out of what is compressed: a few bytes must not fill a disk, or keep a machine busy for days.

Images of real life unpack to two to twenty times their size, so that these bounds are far from all of them. What sealer
makes itself keeps to them, too: an image that can be built can be loaded.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Protocol

from sealer.errors import ImageError
from sealer.image.storage import storage_errors

ALWAYS = 16 * 1024**3  # bytes that may come out of anything, however small it is
MOST_TIMES = 200  # what is larger may unpack to so many times its size
SPARE = 1024**3  # bytes that unpacking leaves free on a disk...
SPARE_PART = 20  # ... or this part of a disk, if that is less
_LOOK = 16 * 1024 * 1024  # bytes between two looks at the disk


class Readable(Protocol):
    """A binary stream."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, empty at the end."""
        ...


class Bounded:
    """The unpacked bytes of a file, as long as they are not too many.

    :param stream: gives them.
    :param source: the compressed file.
    :param disk: where they are written: it must not be filled; None: they are not.
    """

    def __init__(self, stream: Readable, source: Path, disk: Path | None = None) -> None:
        self._stream = stream
        self._source = source
        self._size = source.stat().st_size
        self._limit = max(ALWAYS, MOST_TIMES * self._size)
        self._disk = disk
        self._count = 0
        self._looked = 0

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, empty at the end.

        :raises ImageError: more comes out than may, or the disk is nearly full.
        """
        chunk = self._stream.read(size)
        self._count += len(chunk)
        if self._count > self._limit:
            raise _too_much(self._size, str(self._source))
        if self._disk is not None and self._count - self._looked >= _LOOK:
            self._looked = self._count
            require_space(self._disk)
        return chunk


class Amount:
    """What all layers of an image unpack to together, one that is named many times as often as it is named."""

    def __init__(self) -> None:
        self._size = 0
        self._count = 0

    def begin(self, size: int) -> None:
        """One more layer, of that many compressed bytes."""
        self._size += size

    def add(self, count: int) -> None:
        """So many bytes come out of a layer.

        :raises ImageError: all together are more than may come out of so few.
        """
        self._count += count
        require_sane(self._count, self._size)


def require_sane(unpacked: int, size: int) -> None:
    """Refuse to make what unpacks to more than may come out of it.

    :param unpacked: bytes that went in so far.
    :param size: bytes of the compressed form.
    :raises ImageError: it does.
    """
    if unpacked > max(ALWAYS, MOST_TIMES * size):
        raise _too_much(size)


def _too_much(size: int, where: str = "") -> ImageError:
    return ImageError(
        "it unpacks to too much",
        where=where,
        why=f"more than {max(ALWAYS, MOST_TIMES * size)} bytes came out of {size}",
        remedy="do not trust it if somebody else made it; leave out large files that have nothing in them",
    )


def require_space(disk: Path) -> None:
    """Stop before a disk is full on which others work, too.

    :raises ImageError: hardly anything is free.
    """
    with storage_errors("the archive could not be unpacked", disk):
        status = os.statvfs(disk)
        if status.f_bavail * status.f_frsize < min(SPARE, status.f_blocks * status.f_frsize // SPARE_PART):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(disk))
