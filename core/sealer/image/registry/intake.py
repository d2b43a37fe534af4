"""From registries into a staging area: documents first, then every blob they need that is not here yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sealer.errors import ImageError, ImageNotFoundError, RegistryError, SealerError
from sealer.image.downloads import Downloads
from sealer.image.oci import Descriptor
from sealer.image.registry.documents import LARGEST_MANIFEST, Document, document_of
from sealer.image.registry.download import Downloader
from sealer.image.registry.names import Place
from sealer.image.registry.progress import Progress
from sealer.image.registry.repository import Repository
from sealer.image.staging import Staging
from sealer.image.store import Store


@dataclass
class Wanted:
    """The blobs of one or many images, each once, with the repositories that have it."""

    blobs: dict[str, tuple[Descriptor, list[Repository]]] = field(default_factory=dict)

    def add(self, blob: Descriptor, sources: Sequence[Repository]) -> None:
        """One more; a blob that two documents give two sizes is refused.

        :raises ImageError: they do.
        """
        known, repositories = self.blobs.setdefault(blob.digest, (blob, []))
        if known.size != blob.size:
            raise ImageError("two documents give one blob two sizes", where=blob.digest)
        repositories += [source for source in sources if source not in repositories]


class Intake:
    """Fetches into one staging area; its methods may be called by several threads."""

    def __init__(self, store: Store, staging: Staging, progress: Progress) -> None:
        self._store = store
        self._staging = staging
        self._downloader = Downloader(staging, Downloads(store.downloads), progress)

    def resolve(self, place: Place, sources: Sequence[Repository]) -> tuple[Document, Repository]:
        """What a name means: at the first of the sources that knows it.

        :raises ImageNotFoundError: no registry has it.
        :raises RegistryError: none could be asked.
        """
        if place.digest and (own := self._own(Descriptor("", place.digest, 0), place.digest)):
            return own, sources[0]
        problems: list[SealerError] = []
        for source in sources:
            try:
                document = source.manifest(place.wanted)
                self._stage(document)
                return document, source
            except (RegistryError, ImageNotFoundError) as error:
                problems.append(error)
        if len(problems) == 1:
            raise problems[0]
        kind = ImageNotFoundError if isinstance(problems[-1], ImageNotFoundError) else RegistryError
        raise kind(
            "neither the mirrors nor the registry gave the image",
            where=str(place),
            why="; ".join(map(str, problems)),
            remedy=problems[-1].remedy,
        )

    def document(self, part: Descriptor, sources: Sequence[Repository]) -> Document:
        """A manifest that an index names: the store's own, or fetched.

        :raises ImageError: it is not what it should be.
        """
        if own := self._own(part, part.digest):
            return own
        for source in sources[:-1]:
            try:
                return self._stage(source.manifest(part.digest, part))
            except (RegistryError, ImageNotFoundError):
                continue
        return self._stage(sources[-1].manifest(part.digest, part))

    def blob(self, wanted: tuple[Descriptor, Sequence[Repository]]) -> None:
        """Get one blob into the staging area.

        :raises ImageError: it could not be had.
        """
        self._downloader.fetch(*wanted)

    def missing(self, wanted: Wanted) -> list[tuple[Descriptor, Sequence[Repository]]]:
        """The blobs to be fetched, the largest first; those of the store are in the staging area then."""
        found = [(blob, sources) for blob, sources in wanted.blobs.values() if not self._held(blob)]
        return sorted(found, key=lambda item: -item[0].size)

    def _held(self, blob: Descriptor) -> bool:
        path = self._store.path(blob.digest)
        try:
            if path.stat().st_size != blob.size:
                return False
            self._staging.hold(path)
        except (OSError, ImageError):  # it is not there, or an `rmi` was faster
            return False
        return True

    def _own(self, part: Descriptor, where: str) -> Document | None:
        try:
            with self._store.path(part.digest).open("rb") as file:
                content = file.read(LARGEST_MANIFEST + 1)
            known = Descriptor(part.media_type, part.digest, part.size or len(content))
            document = document_of(content, part.media_type, where, known if part.media_type else None)
        except (OSError, ImageError):
            return None
        if document.descriptor.digest != part.digest:
            return None
        return self._stage(document)

    def _stage(self, document: Document) -> Document:
        descriptor = document.descriptor
        self._staging.add([document.content], descriptor.media_type, digest=descriptor.digest, size=descriptor.size)
        return document
