"""Container images that other cluster images of the store have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from sealer.errors import ImageError
from sealer.image.containers import read_containers
from sealer.image.model import ContainerImage
from sealer.image.oci import CREATED, INDEXES, Descriptor, children, decode
from sealer.image.reference import Reference
from sealer.image.staging import Staging
from sealer.image.store import Store


@dataclass(frozen=True)
class _Held:
    owner: Descriptor  # the cluster image
    container: ContainerImage


class StoredContainers:
    """Looks through the store once, when it is first asked; of several images of one name the newest counts.

    :param staging: says that the cluster images are used whose blobs are needed, so that they stay.
    """

    def __init__(self, store: Store, staging: Staging) -> None:
        self._store = store
        self._staging = staging
        self._held: dict[tuple[str, str], list[_Held]] | None = None
        self._used: set[str] = set()

    def find(self, reference: str, platform: str) -> ContainerImage | None:
        """An image by its digest, if the reference has one, else by its name; None: it is not here, or not whole.

        :param reference: normalised.
        """
        if self._held is None:
            self._held = {}
            for key, held in self._found():
                self._held.setdefault(key, []).append(held)
        pinned = Reference.parse(reference).digest
        for held in self._held.get((pinned or reference, platform), ()):
            if self._use(held):
                index = held.container.index if pinned and held.container.manifest.digest != pinned else None
                inner = held.container.inner_indexes if index else ()
                return replace(held.container, reference=reference, index=index, inner_indexes=inner, found=())
        return None

    def _found(self) -> Iterator[tuple[tuple[str, str], _Held]]:
        """Every key by which a container image may be asked for."""
        newest = sorted(self._store.catalogue().entries, key=lambda one: one.annotations.get(CREATED, ""), reverse=True)
        for entry in newest:
            if entry.media_type not in INDEXES:
                continue
            with suppress(ImageError):  # what is damaged is of no use here, and told elsewhere
                document = decode(self._store.read(entry), entry.digest)
                parts = list(children(entry.media_type, document, entry.digest))
                for one in read_containers(self._store, parts, entry.digest):
                    held = _Held(entry, one)
                    names = {one.reference, one.manifest.digest, *([one.index.digest] if one.index else ())}
                    yield from (((name, one.platform), held) for name in names)

    def _use(self, held: _Held) -> bool:
        try:
            if held.owner.digest not in self._used:
                self._store.use(self._staging, held.owner.digest)
                self._used.add(held.owner.digest)
            wanted = [*self._store.closure(held.container.manifest).values(), *held.container.indexes]
        except ImageError:
            return False  # it was removed meanwhile, or is damaged
        return all(self._whole(part) for part in wanted)

    def _whole(self, part: Descriptor) -> bool:
        path = self._store.path(part.digest)
        return path.is_file() and path.stat().st_size == part.size
