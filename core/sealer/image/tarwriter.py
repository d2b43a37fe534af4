"""Writing a tar whose bytes depend on its content alone: one time, one owner, names as they are given."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable
from typing import BinaryIO

from sealer.image.tarstream import BLOCK

_RECORD = 20 * BLOCK  # a tar ends at a multiple of this, as every tar program writes it


class TarWriter:
    """A tar that is written member by member.

    :param file: need not be seekable.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._written = 0

    def add(self, name: str, size: int, chunks: Iterable[bytes]) -> None:
        """Write a file.

        :param size: bytes of all chunks together.
        """
        info = tarfile.TarInfo(name)
        info.size = size
        self._write(info.tobuf(tarfile.GNU_FORMAT))
        for chunk in chunks:
            self._write(chunk)
        self._write(bytes(-size % BLOCK))

    def add_bytes(self, name: str, content: bytes) -> None:
        """Write a small file."""
        self.add(name, len(content), [content])

    def end(self) -> None:
        """Write what every tar ends with."""
        self._write(bytes(2 * BLOCK))
        self._write(bytes(-self._written % _RECORD))
        self._file.flush()

    def _write(self, content: bytes) -> None:
        self._file.write(content)
        self._written += len(content)
