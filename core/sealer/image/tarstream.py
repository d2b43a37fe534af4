"""Reading a tar that nobody vouches for, as a stream.

The standard library's reader keeps every member in memory, reads extended headers of any size, and repairs names
silently. This one keeps nothing, bounds everything, and refuses what it does not know: a member whose meaning two
programs could read differently must not reach a host.

Formats: POSIX ustar, pax and GNU headers (https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html).
"""

from __future__ import annotations

import hashlib
import io
import lzma
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast

from sealer.errors import ImageError
from sealer.image import tarfields as fields
from sealer.image.expansion import Bounded, Readable
from sealer.image.tarfields import FieldError
from sealer.image.tarheader import (
    BLOCK,
    DEEPEST,
    EXTENSIONS,
    Extended,
    Kind,
    Member,
    RefusedMemberError,
    clean,
    read_member,
    refused,
    shown_name,
)

__all__ = ["BLOCK", "DEEPEST", "Kind", "Member", "clean", "refused"]  # of the header, for whoever reads members

READING = 2  # counts up when a tar that was read before may be refused: what is kept of layers is read again
_DIGEST = re.compile("[0-9a-f]{64}")
_DAMAGED = "load the image again, or remove it and pull or build it again"
CHUNK = 1024 * 1024
LONGEST_HEADER = 256 * 1024


class Hashed:
    """A stream whose bytes are hashed as they are read."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, empty at the end."""
        chunk = self._stream.read(size)
        self._hash.update(chunk)
        return chunk

    @property
    def digest(self) -> str:
        """Of what was read so far."""
        return "sha256:" + self._hash.hexdigest()


class Content:
    """The bytes of the member that was read last; they can be taken once, before the next member is asked for."""

    def __init__(self, stream: Readable, size: int) -> None:
        self._stream = stream
        self._left = size
        self._padding = -size % BLOCK

    def chunks(self) -> Iterator[bytes]:
        """The content, at most 1 MiB at a time."""
        while self._left:
            chunk = self._stream.read(min(self._left, CHUNK))
            if not chunk:
                raise ImageError("the archive is cut off", why="it ends within a member")
            self._left -= len(chunk)
            yield chunk

    def skip(self) -> None:
        """Go to the end of the member."""
        if isinstance(self._stream, Seekable):
            self._left -= self._stream.skip(self._left)
        for _ in self.chunks():
            pass
        if self._padding and len(_exactly(self._stream, self._padding)) < self._padding:
            raise ImageError("the archive is cut off", why="it ends within a member")
        self._padding = 0


class Seekable:
    """A tar that lies on disk: what a member holds is passed over without being read.

    :param file: an uncompressed tar.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = file.seek(0, os.SEEK_END)
        file.seek(0)

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, empty at the end."""
        return self._file.read(size)

    def skip(self, size: int) -> int:
        """Go on by at most `size` bytes; by how many is returned."""
        here = self._file.tell()
        return self._file.seek(min(here + size, self._size)) - here

    @property
    def position(self) -> int:
        """The offset of what is read next."""
        return self._file.tell()


def damage() -> tuple[type[Exception], ...]:
    """What the decompressors raise at bytes that are not theirs."""
    from isal import igzip_lib

    return EOFError, zlib.error, lzma.LZMAError, cast(type[Exception], igzip_lib.IsalError)


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Say of a refused member which layer or archive it is in."""
    try:
        yield
    except RefusedMemberError as error:
        archive = f"sha256:{path.name}" if _DIGEST.fullmatch(path.name) else path.name
        where = f"{error.where or 'a member'} in {archive}"
        raise ImageError(error.what, where=where, why=error.why, remedy=error.remedy) from error


@contextmanager
def gunzip(path: Path) -> Iterator[Readable]:
    """The uncompressed bytes of a gzip file, as a stream.

    :raises ImageError: it cannot be read, is damaged, is no gzip file, or unpacks to too much.
    """
    from isal import igzip

    expected: tuple[type[Exception], ...] = (*damage(), OSError)
    try:
        with named(path), cast(IO[bytes], igzip.open(path, "rb")) as stream:  # type: ignore[no-untyped-call]  # isal has no types here
            yield Bounded(stream, path)
    except expected as error:
        if isinstance(error, OSError) and error.filename is not None and error.filename != str(path):
            raise  # not about this file
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ImageError("a layer cannot be read", where=str(path), why=why, remedy=_DAMAGED) from error


def members(stream: Readable) -> Iterator[tuple[Member, Content]]:
    """Each member of a tar with its content.

    :raises ImageError: it is damaged, holds what no layer may (devices, absolute names, `..`), or a member that
        another program could read differently.
    """
    extended = Extended()
    while (header := _header(stream)) is not None:
        kind = header[156:157]
        try:
            if kind in EXTENSIONS:
                extended.add(kind, _extension(stream, fields.size(header[124:136])))
                continue
            member = read_member(header, kind, extended)
        except FieldError as error:
            raise refused(extended.path or shown_name(header), str(error)) from None
        extended = Extended()
        content = Content(stream, member.size)
        yield member, content
        content.skip()
    if extended.kinds or extended.fault:
        raise refused(extended.path, extended.fault or "an extended header without a member")
    while rest := stream.read(CHUNK):  # to the very end: a gzip file's checksum stands there
        if rest.count(0) != len(rest):
            raise ImageError("the archive is refused", why="there is something behind its end")


def _exactly(stream: Readable, size: int) -> bytes:
    parts = []
    while size:
        part = stream.read(size)
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _header(stream: Readable) -> bytes | None:
    header = _exactly(stream, BLOCK)
    if header.count(0) == BLOCK:
        return None
    if len(header) < BLOCK:
        raise ImageError("not a tar archive, or one that is cut off", why="it ends within a header")
    try:
        told = fields.number(header[148:156], "checksum")
    except FieldError:
        told = -1
    if sum(header) - sum(header[148:156]) + 8 * ord(" ") != told:
        raise ImageError("not a tar archive, or a damaged one", why="the checksum of a header is wrong")
    return header


def is_header(block: bytes) -> bool:
    """Whether the first bytes of a file are a tar's first header; the oldest format is known by its checksum alone."""
    try:
        return len(block) == BLOCK and block.count(0) < BLOCK and _header(io.BytesIO(block)) is not None
    except ImageError:
        return False


def _extension(stream: Readable, size: int) -> bytes:
    if size > LONGEST_HEADER:
        raise FieldError(f"it has an extended header of {size} bytes")
    content = Content(stream, size)
    raw = b"".join(content.chunks())
    content.skip()
    return raw
