"""Reading a tar that nobody vouches for, as a stream.

The standard library's reader keeps every member in memory, reads extended headers of any size, and repairs names
silently. This one keeps nothing, bounds everything, and refuses what it does not know: a member whose meaning two
programs could read differently must not reach a host.

Formats: POSIX ustar, pax and GNU headers (https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html).
"""

from __future__ import annotations

import enum
import hashlib
import lzma
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast

from sealer.errors import ImageError
from sealer.image.expansion import Bounded, Readable

BLOCK = 512
_DAMAGED = "load the image again, or remove it and pull or build it again"
CHUNK = 1024 * 1024
LONGEST_HEADER = 256 * 1024
LONGEST_PATH = 4096
DEEPEST = 200


class Kind(enum.StrEnum):
    """What a member is."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    HARDLINK = "hardlink"


_KINDS = {
    b"0": Kind.FILE,
    b"\0": Kind.FILE,
    b"7": Kind.FILE,
    b"1": Kind.HARDLINK,
    b"2": Kind.SYMLINK,
    b"5": Kind.DIRECTORY,
}
_REFUSED = {
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a named pipe",
    b"S": "a GNU sparse file",
    b"M": "part of a multi-volume archive",
    b"V": "a volume label",
}


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a tar.

    :param path: relative, without `.` and `..`; empty for the root itself.
    :param mode: permission bits.
    :param size: bytes of content; 0 for all but files.
    :param link: target of a symlink as written, or path of what a hard link links to.
    """

    path: str
    kind: Kind
    mode: int
    size: int = 0
    link: str = ""


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
def gunzip(path: Path) -> Iterator[Readable]:
    """The uncompressed bytes of a gzip file, as a stream.

    :raises ImageError: it cannot be read, is damaged, is no gzip file, or unpacks to too much.
    """
    from isal import igzip

    expected: tuple[type[Exception], ...] = (*damage(), OSError)
    try:
        with cast(IO[bytes], igzip.open(path, "rb")) as stream:  # type: ignore[no-untyped-call]  # isal has no types here
            yield Bounded(stream, path)
    except expected as error:
        if isinstance(error, OSError) and error.filename is not None and error.filename != str(path):
            raise  # not about this file
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ImageError("a layer cannot be read", where=str(path), why=why, remedy=_DAMAGED) from error


def members(stream: Readable) -> Iterator[tuple[Member, Content]]:
    """Each member of a tar with its content.

    :raises ImageError: it is damaged, or holds what no layer may: devices, absolute names, `..`.
    """
    extended: dict[str, str] = {}
    while (header := _header(stream)) is not None:
        kind = header[156:157]
        size = _number(header[124:136])
        if kind in (b"L", b"K", b"x", b"g"):
            extension = _extension(stream, kind, size)
            extended.update(extension if kind != b"g" else {})
            continue
        member = _member(header, kind, size, extended)
        extended = {}
        content = Content(stream, member.size)
        yield member, content
        content.skip()
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
    total = sum(header) - sum(header[148:156]) + 8 * ord(" ")
    if total != _number(header[148:156]):
        raise ImageError("not a tar archive, or a damaged one", why="the checksum of a header is wrong")
    return header


def _number(field: bytes) -> int:
    if field[0] & 0x80:  # GNU: binary, for sizes from 8 GiB
        value = int.from_bytes(field, "big") & ((1 << (8 * len(field) - 1)) - 1)
        if value >= 1 << 62:
            raise ImageError("a damaged tar archive", why="a header has an impossible number")
        return value
    text = field.partition(b"\0")[0].strip()
    try:
        return int(text, 8) if text else 0
    except ValueError:
        raise ImageError("a damaged tar archive", why=f"a header has {text!r} for a number") from None


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _extension(stream: Readable, kind: bytes, size: int) -> dict[str, str]:
    if size > LONGEST_HEADER:
        raise ImageError("the archive is refused", why=f"an extended header of {size} bytes")
    content = Content(stream, size)
    raw = b"".join(content.chunks())
    content.skip()
    if kind == b"L":
        return {"path": _text(raw)}
    if kind == b"K":
        return {"linkpath": _text(raw)}
    return _pax(raw)


def _pax(raw: bytes) -> dict[str, str]:
    found = {}
    while raw.strip(b"\0"):
        length, blank, _ = raw.partition(b" ")
        if not blank or not length.isdigit() or not len(length) + 2 < int(length) <= len(raw):
            raise ImageError("a damaged tar archive", why="a pax header is malformed")
        record, raw = raw[len(length) + 1 : int(length) - 1], raw[int(length) :]
        key, _, value = record.partition(b"=")
        found[key.decode("utf-8", "surrogateescape")] = value.decode("utf-8", "surrogateescape")
    return found


def _member(header: bytes, kind: bytes, size: int, extended: dict[str, str]) -> Member:
    name = extended.get("path") or _name(header)
    link = extended.get("linkpath") or _text(header[157:257])
    if kind in _REFUSED or any(key.startswith("GNU.sparse") for key in extended):
        raise refused(name, _REFUSED.get(kind, "a GNU sparse file"))
    if kind not in _KINDS:
        raise refused(name, f"a member of the unknown type {kind!r}")
    if "size" in extended:
        if not extended["size"].isdigit() or len(extended["size"]) > 18:
            raise ImageError("a damaged tar archive", why="a pax header has an impossible size")
        size = int(extended["size"])
    what = _KINDS[kind]
    if what is Kind.FILE and name.endswith("/"):
        what = Kind.DIRECTORY
    if what is not Kind.FILE and size:
        raise refused(name, f"a {what} with content")
    path = clean(name, name)
    if not path and what is not Kind.DIRECTORY:
        raise refused(name, "a member without a name")
    if what is Kind.HARDLINK:
        link = clean(link, name)
    if what in (Kind.HARDLINK, Kind.SYMLINK) and not link:
        raise refused(name, "a link to nothing")
    return Member(path, what, _number(header[100:108]) & 0o7777, size, link)


def _name(header: bytes) -> str:
    name, prefix = _text(header[:100]), _text(header[345:500])
    return f"{prefix}/{name}" if prefix and header[257:263] == b"ustar\0" else name


def clean(path: str, name: str) -> str:
    """A member's path without `.` and doubled slashes.

    :param name: the member to blame.
    :raises ImageError: it is absolute, climbs, or is too long.
    """
    if path.startswith("/"):
        raise refused(name, "an absolute path")
    if "\0" in path or len(path) > LONGEST_PATH:
        raise refused(name, "a path that no file system takes")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise refused(name, "a path with '..'")
    if len(parts) > DEEPEST:
        raise refused(name, f"a path of more than {DEEPEST} names")
    return "/".join(parts)


def refused(name: str, why: str) -> ImageError:
    """The error for a member that no layer may hold."""
    remedy = "make it again without that, if it is yours; otherwise do not trust it"
    return ImageError("a layer is refused", where=ascii(name[:200])[1:-1], why=why, remedy=remedy)
