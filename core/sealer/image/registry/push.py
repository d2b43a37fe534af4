"""`sealer push`: a cluster image from the store to a registry, only what is missing there, the index last."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

from sealer.errors import ImageError, InputError
from sealer.events import EventStream
from sealer.image.oci import CONTAINER_REFERENCE, INDEXES, REF_NAME, SOURCE, Descriptor
from sealer.image.registry.documents import LARGEST_MANIFEST, Document, document_of
from sealer.image.registry.names import Place, complete, complete_container
from sealer.image.registry.progress import Progress, owners
from sealer.image.registry.registries import Registries
from sealer.image.registry.upload import LARGE, Uploader
from sealer.image.store import Store


@dataclass(frozen=True)
class Pushed:
    """What came of it.

    :param target: the full name it has in the registry.
    :param digest: of its index.
    :param size: bytes of all its blobs.
    :param moved: bytes that went over the wire.
    :param sent: digests of the blobs that were sent.
    :param mounted: digests of the blobs that the registry took from another of its repositories.
    """

    target: str
    digest: str
    size: int
    moved: int
    sent: tuple[str, ...]
    mounted: tuple[str, ...]


def push(store: Store, registries: Registries, events: EventStream, name: str) -> Pushed:
    """Bring an image of the store to the registry that its name says, byte for byte.

    :raises ImageNotFoundError: it is not in the store.
    :raises ImageError: it is not whole here, the registry refuses it, or could not be reached.
    """
    entry = store.descriptor(name)
    place = registries.complete(name)
    index = _read(store, entry)
    manifests = [_read(store, part) for part in index.children()] if index.is_index else []
    blobs = {blob.digest: blob for document in manifests or [index] for blob in document.children()}
    for blob in blobs.values():
        _require(store, blob)
    target = registries.repository(place)
    with registries.pool() as pool, Progress(events, "push", f"Push {place}") as progress:
        registries.patience.notify = progress.retrying
        progress.expect(blobs.values(), owners(index.children(), manifests))
        origins = _Origins(store, registries, place)
        uploader = Uploader(target, store.path, origins.of, store.uploads, progress)
        target.client.base  # noqa: B018  # one connection finds out how to speak, before six try
        pool.map(uploader.push, sorted(blobs.values(), key=lambda blob: (blob.size >= LARGE, -blob.size)))
        pool.map(lambda part: target.put_manifest(part.content, part.descriptor, part.descriptor.digest), manifests)
        target.put_manifest(index.content, index.descriptor, place.tag or place.digest)
        progress.message = index.descriptor.digest
        size = sum(blob.size for blob in blobs.values())
        sent, mounted = (tuple(sorted(digests)) for digests in (uploader.sent, uploader.mounted))
        return Pushed(str(place), entry.digest, size, progress.moved, sent, mounted)


def _read(store: Store, descriptor: Descriptor) -> Document:
    if descriptor.size > LARGEST_MANIFEST:
        raise ImageError(
            "the image's index is too large for a registry", where=descriptor.digest, why=f"{descriptor.size} bytes"
        )
    return document_of(store.read(descriptor), descriptor.media_type, descriptor.digest, descriptor)


def _require(store: Store, blob: Descriptor) -> None:
    path = store.path(blob.digest)
    if not path.is_file() or path.stat().st_size != blob.size:
        raise ImageError(
            "a blob of the image is missing", where=str(path), remedy="pull, load or build the image again"
        )


class _Origins:
    """Which other repositories of the same registry may have a blob already.

    The names of the store's images say so: the base was pulled from there, an earlier version was pushed there. A
    registry that is asked in vain has lost nothing: it begins an upload.
    """

    def __init__(self, store: Store, registries: Registries, target: Place) -> None:
        self._store = store
        self._default = registries.configuration.default_repository
        self._target = target
        self._lock = threading.Lock()
        self._known: dict[str, tuple[str, ...]] | None = None

    def of(self, digest: str) -> tuple[str, ...]:
        """Names of repositories, the likeliest first; the first call looks through the store."""
        with self._lock:
            if self._known is None:
                self._known = {}
                for repository, found in self._found():
                    known = self._known.get(found, ())
                    if repository not in known:
                        self._known[found] = (*known, repository)
            return self._known.get(digest, ())

    def _found(self) -> Iterator[tuple[str, str]]:
        for entry in self._store.catalogue().sorted():
            try:
                for name in (entry.annotations.get(REF_NAME, ""), entry.annotations.get(SOURCE, "")):
                    if name:
                        yield from self._in(complete(name, self._default), entry)
                if entry.media_type in INDEXES:
                    yield from self._of_containers(entry)
            except (ImageError, InputError):
                continue  # an image that is damaged is no hint

    def _of_containers(self, entry: Descriptor) -> Iterator[tuple[str, str]]:
        for part in _read(self._store, entry).children():
            if reference := part.annotations.get(CONTAINER_REFERENCE, ""):
                yield from self._in(complete_container(reference), part)

    def _in(self, place: Place, root: Descriptor) -> Iterator[tuple[str, str]]:
        if place.registry == self._target.registry and place.repository != self._target.repository:
            for digest in self._store.closure(root):
                yield place.repository, digest
