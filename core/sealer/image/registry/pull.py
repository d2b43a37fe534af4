"""`sealer pull`: a cluster image from a registry into the store, only what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sealer.errors import ImageError, InputError
from sealer.events import EventStream
from sealer.image.catalogue import tell_moved
from sealer.image.files import check_layers
from sealer.image.oci import (
    CLUSTER_IMAGE,
    CONTAINER_PLATFORM,
    INDEX,
    INDEXES,
    SOURCE,
    Descriptor,
    decode,
    digest_of,
    encode,
    platform_text,
)
from sealer.image.oci_image import read_cluster_image
from sealer.image.platforms import platform_object, serves
from sealer.image.reference import Reference
from sealer.image.registry.documents import Document, offers
from sealer.image.registry.intake import Intake, Wanted
from sealer.image.registry.progress import Progress, owners
from sealer.image.registry.registries import Registries
from sealer.image.staged import StagedStore
from sealer.image.staging import Staging
from sealer.image.store import Store


@dataclass(frozen=True)
class Pulled:
    """What came of it.

    :param name: what it is called in the store; empty where it was asked for by its digest alone.
    :param source: the full name it was asked for by.
    :param digest: of its index in the store.
    :param changed: False: the store had all of it under this name.
    :param size: bytes of all its blobs and documents.
    :param moved: bytes of blobs that came over the wire.
    """

    name: str
    source: str
    digest: str
    changed: bool
    size: int
    moved: int


def pull(store: Store, registries: Registries, events: EventStream, name: str, platforms: Sequence[str] = ()) -> Pulled:
    """Fetch a cluster image and store it under the name it was asked for by.

    Digests, sizes and documents are checked. The members of its layers are when the layers are first laid over each
    other, which every way of using an image does before anything is unpacked: unzipping all layers here would take
    longer than fetching them.

    :param platforms: `linux/amd64`, ...; none: all that the image has, byte for byte.
    :raises InputError: the name or a platform cannot be right, or the image has nothing for a platform.
    :raises ImageNotFoundError: no registry has it.
    :raises ImageError: it is no cluster image, is not what its digests say, or could not be fetched or stored.
    """
    place = registries.complete(name)
    for platform in platforms:
        platform_object(platform)
    reference = Reference.parse(name)
    stored = reference.tagged if reference.tag else ""
    title = f"Pull {place}"
    with registries.pool() as pool, store.stage() as staging, Progress(events, "pull", title) as progress:
        registries.patience.notify = progress.retrying
        intake = Intake(store, staging, progress)
        sources = registries.sources(place)
        document, source = intake.resolve(place, sources)
        sources = (source, *(other for other in sources if other is not source))
        index = narrowed(staging, _cluster_index(document, str(place)), platforms, str(place))
        manifests = pool.map(lambda part: intake.document(part, sources), index.children())
        wanted = Wanted()
        for manifest in manifests:
            for blob in manifest.children():
                wanted.add(blob, sources)
        missing = intake.missing(wanted)
        progress.expect((blob for blob, _ in missing), owners(index.children(), manifests))
        pool.map(intake.blob, missing)
        noted = {SOURCE: f"{place.name}@{document.descriptor.digest}"}
        entry = replace(index.descriptor, artifact_type=CLUSTER_IMAGE, annotations=noted)
        check_layers(read_cluster_image(StagedStore(store, staging), str(place), entry))
        before = store.catalogue().is_named(stored, entry.digest)
        moved = store.commit_all(staging, [(entry, [stored] if stored else [])])
        tell_moved([(stored, entry.digest)], moved, events.warn)
        size = index.descriptor.size + sum(manifest.descriptor.size for manifest in manifests)
        size += sum(blob.size for blob, _ in wanted.blobs.values())
        progress.message = entry.digest
        return Pulled(stored, str(place), entry.digest, not before or bool(missing), size, progress.moved)


def _cluster_index(document: Document, where: str) -> Document:
    found = decode(document.content, where)
    if not document.is_index or found.get("artifactType") != CLUSTER_IMAGE:
        raise ImageError(
            "not a cluster image",
            where=where,
            why=f"its artifactType is not {CLUSTER_IMAGE}",
            remedy="sealer runs images made by `sealer build`, whose base any image may be (FROM)",
        )
    for part in document.children():
        if part.media_type in INDEXES:
            raise ImageError("a cluster image must not have an index in its index", where=where, why=part.digest)
    return document


def narrowed(staging: Staging, index: Document, platforms: Sequence[str], where: str) -> Document:
    """The index with what the wanted platforms need, staged; the same bytes where that is all of it.

    :raises InputError: it has no rootfs for one of them.
    """
    if not platforms:
        return index
    parts = index.children()
    rootfs = [part for part in parts if part.platform]
    for platform in platforms:
        if not any(offers(part, [platform]) for part in rootfs):
            have = ", ".join(platform_text(part.platform) for part in rootfs)
            raise InputError(f"the image has no rootfs for {platform}", where=where, why=f"it has {have or 'none'}")
    kept = [part for part in parts if _needed(part, platforms)]
    if len(kept) == len(parts):
        return index
    numbers = {id(part): number for number, part in enumerate(parts)}
    document = decode(index.content, where)
    entries = document["manifests"]
    assert isinstance(entries, list)
    document["manifests"] = [entries[numbers[id(part)]] for part in kept]
    content = encode(document)
    staging.add([content], INDEX)
    return Document(Descriptor(INDEX, digest_of(content), len(content)), content)


def _needed(part: Descriptor, platforms: Sequence[str]) -> bool:
    if part.platform:
        return bool(offers(part, platforms))
    text = part.annotations.get(CONTAINER_PLATFORM, "")
    return not text or any(serves(text, platform) for platform in platforms)
