"""What registries serve as manifests, read with suspicion: size, digest, kind, and what may stand in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from sealer.errors import ImageError
from sealer.image.oci import (
    DEEPEST_INDEX,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    INDEX,
    INDEXES,
    MANIFEST,
    MANIFESTS,
    Descriptor,
    children,
    decode,
    digest_of,
    items,
    platform_text,
)
from sealer.image.platforms import serves

LARGEST_MANIFEST = 4 * 1024 * 1024  # docker-registry accepts no larger ones
MOST_MANIFESTS = 1000  # of one image
MOST_INDEXES = 100  # of one image
ACCEPT = ", ".join((INDEX, MANIFEST, DOCKER_LIST, DOCKER_MANIFEST))
_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+"
_FOREIGN = ("nondistributable", "foreign")


@dataclass(frozen=True)
class Document:
    """A manifest or an index, byte for byte as it is served.

    :param descriptor: media type, digest and size, as found.
    """

    descriptor: Descriptor
    content: bytes

    @property
    def is_index(self) -> bool:
        """Whether it lists manifests rather than layers."""
        return self.descriptor.media_type in INDEXES

    def children(self) -> tuple[Descriptor, ...]:
        """The manifests of an index; config and layers of a manifest.

        :raises ImageError: it is damaged, or holds what cannot be carried.
        """
        where = self.descriptor.digest
        document = decode(self.content, where)
        found = tuple(children(self.descriptor.media_type, document, where))
        if not self.is_index:
            if "config" not in document:
                raise ImageError("a manifest has no config", where=where)
            for part, entry in zip(found[1:], items(document.get("layers")), strict=True):
                _refuse_foreign(part, has_urls=isinstance(entry, dict) and bool(entry.get("urls")), where=where)
        return found


def _refuse_foreign(layer: Descriptor, *, has_urls: bool, where: str) -> None:
    kind = layer.media_type
    if has_urls or any(word in kind for word in _FOREIGN):
        raise ImageError(
            "the image has a foreign layer",
            where=where,
            why=f"{layer.digest} ({kind}) must be fetched from its maker's servers and may not be passed on",
            remedy="an offline site cannot use it; choose an image whose layers its registry has, as all of Linux",
        )


def document_of(content: bytes, media_type: str, where: str, expected: Descriptor | None = None) -> Document:
    """Check what a registry served.

    :param media_type: what its header says; a media type inside the document must be the same.
    :param expected: what pointed at it.
    :raises ImageError: it is not what it should be.
    """
    descriptor = Descriptor(media_type.partition(";")[0].strip(), digest_of(content), len(content))
    if expected is not None and (expected.digest, expected.size) != (descriptor.digest, descriptor.size):
        raise ImageError(
            "a manifest is not what it should be",
            where=where,
            why=f"found {descriptor.size} bytes with {descriptor.digest}, not {expected.size} with {expected.digest}",
        )
    inner = decode(content, where).get("mediaType")
    kind = expected.media_type if expected else (inner or descriptor.media_type)
    if inner is not None and inner != kind:
        raise ImageError("a manifest claims to be two things", where=where, why=f"{kind!r:.80} and {inner!r:.80}")
    if str(kind).startswith(_SCHEMA_1) or decode(content, where).get("schemaVersion") == 1:
        raise ImageError(
            "the image has a manifest of Docker's schema 1",
            where=where,
            why="that form has no digests of layers that could be checked",
            remedy="push it again with a program of this decade",
        )
    if kind not in (*INDEXES, *MANIFESTS):
        raise ImageError("not a manifest of an image", where=where, why=f"its media type is {kind!r:.80}")
    return Document(replace(descriptor, media_type=str(kind)), content)


@dataclass(frozen=True)
class Flattened:
    """An index with the indexes in it.

    :param manifests: all that they name, in their order.
    :param inner: the indexes in it, each after those that lie in it: a registry takes them in this order.
    """

    manifests: tuple[Descriptor, ...] = ()
    inner: tuple[Descriptor, ...] = ()


def flatten(index: Document, read: Callable[[Descriptor], Document | None]) -> Flattened:
    """What an index names, also by way of indexes in it.

    :param read: the document of an inner index; None to pass it over.
    :raises ImageError: they lie too deep, in a circle, or are too many.
    """
    manifests: list[Descriptor] = []
    inner: dict[str, Descriptor] = {}
    tried: set[str] = set()

    def walk(document: Document, above: tuple[str, ...]) -> None:
        for part in document.children():
            if part.media_type not in INDEXES:
                manifests.append(part)
            elif part.digest in above:
                raise ImageError("an index lies within itself", where=part.digest)
            elif len(above) >= DEEPEST_INDEX:
                raise ImageError("an index lies too deep in other indexes", where=part.digest)
            elif part.digest not in tried:
                tried.add(part.digest)
                if found := read(part):
                    walk(found, (*above, part.digest))
                    inner[part.digest] = found.descriptor
            if len(manifests) > MOST_MANIFESTS or len(tried) > MOST_INDEXES:
                what = "manifests" if len(manifests) > MOST_MANIFESTS else "indexes in it"
                raise ImageError(f"an index has too many {what}", where=index.descriptor.digest)

    walk(index, (index.descriptor.digest,))
    return Flattened(tuple(manifests), tuple(inner.values()))


def offers(descriptor: Descriptor, wanted: Iterable[str]) -> str:
    """Which of the wanted platforms a manifest of an index is for; empty: none. `linux/arm64` takes its variants."""
    have = platform_text(descriptor.platform)
    return next((platform for platform in wanted if serves(have, platform)), "")


def choose(manifests: Sequence[Descriptor], wanted: Sequence[str]) -> tuple[Descriptor, ...]:
    """The manifests of an index for the wanted platforms, one for each, in the order wanted; all for none wanted.

    Attestations and the like, whose platform is `unknown/unknown`, are for no platform.
    """
    if not wanted:
        return tuple(part for part in manifests if platform_text(part.platform) not in ("", "unknown/unknown"))
    best: dict[str, Descriptor] = {}
    for part in manifests:
        for platform in wanted:
            exact = platform_text(part.platform) == platform  # a variant may ask more of a host
            if exact or (platform not in best and offers(part, [platform])):
                best[platform] = part
    return tuple(best[platform] for platform in wanted if platform in best)
