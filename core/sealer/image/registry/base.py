"""The base of a build, from its registry: a cluster image, or any image whose files become the rootfs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sealer.errors import ImageError, ImageNotFoundError
from sealer.events import EventStream
from sealer.image.adoption.adopt import adopt, read_config
from sealer.image.model import ClusterImage
from sealer.image.oci import CLUSTER_IMAGE, SOURCE, Descriptor, decode, platform_text
from sealer.image.oci_image import read_cluster_image
from sealer.image.platforms import config_platform
from sealer.image.reference import Reference
from sealer.image.registry.documents import Document, choose, offers
from sealer.image.registry.fetch import flat
from sealer.image.registry.intake import Intake, Wanted
from sealer.image.registry.names import Place
from sealer.image.registry.pool import Pool
from sealer.image.registry.progress import Progress, owners
from sealer.image.registry.pull import narrowed
from sealer.image.registry.registries import Registries
from sealer.image.registry.repository import Repository
from sealer.image.staged import StagedStore
from sealer.image.staging import Staging
from sealer.image.store import Store

STEP = "build/base"


@dataclass(frozen=True)
class Known:
    """What the store has of the base.

    :param entry: of `index.json`.
    :param platforms: that it has a rootfs for.
    """

    entry: Descriptor
    platforms: tuple[str, ...]

    def has(self, platform: str) -> bool:
        """Whether it has a rootfs for hosts of a platform."""
        return any(f"{own}/".startswith(f"{platform}/") for own in self.platforms)

    def is_of(self, place: Place, digest: str) -> bool:
        """Whether it came from what a registry has under a digest."""
        return self.entry.digest == digest or self.entry.annotations.get(SOURCE) == f"{place.name}@{digest}"


def fetch_base(
    store: Store,
    registries: Registries,
    events: EventStream,
    name: str,
    platforms: Sequence[str],
    *,
    user: Staging,
    known: Known | None = None,
) -> ClusterImage:
    """Get a base into the store, under the name it was asked for by, and use it.

    When nothing changed, one manifest is all that is asked for. The platforms that the store has of it stay there.

    :param platforms: of the build. Those that the image lacks are left out, unless it lacks them all.
    :param user: the staging area of the build, which keeps the image.
    :raises InputError: the name cannot be right.
    :raises ImageNotFoundError: no registry has it.
    :raises ImageError: it is no image of files, is not what its digests say, or could not be fetched or stored.
    """
    place = registries.complete(name)
    reference = Reference.parse(name)
    stored = [reference.tagged] if reference.tag else []
    with registries.pool() as pool, store.stage() as staging, Progress(events, STEP, f"Pull {place}") as progress:
        registries.patience.notify = progress.retrying
        fetching = _Fetching(Intake(store, staging, progress), pool, staging, progress)
        document = fetching.resolve(place, registries.sources(place))
        parts = fetching.parts(document)
        wanted = list(dict.fromkeys((*platforms, *(known.platforms if known else ()))))
        have = [text for text in wanted if any(offers(part, [text]) for part in parts)]
        if not any(text in have for text in platforms):
            raise _lacking(place, platforms, parts)
        if known and known.is_of(place, document.descriptor.digest) and all(map(known.has, have)):
            progress.message = "nothing changed"
            return store.use(user, known.entry.digest)
        if _is_cluster_image(document):
            entry = fetching.cluster_image(document, have, place)
        else:
            entry = fetching.image(choose(parts, have))
        source = f"{place.name}@{document.descriptor.digest}"
        staged = StagedStore(store, staging)
        read_cluster_image(staged, str(place), entry)
        staged.drop_others(entry)
        entry = replace(entry, annotations={SOURCE: source})
        store.commit(staging, entry, stored)
        progress.message = entry.digest
        return store.use(user, entry.digest)


class _Fetching:
    """One base on its way into a staging area."""

    def __init__(self, intake: Intake, pool: Pool, staging: Staging, progress: Progress) -> None:
        self._intake = intake
        self._pool = pool
        self._staging = staging
        self._progress = progress
        self._sources: tuple[Repository, ...] = ()

    def resolve(self, place: Place, sources: Sequence[Repository]) -> Document:
        """What the name means."""
        document, source = self._intake.resolve(place, sources)
        self._sources = (source, *(other for other in sources if other is not source))
        return document

    def parts(self, document: Document) -> list[Descriptor]:
        """The manifests that have a platform; of an image that stands alone, its config says which."""
        if document.is_index:
            return [part for part in flat(self._intake, document, self._sources).manifests if part.platform]
        config = document.children()[0]
        self._blobs([config], {})
        return [replace(document.descriptor, platform=config_platform(read_config(self._staging, config)))]

    def cluster_image(self, document: Document, platforms: Sequence[str], place: Place) -> Descriptor:
        """All that the platforms need of a cluster image."""
        index = narrowed(self._staging, document, platforms, str(place))
        self._manifests(index.children())
        return replace(index.descriptor, artifact_type=CLUSTER_IMAGE)

    def image(self, manifests: Sequence[Descriptor]) -> Descriptor:
        """A cluster image of an image that is none."""
        self._manifests(manifests)
        return adopt(self._staging, manifests, self._progress.warn)

    def _manifests(self, parts: Sequence[Descriptor]) -> None:
        documents = self._pool.map(lambda part: self._intake.document(part, self._sources), parts)
        self._blobs([blob for document in documents for blob in document.children()], owners(parts, documents))

    def _blobs(self, blobs: Sequence[Descriptor], of: Mapping[str, str]) -> None:
        wanted = Wanted()
        for blob in blobs:
            wanted.add(blob, self._sources)
        missing = self._intake.missing(wanted)
        self._progress.expect((blob for blob, _ in missing), of)
        self._pool.map(self._intake.blob, missing)


def _is_cluster_image(document: Document) -> bool:
    found = decode(document.content, document.descriptor.digest)
    return document.is_index and found.get("artifactType") == CLUSTER_IMAGE


def _lacking(place: Place, platforms: Sequence[str], parts: Sequence[Descriptor]) -> ImageError:
    texts = dict.fromkeys(platform_text(part.platform) for part in parts)
    have = ", ".join(text for text in texts if text != "unknown/unknown")
    return ImageNotFoundError(
        f"'{place}' has no rootfs for {', '.join(platforms)}",
        why=f"it has {have or 'none for any platform'}",
        remedy="choose another base, or another --platform",
    )
