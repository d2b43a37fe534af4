"""Writing layers: the same files give the same bytes.

Names sorted, times zero, owner root, GNU headers without anything that differs between machines. Tar digest, gzip and
blob digest are computed in one pass over fixed pieces of 1 MiB, of which a few are held: memory does not grow with the
layer.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path
from types import TracebackType

from sealer.errors import ImageError
from sealer.image.expansion import require_sane
from sealer.image.oci import LAYER, Descriptor
from sealer.image.staging import BlobWriter, Staging
from sealer.image.storage import shown, storage_errors
from sealer.image.tarstream import BLOCK, CHUNK, DEEPEST, Kind, Member

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
FASTEST = 1
_CLOCK_REALTIME_COARSE = 5  # linux/time.h
_AHEAD = 4  # pieces that are read while the first is compressed
_GZIP = 31  # zlib's window bits for a gzip container; the header isal writes has no time in it

_TYPES = {
    Kind.FILE: tarfile.REGTYPE,
    Kind.DIRECTORY: tarfile.DIRTYPE,
    Kind.SYMLINK: tarfile.SYMTYPE,
    Kind.HARDLINK: tarfile.LNKTYPE,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """What goes into a layer under one name. There may be hundreds of thousands of them in memory.

    :param path: relative to the rootfs.
    :param mode: permission bits.
    :param source: where a file's content is read from; None for an empty one.
    :param link: target of a link.
    """

    path: str
    kind: Kind
    mode: int
    source: str | None = None
    link: str = ""


def whiteout(path: str) -> Entry:
    """The entry that says: this was here, and is no more."""
    directory, slash, name = path.rpartition("/")
    return Entry(f"{directory}{slash}{WHITEOUT}{name}", Kind.FILE, 0o644)


def hide_lower(entries: Iterable[Entry], directory: str) -> list[Entry]:
    """The entries of a layer, in its order, with one more: nothing in a directory comes from the layers below."""
    hiding = Entry(f"{directory}/{OPAQUE}", Kind.FILE, 0o644)
    return sorted([hiding, *entries], key=lambda entry: order(entry.path))


def order(path: str) -> str:
    """The key by which entries are sorted: a directory comes right before what it holds."""
    return path.replace("/", "\0")


def check_depth(path: str) -> None:
    """Refuse to go on below a directory that lies too deep.

    :raises ImageError: it does.
    """
    if path.count("/") >= DEEPEST:
        raise ImageError("a directory lies too deep for a layer", where=shown(path), why=f"below {DEEPEST} others")


def has_capabilities(entry: Entry) -> bool:
    """Whether a program has rights of its own (`setcap`), which no layer keeps."""
    if entry.source is None or not entry.mode & 0o111 or not hasattr(os, "getxattr"):
        return False
    try:
        return bool(os.getxattr(entry.source, "security.capability", follow_symlinks=False))
    except OSError:
        return False


@dataclass(frozen=True)
class FileRead:
    """A file whose content went into a layer.

    :param begun: when reading began, by :func:`files_now`.
    :param before: what the system said about it then.
    :param after: and at the end.
    :param digest: of the content that was read, sha256 in hexadecimal digits.
    """

    source: str
    begun: int
    before: os.stat_result
    after: os.stat_result
    digest: str


def files_now() -> int:
    """The time that a file would be given if it were written now, in nanoseconds since the epoch.

    Linux gives files the time of its last tick; a busy virtual machine's may lie far behind its clock.
    """
    try:
        return time.clock_gettime_ns(_CLOCK_REALTIME_COARSE)
    except OSError:
        return time.time_ns()


def write_layer(
    staging: Staging,
    entries: Iterable[Entry],
    *,
    progress: Callable[[int], None] | None = None,
    files: Callable[[FileRead], None] | None = None,
) -> tuple[Descriptor, str]:
    """Write a layer; its descriptor and diff id are returned.

    Compressing, which takes longest, has a thread of its own; reading and the digest of the tar overlap with it.

    :param entries: sorted by :func:`order`, no path twice.
    :param progress: gets the number of bytes of the tar so far.
    :param files: gets each file that was read.
    :raises ImageError: a file or the disk failed, or the layer is one that none of us would unpack.
    """
    with BlobWriter(staging.blobs) as writer, ThreadPoolExecutor(1) as thread:
        tar = _Compressor(writer, thread, progress or (lambda _: None))
        for entry in entries:
            _write_entry(tar, entry, files)
        tar.write(bytes(2 * BLOCK))
        diff_id = tar.finish()
        require_sane(tar.size, writer.size)
        return Descriptor(LAYER, writer.finish(), writer.size), diff_id


class LayerWriter:
    """A layer whose members come one after the other, from a tar that is read; use it in a `with`."""

    def __init__(self, staging: Staging) -> None:
        self._writer = BlobWriter(staging.blobs)
        self._thread = ThreadPoolExecutor(1)

    def __enter__(self) -> LayerWriter:
        self._writer.__enter__()
        self._tar = _Compressor(self._writer, self._thread, lambda _: None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(cancel_futures=True)
        self._writer.__exit__(kind, error, trace)

    def add(self, member: Member, chunks: Iterable[bytes]) -> None:
        """Append a member with its content."""
        self._tar.write(_header(Entry(member.path, member.kind, member.mode, link=member.link), member.size))
        for chunk in chunks:
            self._tar.write(chunk)
        self._tar.write(bytes(-member.size % BLOCK))

    def finish(self) -> tuple[Descriptor, str]:
        """The layer's descriptor and its diff id.

        :raises ImageError: the layer is one that none of us would unpack.
        """
        self._tar.write(bytes(2 * BLOCK))
        diff_id = self._tar.finish()
        require_sane(self._tar.size, self._writer.size)
        return Descriptor(LAYER, self._writer.finish(), self._writer.size), diff_id


class _Compressor:
    """Cuts the tar into pieces of 1 MiB, always the same ones: what igzip gives depends on them."""

    def __init__(self, writer: BlobWriter, thread: ThreadPoolExecutor, progress: Callable[[int], None]) -> None:
        from isal import isal_zlib

        self._writer = writer
        self._thread = thread
        self._progress = progress
        self._gzip = isal_zlib.compressobj(FASTEST, isal_zlib.DEFLATED, _GZIP)
        self._hash = hashlib.sha256()
        self._piece = bytearray(CHUNK)
        self._filled = 0
        self.size = 0  # bytes of the tar so far
        self._waiting: deque[Future[None]] = deque()

    def write(self, data: bytes) -> None:
        """Append some bytes."""
        rest = memoryview(data)
        while rest:
            room = memoryview(self._piece)[self._filled :][: len(rest)]
            room[:] = rest[: len(room)]
            self._advance(len(room))
            rest = rest[len(room) :]

    def write_from(self, file: RawIOBase, size: int) -> Iterator[memoryview]:
        """Append as many bytes of a file, or all that it has; each piece is given back, for the moment."""
        while size:
            room = memoryview(self._piece)[self._filled :][:size]
            count = file.readinto(room) or 0
            if not count:
                return
            yield room[:count]
            self._advance(count)
            size -= count

    def _advance(self, count: int) -> None:
        self._filled += count
        if self._filled == CHUNK:
            self._hand_over(self._piece)
            self._piece, self._filled = bytearray(CHUNK), 0

    def _hand_over(self, piece: bytearray | memoryview) -> None:
        self._waiting.append(self._thread.submit(self._compress, piece))
        self._hash.update(piece)
        self.size += len(piece)
        self._progress(self.size)
        while len(self._waiting) > _AHEAD:
            self._waiting.popleft().result()

    def _compress(self, piece: bytearray | memoryview) -> None:
        self._writer.write(self._gzip.compress(piece))

    def finish(self) -> str:
        """Write what is left; the digest of the tar is returned."""
        self._hand_over(memoryview(self._piece)[: self._filled])
        while self._waiting:
            self._waiting.popleft().result()
        self._writer.write(self._gzip.flush())
        return "sha256:" + self._hash.hexdigest()


def _write_entry(tar: _Compressor, entry: Entry, files: Callable[[FileRead], None] | None) -> None:
    if entry.source is None:
        tar.write(_header(entry, 0))
        return
    digest = hashlib.sha256() if files else None
    with storage_errors("a file could not be read", entry.source), Path(entry.source).open("rb", buffering=0) as file:
        begun, before = files_now(), os.fstat(file.fileno())
        left = before.st_size
        tar.write(_header(entry, left))
        for piece in tar.write_from(file, left):
            if digest is not None:
                digest.update(piece)
            left -= len(piece)
        if left or file.read(1):
            raise ImageError("a file changed while it was read", where=shown(entry.source), remedy="run it again")
        if digest is not None and files is not None:
            files(FileRead(entry.source, begun, before, os.fstat(file.fileno()), digest.hexdigest()))
    tar.write(bytes(-before.st_size % BLOCK))


def _header(entry: Entry, size: int) -> bytes:
    info = tarfile.TarInfo(entry.path)
    info.type = _TYPES[entry.kind]
    info.mode = entry.mode
    info.size = size
    info.linkname = entry.link
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def _check_name(name: str, source: Path, what: str) -> None:
    if not name.isascii() and any("\ud800" <= sign <= "\udfff" for sign in name):
        raise ImageError(
            "a file cannot go into a layer",
            where=shown(source),
            why=f"its {what} is no UTF-8, which programs read differently",
            remedy="rename it, or leave it out with .sealerignore",
        )


class Scanner:
    """Turns files on disk into entries: hard links found again, sockets and pipes left out, devices refused."""

    def __init__(self) -> None:
        self._first: dict[tuple[int, int], str] = {}

    def entry(self, source: Path, path: str, *, mode: int | None = None) -> Entry | None:
        """The entry for one file, or None if no layer can hold it.

        :param path: in the rootfs.
        :param mode: permission bits in place of the file's own.
        :raises ImageError: it is a device, or its name means a deletion.
        """
        with storage_errors("a file could not be read", source):
            status = source.lstat()
            bits = stat.S_IMODE(status.st_mode) if mode is None else mode
            if path.rpartition("/")[2].startswith(WHITEOUT):
                raise ImageError(
                    "a file cannot go into a layer",
                    where=shown(source),
                    why=f"names with '{WHITEOUT}' mean deletions there",
                )
            _check_name(path, source, "name")
            if stat.S_ISDIR(status.st_mode):
                return Entry(path, Kind.DIRECTORY, bits)
            if stat.S_ISLNK(status.st_mode):
                link = os.fsdecode(source.readlink())
                _check_name(link, source, "link target")
                return Entry(path, Kind.SYMLINK, 0o777, link=link)
            if stat.S_ISREG(status.st_mode):
                return self._file(source, path, status, bits)
        if stat.S_ISSOCK(status.st_mode) or stat.S_ISFIFO(status.st_mode):
            return None
        raise ImageError(
            "a device cannot go into a layer", where=shown(source), remedy="let a script make it on the hosts"
        )

    def _file(self, source: Path, path: str, status: os.stat_result, mode: int) -> Entry:
        if status.st_nlink > 1:
            first = self._first.setdefault((status.st_dev, status.st_ino), path)
            if first != path:
                return Entry(path, Kind.HARDLINK, mode, link=first)
        return Entry(path, Kind.FILE, mode, os.fspath(source))
