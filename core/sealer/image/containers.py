"""Container images inside a cluster image: how its index says which they are, and where each was found.

Each is a descriptor of the index, one a reference and platform. It has no `platform`, so that no tool takes it for the
rootfs; annotations say what there is to know. For the indexes that images were pinned by see
:mod:`sealer.image.pinned_indexes`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sealer.documents import load_json
from sealer.errors import ImageError, InputError
from sealer.events import Json
from sealer.image.discovery.model import Place
from sealer.image.model import ContainerImage
from sealer.image.oci import CONTAINER_PLATFORM, CONTAINER_REFERENCE, MANIFESTS, Descriptor
from sealer.image.pinned_indexes import PinnedIndexes, stage_indexes
from sealer.image.reference import Reference

if TYPE_CHECKING:
    from sealer.image.staging import Staging
    from sealer.image.store import Store

CONTAINER_FOUND = "io.sealer.image.found"  # a JSON list of [file, line, rule]
CONTAINER_CONVERTED = "io.sealer.image.converted"  # what its manifest was made from, if no registry served it
MOST_PLACES = 20  # of one image: the index must stay small enough for a registry
_PLATFORM = re.compile(r"[a-z0-9]+/[a-z0-9]+(?:/[a-z0-9.]+)?")


def stage_containers(staging: Staging, containers: Sequence[ContainerImage]) -> list[Descriptor]:
    """What belongs into the image's index behind the rootfs's manifests: the same images give the same bytes.

    :param containers: of which each is, with all its blobs, in the staging area or in the store.
    """
    ordered = sorted(containers, key=lambda one: (one.reference, one.platform))
    described = [_described(one) for one in ordered]
    indexes = {index.digest: index for one in ordered for index in one.indexes}
    return [*described, stage_indexes(staging, indexes)] if indexes else described


def read_containers(store: Store, parts: Sequence[Descriptor], where: str) -> tuple[ContainerImage, ...]:
    """The container images that an index names, in its order.

    :param parts: the descriptors of the index.
    :raises ImageError: one of them is not as :func:`stage_containers` writes it.
    """
    pinned = PinnedIndexes(store, parts)
    found: dict[tuple[str, str], ContainerImage] = {}
    for part in parts:
        if not part.platform and CONTAINER_REFERENCE in part.annotations:
            one = _read(part, pinned, where)
            if (one.reference, one.platform) in found:
                raise ImageError(f"two container images are called {one.reference}", where=where, why=one.platform)
            found[one.reference, one.platform] = one
    return tuple(found.values())


def container_size(store: Store, container: ContainerImage) -> int:
    """Bytes of its manifest, config and layers.

    :raises ImageError: its manifest is missing or damaged.
    """
    return sum(part.size for part in store.closure(container.manifest).values())


def _described(one: ContainerImage) -> Descriptor:
    annotations = {CONTAINER_REFERENCE: one.reference, CONTAINER_PLATFORM: one.platform}
    if one.found:
        places: list[Json] = [[place.file, place.line, place.rule] for place in one.found[:MOST_PLACES]]
        annotations[CONTAINER_FOUND] = json.dumps(places, separators=(",", ":"), ensure_ascii=False)
    if one.converted:
        annotations[CONTAINER_CONVERTED] = one.converted
    return Descriptor(one.manifest.media_type, one.manifest.digest, one.manifest.size, annotations)


def _read(part: Descriptor, pinned: PinnedIndexes, where: str) -> ContainerImage:
    reference, platform = part.annotations[CONTAINER_REFERENCE], part.annotations.get(CONTAINER_PLATFORM, "")
    if part.media_type not in MANIFESTS:
        raise ImageError("a container image is no image manifest", where=where, why=f"{part.media_type!r:.80}")
    try:
        digest = Reference.parse(reference).digest
    except InputError as error:
        raise ImageError("a container image in it has no usable name", where=where, why=str(error)) from error
    if not _PLATFORM.fullmatch(platform):
        raise ImageError(f"{reference} has no usable platform", where=where, why=f"found {platform!r:.80}")
    index = pinned.find(digest) if digest != part.digest else None
    if digest not in ("", part.digest) and index is None:
        raise ImageError(f"{reference} is another image", where=where, why=f"it is {part.digest}")
    converted = part.annotations.get(CONTAINER_CONVERTED, "")
    manifest = Descriptor(part.media_type, part.digest, part.size)
    inner = pinned.within(index) if index else ()
    return ContainerImage(reference, platform, manifest, index, _places(part, where), converted, inner)


def _places(part: Descriptor, where: str) -> tuple[Place, ...]:
    try:
        places = load_json(part.annotations.get(CONTAINER_FOUND, "[]"))
        return tuple(Place(str(file), int(line), str(rule)) for file, line, rule in places)
    except (ValueError, TypeError):
        raise ImageError(f"the annotation {CONTAINER_FOUND} is no list of places", where=where) from None
