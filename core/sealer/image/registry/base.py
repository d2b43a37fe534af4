"""The base of a build, from its registry: a cluster image, or any image whose files become the rootfs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sealer.errors import ImageNotFoundError
from sealer.events import EventStream
from sealer.image.adoption.adopt import adopt, read_config, require_files
from sealer.image.catalogue import tell_moved
from sealer.image.downloads import Downloads
from sealer.image.files import check_layers
from sealer.image.model import ClusterImage
from sealer.image.oci import CLUSTER_IMAGE, SOURCE, Descriptor, decode, platform_text
from sealer.image.oci_image import read_cluster_image
from sealer.image.platforms import config_platform, serves
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
MOST_UNTOLD = 20  # manifests of an index that says of none which platform it is for


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
        return any(serves(own, platform) for own in self.platforms)

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
    with registries.pool() as pool, store.stage() as staging, Progress(events, STEP, f"Pull {place}") as progress:
        registries.patience.notify = progress.retrying
        fetching = _Fetching(Intake(store, staging, progress), pool, staging, progress)
        document = fetching.resolve(place, registries.sources(place))
        same = known if known and known.is_of(place, document.descriptor.digest) else None
        entry = same.entry if same and not document.is_index else None  # it has one platform, which is here
        if entry is None:
            parts = fetching.parts(document)
            have = _offered(parts, platforms, known, place)
            entry = same.entry if same and all(map(same.has, have)) else None
        if entry:
            progress.message = "nothing changed"
            return store.use(user, entry.digest)
        made = fetching.cluster_image(document, have, place) if _is_cluster_image(document) else None
        made = made or fetching.image(choose(parts, have))
        staged = StagedStore(store, staging)
        image = read_cluster_image(staged, str(place), made)
        if _is_cluster_image(document):  # else all layers were read when it was made one
            check_layers(image)
        left = staged.drop_others(made)
        made = replace(made, annotations={SOURCE: f"{place.name}@{document.descriptor.digest}"})
        moved = store.commit_all(staging, [(made, [reference.tagged] if reference.tag else [])])
        tell_moved([(reference.tagged, made.digest)], moved, events.warn)
        Downloads(store.downloads).forget(left)  # only now: a process that dies before goes on with them
        progress.message = made.digest
        return store.use(user, made.digest)


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
        """The manifests that have a platform. Where no index says which, the config does."""
        if not document.is_index:
            return [self._with_platform(document)]
        parts = flat(self._intake, document, self._sources).manifests
        if any(part.platform for part in parts) or _is_cluster_image(document):
            return [part for part in parts if part.platform]
        return [self._with_platform(self._intake.document(part, self._sources)) for part in parts[:MOST_UNTOLD]]

    def _with_platform(self, manifest: Document) -> Descriptor:
        config = manifest.children()[0]
        require_files(manifest)
        self._blobs([config], {})
        return replace(manifest.descriptor, platform=config_platform(read_config(self._staging, config)))

    def cluster_image(self, document: Document, platforms: Sequence[str], place: Place) -> Descriptor:
        """All that the platforms need of a cluster image."""
        index = narrowed(self._staging, document, platforms, str(place))
        self._manifests(index.children())
        return replace(index.descriptor, artifact_type=CLUSTER_IMAGE)

    def image(self, manifests: Sequence[Descriptor]) -> Descriptor:
        """A cluster image of an image that is none."""
        once = list({manifest.digest: manifest for manifest in manifests}.values())  # linux/arm64 and linux/arm64/v8
        self._manifests(once)
        return adopt(self._staging, once, self._progress.warn)

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


def _offered(parts: Sequence[Descriptor], platforms: Sequence[str], known: Known | None, place: Place) -> list[str]:
    """Which of the platforms there are: those of the build, and those that the store has.

    :raises ImageNotFoundError: none of those of the build.
    """
    wanted = dict.fromkeys((*platforms, *(known.platforms if known else ())))
    have = [text for text in wanted if any(offers(part, [text]) for part in parts)]
    if any(text in have for text in platforms):
        return have
    texts = dict.fromkeys(platform_text(part.platform) for part in parts)
    found = ", ".join(text for text in texts if text != "unknown/unknown")
    raise ImageNotFoundError(
        f"'{place}' has no rootfs for {', '.join(platforms)}",
        why=f"it has {found or 'none for any platform'}",
        remedy="choose another base, or another --platform",
    )
