"""One blob from a registry to the disk: streamed, verified while it is written, resumed where it broke off."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from sealer.errors import ImageError, ImageNotFoundError, RegistryError
from sealer.image.downloads import Downloads
from sealer.image.oci import Descriptor
from sealer.image.registry.limits import AgainError
from sealer.image.registry.messages import Answer
from sealer.image.registry.progress import Progress
from sealer.image.registry.repository import Repository
from sealer.image.staging import Staging
from sealer.image.storage import storage_errors

BLOCK = 512 * 1024
_START = re.compile(r"bytes (\d+)-\d+/(?:\d+|\*)")
_SOMEWHERE = 1024 * 1024  # bytes after which an attempt counts as one that got somewhere


class Downloader:
    """Fetches blobs into a staging area; several threads may call it.

    :param downloads: keeps what a killed process had.
    """

    def __init__(self, staging: Staging, downloads: Downloads, progress: Progress) -> None:
        self._staging = staging
        self._downloads = downloads
        self._progress = progress

    def fetch(self, blob: Descriptor, sources: Sequence[Repository]) -> None:
        """Get a blob from the first of the sources that has it.

        :raises ImageError: none has it, or its bytes are others than its digest says.
        """
        if not self._kept(blob):
            with self._downloads.partial(blob.digest) as file:
                if file is None:
                    self._fetch_beside(blob, sources)
                elif self._kept(blob):  # the process that had the lock has just got it
                    self._downloads.drop(blob.digest)
                else:
                    self._receive(blob, sources, file)
                    self._staging.hold(self._downloads.complete(blob.digest, file))
        self._progress.settled(blob)

    def _kept(self, blob: Descriptor) -> bool:
        """Whether an earlier process got it; then it is in the staging area now."""
        whole = self._downloads.whole(blob.digest, blob.size)
        try:
            if whole is not None:
                self._staging.hold(whole)
        except ImageError:  # a `prune` was faster
            return False
        self._progress.resumed(blob.digest, blob.size if whole else 0)
        return whole is not None

    def _fetch_beside(self, blob: Descriptor, sources: Sequence[Repository]) -> None:
        """Another process fetches the same blob right now; waiting for it could last for ever."""
        with storage_errors("a blob could not be written", self._staging.blobs):
            file, name = tempfile.mkstemp(prefix=".partial-", dir=self._staging.blobs)
        try:
            self._receive(blob, sources, file)
            with storage_errors("a blob could not be written", name):
                os.fchmod(file, 0o644)
                os.fsync(file)
                Path(name).replace(self._staging.blobs / blob.digest.removeprefix("sha256:"))
        finally:
            os.close(file)

    def _receive(self, blob: Descriptor, sources: Sequence[Repository], file: int) -> None:
        problems: list[ImageError] = []
        for source in sources:
            try:
                _Reception(file, blob, source, self._progress).run()
                return
            except (RegistryError, ImageNotFoundError) as error:
                problems.append(error)
        if len(problems) == 1:
            raise problems[0]
        raise RegistryError("no source has a blob of the image", where=blob.digest, why="; ".join(map(str, problems)))


class _Reception:
    """One blob coming in.

    :param file: what was there before is verified and continued.
    """

    def __init__(self, file: int, blob: Descriptor, source: Repository, progress: Progress) -> None:
        self._file = file
        self._blob = blob
        self._source = source
        self._progress = progress
        self._hash = hashlib.sha256()
        self._offset = 0

    def run(self) -> None:
        """Receive all of it, in as many attempts as it takes while they get somewhere."""
        patience = self._source.client.patience
        self._read_own()
        from_before = self._offset
        attempt = 0
        while True:
            start = self._offset
            try:
                self._request()
            except AgainError as failed:
                attempt = 0 if self._offset - start >= _SOMEWHERE else attempt
                patience.wait(failed, attempt, f"{self._source}@{self._blob.digest[:19]}")
                attempt += 1
                continue
            if "sha256:" + self._hash.hexdigest() == self._blob.digest:
                return
            self._restart()
            if not from_before:
                raise ImageError(
                    "a blob is not what it should be",
                    where=f"{self._source}@{self._blob.digest}",
                    why="its bytes have another digest",
                )
            from_before = 0  # what an earlier process left was no good: a power loss may have garbled it

    def _read_own(self) -> None:
        with storage_errors("a blob could not be read"):
            if os.fstat(self._file).st_size > self._blob.size:
                self._restart()
            while chunk := os.pread(self._file, BLOCK, self._offset):
                self._hash.update(chunk)
                self._offset += len(chunk)
        self._progress.resumed(self._blob.digest, self._offset)

    def _restart(self) -> None:
        with storage_errors("a blob could not be written"):
            os.ftruncate(self._file, 0)
        self._hash = hashlib.sha256()
        self._offset = 0

    def _request(self) -> None:
        if self._offset == self._blob.size > 0:
            return
        with self._source.blob(self._blob.digest, self._offset) as answer:
            if answer.status == 416:
                self._restart()
                raise AgainError("the registry has no such part of the blob")
            if answer.status != 206:
                self._restart()  # it cannot continue
            elif not (match := _START.match(answer.header("Content-Range"))) or int(match[1]) != self._offset:
                self._restart()
                raise AgainError("the registry sent another part of the blob")
            if answer.length not in (-1, self._blob.size - self._offset):
                raise self._wrong_size(f"the registry sends {self._offset + answer.length}")
            self._stream(answer)

    def _stream(self, answer: Answer) -> None:
        patience, size = self._source.client.patience, self._blob.size
        since, at = time.monotonic(), self._offset
        while chunk := answer.next(BLOCK):
            if self._offset + len(chunk) > size:
                raise self._wrong_size("the registry sends more")
            self._hash.update(chunk)
            self._write(chunk)
            self._progress.at(self._blob.digest, self._offset)
            patience.check()
            if (seconds := time.monotonic() - since) > patience.limits.silence:
                if self._offset - at < patience.limits.slow * seconds:
                    raise AgainError(f"it came at {(self._offset - at) / seconds:.0f} bytes a second")
                since, at = time.monotonic(), self._offset
        if self._offset < size:
            raise AgainError(f"the connection was closed after {self._offset} of {size} bytes")

    def _write(self, chunk: bytes) -> None:
        rest = memoryview(chunk)
        with storage_errors("a blob could not be written"):
            while rest:
                count = os.pwrite(self._file, rest, self._offset)
                self._offset += count
                rest = rest[count:]

    def _wrong_size(self, found: str) -> ImageError:
        self._restart()
        return ImageError(
            "a blob is not what it should be",
            where=f"{self._source}@{self._blob.digest}",
            why=f"it must have {self._blob.size} bytes, and {found}",
        )
