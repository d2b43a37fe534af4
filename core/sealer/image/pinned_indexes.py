"""The indexes that container images were pinned by: inside the cluster image's index they may not be.

skopeo refuses an index within an index, so that they are layers of one artifact, byte for byte, and with them the
indexes that lie in them: a digest is only kept where all that it names can be put back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sealer.errors import ImageError
from sealer.events import Json
from sealer.image.oci import DEEPEST_INDEX, INDEXES, MANIFEST, MANIFESTS, Descriptor, children, decode

if TYPE_CHECKING:
    from sealer.image.staging import Staging
    from sealer.image.store import Store

ARTIFACT = "io.sealer.image.artifact"  # in place of a descriptor's artifactType, with which skopeo refuses to copy
PINNED_INDEXES = "application/vnd.sealer.pinned-indexes.v1"
EMPTY = "application/vnd.oci.empty.v1+json"
MOST_INDEXES = 10_000  # of one cluster image


def stage_indexes(staging: Staging, indexes: Mapping[str, Descriptor]) -> Descriptor:
    """Write the artifact; the same indexes give the same bytes.

    :param indexes: by digest; each is in the staging area or in the store.
    """
    layers = [Descriptor(index.media_type, index.digest, index.size) for _, index in sorted(indexes.items())]
    artifact: dict[str, Json] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": PINNED_INDEXES,
        "config": staging.add([b"{}"], EMPTY).as_json(),
        "layers": [layer.as_json() for layer in layers],
    }
    return replace(staging.add_document(artifact, MANIFEST), annotations={ARTIFACT: PINNED_INDEXES})


class PinnedIndexes:
    """The indexes that a cluster image has for its container images.

    :param parts: the descriptors of the cluster image's index.
    :raises ImageError: the artifact is missing, damaged, or too large.
    """

    def __init__(self, store: Store, parts: Sequence[Descriptor]) -> None:
        self._store = store
        self._indexes: dict[str, Descriptor] = {}
        self._within: dict[str, tuple[Descriptor, ...]] = {}
        for part in parts:
            if part.annotations.get(ARTIFACT) == PINNED_INDEXES and not part.platform and part.media_type in MANIFESTS:
                self._add(part)

    def find(self, digest: str) -> Descriptor | None:
        """The index of that digest."""
        return self._indexes.get(digest)

    def within(self, index: Descriptor) -> tuple[Descriptor, ...]:
        """The indexes that lie in one, as far as the image has them, each after those that lie in it.

        :raises ImageError: one of them is missing, damaged, or lies within itself.
        """
        return self._walk(index, ())

    def _add(self, artifact: Descriptor) -> None:
        document = decode(self._store.read(artifact), artifact.digest)
        for layer in children(MANIFEST, {"layers": document.get("layers")}, artifact.digest):
            if layer.media_type in INDEXES:
                self._indexes[layer.digest] = layer
        if len(self._indexes) > MOST_INDEXES:
            raise ImageError("the image has too many indexes", where=artifact.digest, why=f"more than {MOST_INDEXES}")

    def _walk(self, index: Descriptor, above: tuple[str, ...]) -> tuple[Descriptor, ...]:
        if index.digest in above:
            raise ImageError("an index lies within itself", where=index.digest)
        if len(above) >= DEEPEST_INDEX:
            raise ImageError("an index lies too deep in other indexes", where=index.digest)
        if index.digest not in self._within:
            found: dict[str, Descriptor] = {}
            document = decode(self._store.read(index), index.digest)
            for part in children(index.media_type, document, index.digest):
                if own := self._indexes.get(part.digest):
                    found |= {one.digest: one for one in (*self._walk(own, (*above, index.digest)), own)}
            self._within[index.digest] = tuple(found.values())
        return self._within[index.digest]
