"""Archives that are compressed: with gzip, bzip2, xz or zstd, as their first bytes say."""

from __future__ import annotations

import bz2
import lzma
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import IO, Protocol, cast

from sealer.errors import ImageError
from sealer.image.expansion import Bounded, Readable
from sealer.image.storage import open_file
from sealer.image.tarstream import CHUNK, damage

GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
LONGEST_MAGIC = 6
_XZ_MEMORY = 128 * 1024 * 1024  # bytes; `xz -9` needs half of it, and a header may ask for 4 GiB


@contextmanager
def opened(source: Path, disk: Path | None = None, *, what: str = "archive") -> Iterator[Readable]:
    """The bytes of an archive, whatever it is compressed with.

    :param disk: where they are written, if they are; see :class:`~sealer.image.expansion.Bounded`.
    :param what: it is called in errors.
    :raises ImageError: it cannot be read, is damaged, or unpacks to too much.
    """
    again = f"copy or make the {what} again"
    try:
        opener = _opener(source)
        with cast(IO[bytes], (opener or open_file)(source)) as file:
            yield Bounded(file, source, disk) if opener else file
    except (*damage(), _zstd().ZstdError) as error:
        raise ImageError(f"the {what} is damaged", where=str(source), why=str(error), remedy=again) from error
    except OSError as error:
        why = error.strerror or str(error)
        remedy = "check its name and its permissions" if error.errno else again
        raise ImageError(f"the {what} cannot be read", where=str(source), why=why, remedy=remedy) from error


def is_compressed(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a compressed one."""
    return head.startswith(tuple(_OPENERS))


_AGAIN = "copy or make the archive again"  # that it lies in


def _opener(source: Path) -> Callable[[Path], object] | None:
    with source.open("rb") as file:
        head = file.read(LONGEST_MAGIC)
    return next((opener for magic, opener in _OPENERS.items() if head.startswith(magic)), None)


def _open_gzip(source: Path) -> object:
    from isal import igzip  # only when there is something to read

    return igzip.open(source)  # type: ignore[no-untyped-call]  # isal has no types here


def _open_zstd(source: Path) -> object:
    opened: object = _zstd().open(source)
    return opened


def _zstd() -> ModuleType:
    if sys.version_info >= (3, 14):
        from compression import zstd  # noqa: PLC0415  # few archives are compressed with it
    else:
        from backports import zstd  # noqa: PLC0415
    return zstd


class _Decoder(Protocol):
    """What the decompressors of xz and zstd have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Decoded:
    """One stream after the other, as both formats allow, at most so many bytes at a time.

    :param read: gives the next compressed bytes, empty at the end.
    :param new: a decoder for one stream.
    """

    def __init__(self, read: Callable[[], bytes], new: Callable[[], _Decoder]) -> None:
        self._next = read
        self._new = new
        self._decoder = new()

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, empty at the end."""
        while True:
            feed = b""
            if self._decoder.eof:  # another stream may follow, behind some zeros
                feed = self._decoder.unused_data.lstrip(b"\0")
                while not feed:
                    if not (more := self._next()):
                        return b""
                    feed = more.lstrip(b"\0")
                self._decoder = self._new()
            elif self._decoder.needs_input and not (feed := self._next()):
                raise EOFError("it ends too early")
            if chunk := self._decoder.decompress(feed, size):
                return chunk


@contextmanager
def _open_xz(source: Path) -> Iterator[Readable]:
    """What `lzma.open` gives, with a bound on the memory that the file may ask for."""
    with source.open("rb") as file:
        yield _Decoded(lambda: file.read(CHUNK), lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY))


def unzstd(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """What was compressed with zstd.

    :raises ImageError: it is damaged.
    """
    decoded = _Decoded(lambda: next(chunks, b""), _zstd().ZstdDecompressor)
    try:
        while chunk := decoded.read(CHUNK):
            yield chunk
    except (EOFError, _zstd().ZstdError) as error:
        raise ImageError("a layer cannot be read", why=str(error), remedy=_AGAIN) from error


_OPENERS: dict[bytes, Callable[[Path], object]] = {
    GZIP: _open_gzip,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": _open_xz,
    ZSTD: _open_zstd,
}
