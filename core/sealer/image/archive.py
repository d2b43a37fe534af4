"""`save` and `load`: images as one file, a tar of an OCI image layout ("oci-archive")."""

from __future__ import annotations

import hashlib
import os
import re
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

from sealer.errors import ImageError
from sealer.events import Json
from sealer.image.compressed import opened
from sealer.image.expansion import Readable
from sealer.image.files import lay_over
from sealer.image.oci import (
    CREATED,
    INDEX,
    LARGEST_DOCUMENT,
    REF_NAME,
    Descriptor,
    decode,
    encode,
    items,
)
from sealer.image.oci_image import NoClusterImageError, read_cluster_image
from sealer.image.reference import Reference
from sealer.image.staged import StagedStore
from sealer.image.staging import Staging
from sealer.image.storage import storage_errors, sync_directory
from sealer.image.store import LAYOUT, Store
from sealer.image.tarstream import BLOCK, CHUNK, Content, Kind, Member, members

_BLOB = re.compile(r"blobs/sha256/([0-9a-f]{64})")
_RECORD = 20 * BLOCK  # a tar ends at a multiple of this, as every tar program writes it


def save(store: Store, references: Sequence[str], target: Path) -> tuple[Descriptor, ...]:
    """Write images to an archive; the same images give the same bytes.

    :returns: what was written, one for each reference.
    :raises ImageNotFoundError: an image is not in the store; nothing is written.
    :raises ImageError: the store or the target failed; a file that was there before is still the old one.
    """
    with store.using(*references):
        return _save(store, [store.descriptor(reference) for reference in references], target)


def _save(store: Store, found: Sequence[Descriptor], target: Path) -> tuple[Descriptor, ...]:
    parts = store.closure(*found)
    entries = {(entry.annotations.get(REF_NAME, ""), entry.digest): entry for entry in map(_undated, found)}
    index: dict[str, Json] = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [entries[key].as_json() for key in sorted(entries)],
    }
    partial = target.with_name(f".{target.name}.partial")
    with storage_errors("the archive could not be written", target):
        try:
            with partial.open("wb") as file:
                for digest in sorted(parts):
                    _add_blob(file, store.path(digest))
                _add_bytes(file, "index.json", encode(index))
                _add_bytes(file, "oci-layout", encode(LAYOUT))
                file.write(bytes(2 * BLOCK))
                file.write(bytes(-file.tell() % _RECORD))
                file.flush()
                os.fsync(file.fileno())
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        sync_directory(target.parent)
    return tuple(found)


class ForeignArchiveError(ImageError):
    """It is an archive of another kind."""


def load(store: Store, source: Path) -> tuple[tuple[str, str], ...]:
    """Take the images of an archive into the store. Every digest is checked while it is written.

    :returns: name (empty: none) and digest of each image.
    :raises ImageError: it is no such archive, is damaged, or holds what no image may; the store is as before.
    """
    try:
        return _load(store, source)
    except ForeignArchiveError:
        from sealer.image.gathering.docker_load import load_docker  # noqa: PLC0415  # most archives are our own

        if loaded := load_docker(store, source):
            return loaded
        raise


def _load(store: Store, source: Path) -> tuple[tuple[str, str], ...]:
    with store.stage() as staging, blamed(source):
        with opened(source, staging.directory) as file:
            index = _stage_members(staging, file)
        entries = _entries(index, source)
        staged = StagedStore(store, staging)
        for entry in entries:
            try:
                image = read_cluster_image(staged, entry.annotations.get(REF_NAME, "") or entry.digest, entry)
            except NoClusterImageError as error:
                raise ForeignArchiveError(error.what, where=error.where, why=error.why, remedy=error.remedy) from error
            staged.require(entry)
            for rootfs in image.rootfs:
                lay_over(rootfs.layers, verify=True)  # a host unpacks them without looking
        names = [entry.annotations.get(REF_NAME, "") for entry in entries]
        store.commit_all(staging, [(entry, [name] if name else []) for entry, name in zip(entries, names, strict=True)])
    return tuple(
        (Reference.parse(name).tagged if name else "", entry.digest) for entry, name in zip(entries, names, strict=True)
    )


def _undated(entry: Descriptor) -> Descriptor:
    kept = {key: text for key, text in entry.annotations.items() if key != CREATED}
    return replace(entry, annotations=kept)


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


def _add_blob(file: IO[bytes], source: Path) -> None:
    digest = hashlib.sha256()
    with source.open("rb", buffering=0) as blob:
        size = os.fstat(blob.fileno()).st_size
        file.write(_header(f"blobs/sha256/{source.name}", size))
        while chunk := blob.read(CHUNK):
            digest.update(chunk)
            file.write(chunk)
    file.write(bytes(-size % BLOCK))
    if digest.hexdigest() != source.name:
        raise ImageError("a blob of the store is damaged", where=str(source), remedy="load or build the image again")


def _add_bytes(file: IO[bytes], name: str, content: bytes) -> None:
    file.write(_header(name, len(content)) + content + bytes(-len(content) % BLOCK))


@contextmanager
def blamed(source: Path) -> Iterator[None]:
    """Say of every error which archive it is about."""
    try:
        yield
    except ImageError as error:
        if error.where == str(source):
            raise
        why = ": ".join(filter(None, (error.where, error.why)))
        kind = ForeignArchiveError if isinstance(error, ForeignArchiveError) else ImageError
        raise kind(error.what, where=str(source), why=why, remedy=error.remedy) from error


def _stage_members(staging: Staging, file: Readable) -> dict[str, Json]:
    """Stage the blobs; what `index.json` says is returned."""
    documents: dict[str, dict[str, Json]] = {}
    for member, content in members(file):
        if member.kind is Kind.DIRECTORY:
            continue
        blob = _BLOB.fullmatch(member.path)
        if member.kind is not Kind.FILE:
            raise ForeignArchiveError("not an image archive", why=f"it holds a {member.kind}, {member.path[:100]!a}")
        if blob:
            staging.add(content.chunks(), "", digest=f"sha256:{blob[1]}", size=member.size)
        elif member.path in ("index.json", "oci-layout"):
            documents[member.path] = _document(member, content)
        elif member.path != "manifest.json":  # for docker's eyes; some programs add it
            raise _foreign(member.path)
    if "index.json" not in documents or "oci-layout" not in documents:
        raise _foreign("")
    return documents["index.json"]


def _document(member: Member, content: Content) -> dict[str, Json]:
    if member.size > LARGEST_DOCUMENT:
        raise ImageError("not an image archive", why=f"its {member.path} has {member.size} bytes")
    return decode(b"".join(content.chunks()), member.path)


def _foreign(path: str) -> ImageError:
    found = f"it holds {path[:100]!a}" if path else "index.json or oci-layout is missing"
    remedy = "`sealer load` reads what `sealer save` and `docker save` write"
    return ForeignArchiveError("not an image archive", why=found, remedy=remedy)


def _entries(index: dict[str, Json], source: Path) -> list[Descriptor]:
    entries = [Descriptor.from_json(entry, "index.json") for entry in items(index.get("manifests"))]
    if not entries:
        raise ImageError("the archive holds no image", where=str(source))
    for entry in entries:
        if name := entry.annotations.get(REF_NAME, ""):
            Reference.parse(name)
    return entries
