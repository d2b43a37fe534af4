"""The files of an image archive, read at random: a tar, also a compressed one, or the directory of an OCI layout."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sealer.errors import ImageError
from sealer.image.compressed import LONGEST_MAGIC, is_compressed, opened
from sealer.image.oci import LARGEST_DOCUMENT
from sealer.image.storage import storage_errors
from sealer.image.tarstream import BLOCK, CHUNK, Kind, Seekable, clean, is_header, members, refused

MOST_MEMBERS = 200_000
MOST_LINKS = 8  # on the way to one file


class Bundle(Protocol):
    """Files by their paths."""

    source: Path

    def size(self, path: str) -> int | None:
        """Bytes of a file; None: there is none."""
        raise NotImplementedError

    def chunks(self, path: str) -> Iterator[bytes]:
        """The content of a file, 1 MiB at a time but for the last."""
        raise NotImplementedError


def read(bundle: Bundle, path: str, limit: int = LARGEST_DOCUMENT) -> bytes | None:
    """The content of a small file; None: there is none.

    :raises ImageError: it is larger than `limit` bytes.
    """
    size = bundle.size(path)
    if size is None:
        return None
    if size > limit:
        raise ImageError("a document of the archive is too large", where=path, why=f"{size} bytes")
    return b"".join(bundle.chunks(path))


class DirectoryBundle:
    """The directory of an OCI layout."""

    def __init__(self, source: Path) -> None:
        self.source = source

    def size(self, path: str) -> int | None:
        """Bytes of a file; what a symlink leads to is none."""
        try:
            status = self._file(path).lstat()
        except OSError:
            return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def chunks(self, path: str) -> Iterator[bytes]:
        """The content of a file."""
        place = self._file(path)
        with storage_errors("the archive cannot be read", place):
            descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as file:
                while chunk := file.read(CHUNK):
                    yield chunk

    def _file(self, path: str) -> Path:
        """Where a file lies; documents that nobody vouches for name it.

        :raises ImageError: it would lie elsewhere.
        """
        place = self.source / clean(path, path)
        if os.path.realpath(place.parent) != os.path.normpath(
            f"{os.path.realpath(self.source)}/{clean(path, path)}/.."
        ):
            raise refused(path, "a link that leads out")
        return place


@dataclass(frozen=True, slots=True)
class _Place:
    offset: int
    size: int


class TarBundle:
    """A tar. Its members are checked as those of a layer are; a compressed one is unpacked into a file first.

    :param scratch: where that file goes; whoever gives the name removes it.
    :raises ImageError: it is no tar, is damaged, or holds what no archive may.
    """

    def __init__(self, source: Path, scratch: Path) -> None:
        self.source = source
        with storage_errors("the archive cannot be read", source), source.open("rb") as file:
            head = file.read(LONGEST_MAGIC)
        self._file = source
        if is_compressed(head):
            _decompress(source, scratch)
            self._file = scratch
        self._places: dict[str, _Place] = {}
        self._links: dict[str, str] = {}
        with storage_errors("the archive cannot be read", source), self._file.open("rb") as file:
            self._scan(Seekable(file))

    def size(self, path: str) -> int | None:
        """Bytes of a file; links within the archive are followed."""
        place = self._places.get(self._resolved(path))
        return place.size if place else None

    def chunks(self, path: str) -> Iterator[bytes]:
        """The content of a file."""
        place = self._places[self._resolved(path)]
        left = place.size
        with storage_errors("the archive cannot be read", self.source), self._file.open("rb") as file:
            file.seek(place.offset)
            while left:
                chunk = file.read(min(left, CHUNK))
                if not chunk:
                    raise ImageError("the archive changed while it was read", where=str(self.source))
                left -= len(chunk)
                yield chunk

    def _scan(self, tar: Seekable) -> None:
        for member, _ in members(tar):
            if member.kind is Kind.DIRECTORY:
                continue
            if member.path in self._places or member.path in self._links:
                raise refused(member.path, "a second member of that name")
            if len(self._places) + len(self._links) >= MOST_MEMBERS:
                raise ImageError("the archive is refused", why=f"more than {MOST_MEMBERS} members")
            if member.kind is Kind.FILE:
                self._places[member.path] = _Place(tar.position, member.size)
            elif member.kind is Kind.HARDLINK:
                self._links[member.path] = member.link
            else:
                self._links[member.path] = _target(member.path, member.link)

    def _resolved(self, path: str) -> str:
        for _ in range(MOST_LINKS):
            if path not in self._links:
                return path
            path = self._links[path]
        raise refused(path, "links without an end")


def _target(path: str, link: str) -> str:
    """What a symlink leads to, within the archive."""
    if link.startswith("/"):
        raise refused(path, "a link that leads out")
    parts = path.split("/")[:-1]
    for part in link.split("/"):
        if part == "..":
            if not parts:
                raise refused(path, "a link that leads out")
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return clean("/".join(parts), path)


def is_archive(file: Path) -> bool:
    """Whether a file is a tar, or compressed, by its first bytes."""
    with storage_errors("the archive cannot be read", file), file.open("rb") as stream:
        head = stream.read(BLOCK)
    return is_compressed(head) or is_header(head)


def _decompress(source: Path, target: Path) -> None:
    with opened(source, target.parent) as stream, storage_errors("the archive could not be unpacked", target):
        with target.open("xb") as file:
            while chunk := stream.read(CHUNK):
                file.write(chunk)
