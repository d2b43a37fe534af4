"""The local store: an OCI image layout in which a crash at any moment leaves everything valid.

Blobs are made in a staging area, made durable, renamed into `blobs/sha256`, and only then does `index.json` name them,
all under a lock that is held for moments. A blob that no image names is harmless and goes with the next removal.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from sealer.errors import ImageError, RefusedError
from sealer.events import Json
from sealer.image.catalogue import Catalogue, Removal, StoredImage
from sealer.image.model import ClusterImage
from sealer.image.oci import (
    CREATED,
    INDEX,
    INDEXES,
    LARGEST_DOCUMENT,
    MANIFESTS,
    REF_NAME,
    Descriptor,
    children,
    decode,
    digest_of,
    encode,
    items,
    platform_text,
)
from sealer.image.oci_image import read_cluster_image
from sealer.image.reference import Reference
from sealer.image.staging import Staging, dead_stagings, open_staging, take
from sealer.image.storage import storage_errors, sync_directory, write_durably

LAYOUT = {"imageLayoutVersion": "1.0.0"}


class Store:
    """An OCI image layout. Reading needs no lock; nothing is created before the first write.

    :param root: the layout's directory.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.blobs = root / "blobs" / "sha256"

    # Reading

    def find(self, reference: str) -> ClusterImage:
        """The image of that name, digest, or beginning of a digest.

        :raises ImageNotFoundError: there is none; the remedy has the nearest names.
        :raises InputError: it cannot be the name of an image.
        :raises ImageError: it is in the store, but not whole.
        """
        return read_cluster_image(self, reference, self.descriptor(reference))

    def descriptor(self, reference: str) -> Descriptor:
        """What `index.json` says about an image; for the errors see :meth:`find`."""
        return self.catalogue().find(reference)

    def list(self) -> tuple[StoredImage, ...]:
        """All images, by name; those without a name last."""
        return tuple(self._summary(entry) for entry in self.catalogue().sorted())

    def catalogue(self) -> Catalogue:
        """What `index.json` holds at this moment."""
        path = self.root / "index.json"
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return Catalogue(())
        except OSError as error:
            raise ImageError("the image store cannot be read", where=str(path), why=error.strerror or "") from error
        document = decode(content, str(path))
        return Catalogue(tuple(Descriptor.from_json(entry, str(path)) for entry in items(document.get("manifests"))))

    def path(self, digest: str) -> Path:
        """The file of a blob, whether it is there or not."""
        return self.blobs / digest.removeprefix("sha256:")

    def read(self, descriptor: Descriptor) -> bytes:
        """A document's bytes, verified.

        :raises ImageError: it is missing, damaged, or too large to be a document.
        """
        path = self.path(descriptor.digest)
        if descriptor.size > LARGEST_DOCUMENT:
            raise ImageError(
                "a document in the image store is too large", where=str(path), why=f"{descriptor.size} bytes"
            )
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ImageError(
                "a part of the image is missing",
                where=str(path),
                why=error.strerror or "",
                remedy="load or build it again",
            ) from error
        if len(content) != descriptor.size or digest_of(content) != descriptor.digest:
            raise ImageError(
                "a document in the image store is damaged",
                where=str(path),
                remedy="remove the image, load or build it again",
            )
        return content

    def closure(self, *roots: Descriptor) -> dict[str, Descriptor]:
        """Every blob that these lead to, themselves included, by digest.

        :raises ImageError: a document on the way is missing or damaged.
        """
        found: dict[str, Descriptor] = {}
        open_ends = list(reversed(roots))
        while open_ends:
            descriptor = open_ends.pop()
            if descriptor.digest in found:
                continue
            found[descriptor.digest] = descriptor
            if descriptor.media_type in (*INDEXES, *MANIFESTS):
                document = decode(self.read(descriptor), descriptor.digest)
                open_ends.extend(reversed(list(children(descriptor.media_type, document, descriptor.digest))))
        return found

    def _summary(self, entry: Descriptor) -> StoredImage:
        platforms: list[str] = []
        try:
            size = sum(part.size for part in self.closure(entry).values())
            if entry.media_type in INDEXES:
                document = decode(self.read(entry), entry.digest)
                parts = children(entry.media_type, document, entry.digest)
                platforms = [platform_text(part.platform) for part in parts if part.platform]
        except ImageError as error:
            return StoredImage(
                entry.annotations.get(REF_NAME, ""), entry.digest, 0, (), entry.annotations.get(CREATED, ""), str(error)
            )
        return StoredImage(
            reference=entry.annotations.get(REF_NAME, ""),
            digest=entry.digest,
            size=size,
            platforms=tuple(dict.fromkeys(platforms)),
            created=entry.annotations.get(CREATED, ""),
        )

    # Writing

    def stage(self) -> Staging:
        """A place for new blobs; what dead processes left behind is removed first."""
        with self._locked():
            dead = dead_stagings(self._temporary)
            staging = open_staging(self._temporary)
        for area in dead:
            area.close()
        return staging

    def commit(self, staging: Staging, image: Descriptor, names: Sequence[str] = ()) -> Descriptor:
        """Take over the staged blobs and name the image.

        :param image: its index, staged or already here.
        :param names: may be empty: the image can then be found by its digest.
        :raises ImageError: a blob that the image leads to is neither staged nor here.
        """
        tags = [Reference.parse(name).tagged for name in names]
        entry = replace(image, annotations={CREATED: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")})
        with self._locked():
            with storage_errors("the image could not be stored", self.root):
                take(staging, self.blobs)
            self._require(image)
            self._write(self.catalogue().with_image(entry, tags))
        return image

    def tag(self, source: str, names: Sequence[str]) -> str:
        """Give an image more names; its digest is returned. For the errors see :meth:`find`."""
        tags = [Reference.parse(name).tagged for name in names]
        with self._locked():
            catalogue = self.catalogue()
            entry = catalogue.find(source)
            self._write(catalogue.with_image(entry, tags))
        return entry.digest

    def remove(self, reference: str, *, force: bool = False) -> Removal:
        """Take a name away; with its last name goes the image, with its last image each blob.

        :param force: remove an image given by digest even if it has several names.
        :raises ImageNotFoundError: there is no such image.
        :raises RefusedError: a digest was given, the image has several names, and there is no `force`.
        """
        with self._locked():
            catalogue = self.catalogue()
            entry = catalogue.find(reference)
            names = catalogue.names(entry.digest)
            tagged = entry.annotations.get(REF_NAME, "")
            by_name = bool(tagged) and catalogue.is_name(reference)
            if not by_name and len(names) > 1 and not force:
                raise RefusedError(
                    f"'{reference}' has {len(names)} names: {', '.join(names)}",
                    remedy="remove it by name, or all of them at once with --force",
                )
            remaining = catalogue.without_name(tagged) if by_name else catalogue.without_digest(entry.digest)
            self._write(remaining)
            deleted = self._sweep(remaining)
        gone = entry.digest not in {other.digest for other in remaining.entries}
        return Removal((tagged,) if by_name else names, entry.digest if gone else "", deleted)

    def prune(self) -> tuple[str, ...]:
        """Delete the blobs that no image leads to; their digests are returned."""
        with self._locked():
            return self._sweep(self.catalogue())

    @property
    def _temporary(self) -> Path:
        return self.root / "tmp"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with storage_errors("the image store cannot be used", self.root):
            self.blobs.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.root / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with storage_errors("the image store cannot be used", self.root):
                self._lay_out()
            yield
        finally:
            os.close(lock)

    def _lay_out(self) -> None:
        if not (self.root / "oci-layout").exists():
            write_durably(self.root / "oci-layout", encode(LAYOUT))
        if not (self.root / "index.json").exists():
            self._write(Catalogue(()))

    def _write(self, catalogue: Catalogue) -> None:
        document: dict[str, Json] = {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [entry.as_json() for entry in catalogue.entries],
        }
        with storage_errors("the image store could not be written", self.root):
            write_durably(self.root / "index.json", encode(document))

    def _require(self, image: Descriptor) -> None:
        for digest, descriptor in self.closure(image).items():
            path = self.path(digest)
            if not path.is_file() or path.stat().st_size != descriptor.size:
                raise ImageError("a part of the image is missing", where=digest, remedy="run the same command again")

    def _sweep(self, catalogue: Catalogue) -> tuple[str, ...]:
        needed = {self.path(digest).name for digest in self.closure(*catalogue.entries)}
        deleted = []
        with storage_errors("unused blobs could not be deleted", self.blobs):
            for path in sorted(self.blobs.iterdir()):
                if path.name not in needed:
                    path.unlink()
                    deleted.append(f"sha256:{path.name}")
            sync_directory(self.blobs)
        return tuple(deleted)
