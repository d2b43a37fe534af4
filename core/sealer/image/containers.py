"""Container images inside a cluster image: how its index says which they are, and where each was found.

Each is a descriptor of the index, one a reference and platform. It has no `platform`, so that no tool takes it for the
rootfs; annotations say what there is to know. Indexes that images were pinned by cannot be in an index (skopeo refuses
that): they are layers of one artifact.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sealer.errors import ImageError, InputError
from sealer.events import Json
from sealer.image.discovery.model import Place
from sealer.image.model import ContainerImage
from sealer.image.oci import INDEXES, MANIFEST, MANIFESTS, Descriptor, children, decode
from sealer.image.reference import Reference

if TYPE_CHECKING:
    from sealer.image.staging import Staging
    from sealer.image.store import Store

CONTAINER_REFERENCE = "io.sealer.image.reference"  # its full original name
CONTAINER_PLATFORM = "io.sealer.image.platform"
CONTAINER_FOUND = "io.sealer.image.found"  # a JSON list of [file, line, rule]
CONTAINER_CONVERTED = "io.sealer.image.converted"  # what its manifest was made from, if no registry served it
ARTIFACT = "io.sealer.image.artifact"  # in place of a descriptor's artifactType, with which skopeo refuses to copy

PINNED_INDEXES = "application/vnd.sealer.pinned-indexes.v1"
EMPTY = "application/vnd.oci.empty.v1+json"
MOST_PLACES = 20  # of one image: the index must stay small enough for a registry
_PLATFORM = re.compile(r"[a-z0-9]+/[a-z0-9]+(?:/[a-z0-9.]+)?")


def stage_containers(staging: Staging, containers: Sequence[ContainerImage]) -> list[Descriptor]:
    """What belongs into the image's index behind the rootfs's manifests: the same images give the same bytes.

    :param containers: of which each is, with all its blobs, in the staging area or in the store.
    """
    ordered = sorted(containers, key=lambda one: (one.reference, one.platform))
    described = [_described(one) for one in ordered]
    indexes = {one.index.digest: one.index for one in ordered if one.index}
    if not indexes:
        return described
    layers = [Descriptor(index.media_type, index.digest, index.size) for _, index in sorted(indexes.items())]
    artifact: dict[str, Json] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": PINNED_INDEXES,
        "config": staging.add([b"{}"], EMPTY).as_json(),
        "layers": [layer.as_json() for layer in layers],
    }
    return [*described, replace(staging.add_document(artifact, MANIFEST), annotations={ARTIFACT: PINNED_INDEXES})]


def read_containers(store: Store, parts: Sequence[Descriptor], where: str) -> tuple[ContainerImage, ...]:
    """The container images that an index names, in its order.

    :param parts: the descriptors of the index.
    :raises ImageError: one of them is not as :func:`stage_containers` writes it.
    """
    indexes: dict[str, Descriptor] = {}
    for part in parts:
        if part.annotations.get(ARTIFACT) == PINNED_INDEXES and not part.platform and part.media_type in MANIFESTS:
            indexes |= {index.digest: index for index in _pinned(store, part)}
    found: dict[tuple[str, str], ContainerImage] = {}
    for part in parts:
        if not part.platform and CONTAINER_REFERENCE in part.annotations:
            one = _read(part, indexes, where)
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


def _pinned(store: Store, artifact: Descriptor) -> list[Descriptor]:
    document = decode(store.read(artifact), artifact.digest)
    layers = list(children(MANIFEST, {"layers": document.get("layers")}, artifact.digest))
    return [layer for layer in layers if layer.media_type in INDEXES]


def _read(part: Descriptor, indexes: dict[str, Descriptor], where: str) -> ContainerImage:
    reference, platform = part.annotations[CONTAINER_REFERENCE], part.annotations.get(CONTAINER_PLATFORM, "")
    if part.media_type not in MANIFESTS:
        raise ImageError("a container image is no image manifest", where=where, why=f"{part.media_type!r:.80}")
    try:
        digest = Reference.parse(reference).digest
    except InputError as error:
        raise ImageError("a container image in it has no usable name", where=where, why=str(error)) from error
    if not _PLATFORM.fullmatch(platform):
        raise ImageError(f"{reference} has no usable platform", where=where, why=f"found {platform!r:.80}")
    index = indexes.get(digest) if digest != part.digest else None
    if digest not in ("", part.digest) and index is None:
        raise ImageError(f"{reference} is another image", where=where, why=f"it is {part.digest}")
    converted = part.annotations.get(CONTAINER_CONVERTED, "")
    manifest = Descriptor(part.media_type, part.digest, part.size)
    return ContainerImage(reference, platform, manifest, index, _places(part, where), converted)


def _places(part: Descriptor, where: str) -> tuple[Place, ...]:
    try:
        places = json.loads(part.annotations.get(CONTAINER_FOUND, "[]"))
        return tuple(Place(str(file), int(line), str(rule)) for file, line, rule in places)
    except (ValueError, TypeError, RecursionError):
        raise ImageError(f"the annotation {CONTAINER_FOUND} is no list of places", where=where) from None
