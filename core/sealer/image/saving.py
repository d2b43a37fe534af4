"""Images as an OCI image layout, in a tar ("oci-archive") or a directory ("oci-dir")."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from sealer.errors import ImageError
from sealer.events import Json
from sealer.image.oci import INDEX, REF_NAME, Descriptor, encode, undated
from sealer.image.storage import storage_errors, sync_directory
from sealer.image.store import LAYOUT, Store
from sealer.image.tarstream import CHUNK
from sealer.image.tarwriter import TarWriter


def write_oci_archive(store: Store, found: Sequence[Descriptor], file: BinaryIO) -> None:
    """Write images to a stream; the same images give the same bytes.

    :param found: their entries in the store.
    :raises ImageError: a blob is missing or damaged.
    :raises OSError: the stream failed.
    """
    tar = TarWriter(file)
    for digest in sorted(store.closure(*found)):
        path = store.path(digest)
        tar.add(f"blobs/sha256/{path.name}", size_of(path), verified(path))
    tar.add_bytes("index.json", encode(_index(found)))
    tar.add_bytes("oci-layout", encode(LAYOUT))
    tar.end()


def write_oci_directory(store: Store, found: Sequence[Descriptor], directory: Path) -> None:
    """The same as the files of a directory, which is empty. For the errors see :func:`write_oci_archive`."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for digest in sorted(store.closure(*found)):
        path = store.path(digest)
        _write(blobs / path.name, verified(path))
    sync_directory(blobs)
    _write(directory / "index.json", [encode(_index(found))])
    _write(directory / "oci-layout", [encode(LAYOUT)])


def size_of(blob: Path) -> int:
    """Bytes of a blob of the store."""
    with storage_errors("a blob of the image is missing", blob):
        return blob.stat().st_size


def verified(blob: Path) -> Iterator[bytes]:
    """The content of a blob of the store; its digest is checked at the end.

    :raises ImageError: it cannot be read, or is damaged.
    """
    digest = hashlib.sha256()
    with storage_errors("a blob of the store cannot be read", blob):
        file = blob.open("rb", buffering=0)
    with file:
        while True:
            with storage_errors("a blob of the store cannot be read", blob):
                chunk = file.read(CHUNK)
            if not chunk:
                break
            digest.update(chunk)
            yield chunk
    if digest.hexdigest() != blob.name:
        raise ImageError(
            "a blob of the store is damaged",
            where=str(blob),
            remedy="pull, load or build the image again; nothing was saved",
        )


def _write(path: Path, chunks: Sequence[bytes] | Iterator[bytes]) -> None:
    with path.open("xb", buffering=0) as file:
        for chunk in chunks:
            rest = memoryview(chunk)
            while rest:
                rest = rest[file.write(rest) or 0 :]
        os.fsync(file.fileno())


def _index(found: Sequence[Descriptor]) -> dict[str, Json]:
    entries = {(entry.annotations.get(REF_NAME, ""), entry.digest): entry for entry in map(undated, found)}
    return {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entries[key].as_json() for key in sorted(entries)]}
