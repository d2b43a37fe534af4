"""Where blobs are made before the store gets them: a directory of its own for each build, load or pull.

A staging area lives on the store's file system, so its blobs enter the store by rename. It is locked as long as its
process lives; one whose lock is free belonged to a process that died, and is removed by the next. It also says which
images of the store its process reads: as long as it lives, their blobs stay.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from sealer.errors import ImageError
from sealer.events import Json
from sealer.image.oci import Descriptor, decode, encode, items
from sealer.image.storage import remove_tree, storage_errors, sync_directory

LOCK = "lock"
BLOBS = "blobs"
USES = "uses"


@dataclass(frozen=True)
class Use:
    """A process that reads an image of the store."""

    image: Descriptor
    process: int


class Staging:
    """A locked directory of blobs; use it in a `with`, which removes it at the end.

    :param directory: made by :func:`open_staging`.
    :param lock: descriptor of its lock file, held.
    """

    def __init__(self, directory: Path, lock: int) -> None:
        self.directory = directory
        self.uses: list[Descriptor] = []
        self._lock = lock

    @property
    def blobs(self) -> Path:
        """The files, named by their hexadecimal digests."""
        return self.directory / BLOBS

    def __enter__(self) -> Staging:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove everything that the store did not take."""
        if self._lock < 0:
            return
        try:
            with storage_errors("temporary files could not be removed", self.directory):
                self._remove()
        finally:
            os.close(self._lock)
            self._lock = -1

    def _remove(self) -> None:
        """The lock file goes last: without it, others would take the area for one whose process died."""
        lock = self.directory / LOCK
        for path in list(self.directory.glob("*")):
            if path != lock:
                remove_tree(path)
        lock.unlink(missing_ok=True)
        with suppress(OSError):
            self.directory.rmdir()  # or somebody found it without its lock just now, and removes it

    def use(self, image: Descriptor) -> None:
        """Say that an image of the store is read; the caller holds the store's lock."""
        self.uses.append(image)
        document: dict[str, Json] = {"process": os.getpid(), "images": [image.as_json() for image in self.uses]}
        (self.directory / USES).write_bytes(encode(document))

    def add(self, chunks: Iterable[bytes], media_type: str, *, digest: str = "", size: int = -1) -> Descriptor:
        """Write a blob while hashing it.

        :param digest: what it must have, if known.
        :param size: what it must have, if known (bytes).
        :raises ImageError: the bytes are others than promised, or the disk failed.
        """
        with BlobWriter(self.blobs) as writer:
            for chunk in chunks:
                writer.write(chunk)
                if 0 <= size < writer.size:
                    break
            if 0 <= size != writer.size or (digest and digest != writer.digest):
                found = f"{writer.size} bytes with {writer.digest}"
                raise ImageError(
                    "a blob is not what it should be", where=digest, why=f"found {found}, not {size} bytes"
                )
            return Descriptor(media_type, writer.finish(), writer.size)

    def add_document(self, document: Mapping[str, Json], media_type: str) -> Descriptor:
        """Write a JSON document."""
        return self.add([encode(document)], media_type)

    def hold(self, source: Path) -> None:
        """Keep a blob alive, whatever is removed where it lies meanwhile (a hard link, no copy)."""
        with storage_errors("a blob of the store cannot be read", source):
            target = self.blobs / source.name
            if not target.exists():
                target.hardlink_to(source)


class BlobWriter:
    """One blob being written: the name comes last, when the digest is known.

    :param directory: where it goes.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._hash = hashlib.sha256()
        self._file: BinaryIO | None = None
        self._partial: Path | None = None
        self.size = 0

    def __enter__(self) -> BlobWriter:
        import tempfile  # noqa: PLC0415  # 3 ms that who only reads a store need not wait for

        with storage_errors("a blob could not be written", self._directory):
            descriptor, name = tempfile.mkstemp(prefix=".partial-", dir=self._directory)
            self._partial = Path(name)
            self._file = os.fdopen(descriptor, "wb", buffering=0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
        if self._partial is not None:
            self._partial.unlink(missing_ok=True)

    @property
    def digest(self) -> str:
        """Of what was written so far."""
        return "sha256:" + self._hash.hexdigest()

    def write(self, chunk: bytes | bytearray | memoryview) -> None:
        """Append."""
        assert self._file is not None
        self._hash.update(chunk)
        rest = memoryview(chunk)
        with storage_errors("a blob could not be written", self._directory):
            while rest:
                rest = rest[self._file.write(rest) or 0 :]
        self.size += len(chunk)

    def finish(self) -> str:
        """Make it durable and give it its name: the digest is returned."""
        assert self._file is not None and self._partial is not None
        with storage_errors("a blob could not be written", self._directory):
            os.fsync(self._file.fileno())
            self._file.close()
            self._partial.chmod(0o644)
            self._partial.replace(self._directory / self._hash.hexdigest())
        self._partial = None
        return self.digest


def open_staging(directory: Path) -> Staging:
    """A new staging area under `directory`; the caller holds the store's lock."""
    import tempfile  # noqa: PLC0415

    directory.mkdir(parents=True, exist_ok=True)
    area = Path(tempfile.mkdtemp(dir=directory))
    lock = os.open(area / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    (area / BLOBS).mkdir()
    return Staging(area, lock)


def dead_stagings(directory: Path) -> list[Staging]:
    """The areas whose processes died, locked, to be closed by the caller, who holds the store's lock."""
    dead = []
    for area in sorted(directory.glob("*")):
        try:
            lock = os.open(area / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except (FileNotFoundError, NotADirectoryError):
            continue  # its owner has just removed it
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        staging = Staging(area, lock)
        staging.uses += (use.image for use in _uses(area / USES))
        dead.append(staging)
    return dead


def living_uses(directory: Path) -> list[Use]:
    """What living processes read; the caller holds the store's lock."""
    found: list[Use] = []
    for file in sorted(directory.glob(f"*/{USES}")):
        try:
            lock = os.open(file.with_name(LOCK), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # its process has just ended
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            found += _uses(file)
        finally:
            os.close(lock)
    return found


def _uses(file: Path) -> list[Use]:
    try:
        document = decode(file.read_bytes(), str(file))
        process = document.get("process")
        return [
            Use(Descriptor.from_json(image, str(file)), process if isinstance(process, int) else 0)
            for image in items(document.get("images"))
        ]
    except (FileNotFoundError, ImageError):
        return []  # its process has just ended, or died before all of it was on disk


def take(staging: Staging, blobs: Path) -> list[str]:
    """Move all of a staging area's blobs into the store; what the store has already is replaced, as it may be damaged.

    :returns: their hexadecimal digests.
    """
    taken = []
    for blob in sorted(staging.blobs.glob("[0-9a-f]*")):
        target = blobs / blob.name
        if target.exists() and target.samefile(blob):
            blob.unlink()  # it was only held
        else:
            blob.replace(target)
        taken.append(blob.name)
    sync_directory(blobs)
    return taken
