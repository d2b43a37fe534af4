"""Container images for a build: many names at once, each to its manifests and blobs in a staging area."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sealer.errors import ImageError, SealerError
from sealer.events import EventStream
from sealer.image.oci import Descriptor, decode, platform_text, texts
from sealer.image.platforms import serves
from sealer.image.registry.documents import Document, Flattened, choose, flatten
from sealer.image.registry.intake import Intake, Wanted
from sealer.image.registry.names import Place, complete_container
from sealer.image.registry.progress import Progress
from sealer.image.registry.registries import Registries
from sealer.image.registry.repository import Repository
from sealer.image.staging import Staging
from sealer.image.store import Store

LARGEST_CONFIG = 8 * 1024 * 1024


@dataclass(frozen=True)
class FetchedImage:
    """A container image, staged.

    :param name: as it was asked for.
    :param place: its full name.
    :param root: what the registry served for that name: an index, or the manifest itself.
    :param manifests: one for each platform, `platform` being set; the bytes are those the registry served.
    :param missing: platforms that were wanted, and that the image does not have.
    :param inner: the indexes that lie in `root`, each after those that lie in it.
    """

    name: str
    place: Place
    root: Document
    manifests: tuple[Descriptor, ...]
    missing: tuple[str, ...] = ()
    inner: tuple[Descriptor, ...] = ()


def fetch_images(
    names: Sequence[str],
    platforms: Sequence[str],
    *,
    staging: Staging,
    store: Store,
    registries: Registries,
    events: EventStream,
    forgive: Callable[[str, SealerError], bool] = lambda name, error: False,
) -> tuple[FetchedImage, ...]:
    """Fetch container images: documents and blobs, several at once, nothing that the store has.

    The caller commits; until then a second copy of each name keeps the blobs from being lost when the process dies.

    :param names: `nginx`, `registry.k8s.io/pause:3.9@sha256:...`; one that occurs twice is fetched once.
    :param platforms: `linux/amd64`, ...; none: all that each image has.
    :param forgive: is told of each image that cannot be had; True: go on without it.
    :raises InputError: a name cannot be right.
    :raises ImageError: some could not be fetched; `output` has a line for each.
    """
    places = {name: complete_container(name) for name in names}
    count = len(places)
    with registries.pool() as pool, Progress(events, "fetch", f"Fetch {count} container images") as progress:
        registries.patience.notify = progress.retrying
        intake = Intake(store, staging, progress)
        tries = pool.map(lambda name: _attempt(intake, registries, name, places[name], platforms), places)
        failures = [found for found in tries if isinstance(found, _Failure)]
        _raise_failures([failure for failure in failures if not forgive(failure.name, failure.error)], count)
        found = [plan for plan in tries if isinstance(plan, _Plan)]
        wanted, owners = Wanted(), dict[str, str]()
        for plan in found:
            for manifest in plan.manifests:
                for blob in manifest.children():
                    wanted.add(blob, plan.sources)
                    owners.setdefault(blob.digest, plan.name)
        missing = intake.missing(wanted)
        progress.expect((blob for blob, _ in missing), owners)
        pool.map(intake.blob, missing)
    return tuple(_image(plan, staging, platforms) for plan in found)


@dataclass(frozen=True)
class _Plan:
    name: str
    place: Place
    root: Document
    chosen: tuple[Descriptor, ...]
    manifests: tuple[Document, ...]
    sources: tuple[Repository, ...]
    inner: tuple[Descriptor, ...] = ()


@dataclass(frozen=True)
class _Failure:
    name: str
    error: SealerError


def _attempt(
    intake: Intake, registries: Registries, name: str, place: Place, platforms: Sequence[str]
) -> _Plan | _Failure:
    """The documents of one image; what is wrong with it is kept, so that all such images can be told at once."""
    try:
        sources = registries.sources(place)
        root, source = intake.resolve(place, sources)
        sources = (source, *(other for other in sources if other is not source))
        if not root.is_index:
            return _Plan(name, place, root, (root.descriptor,), (root,), sources)
        here = flat(intake, root, sources)
        chosen = choose(here.manifests, platforms)
        if not chosen:
            raise ImageError("the image is not there for the platform", where=str(place), why=", ".join(platforms))
        manifests = tuple(intake.document(part, sources) for part in chosen)
        return _Plan(name, place, root, chosen, manifests, sources, here.inner)
    except SealerError as error:
        return _Failure(name, error)


def flat(intake: Intake, index: Document, sources: tuple[Repository, ...]) -> Flattened:
    """The manifests of an index, and the indexes in it.

    :raises ImageError: there are too many, or they lie too deep.
    """
    return flatten(index, lambda part: intake.document(part, sources))


def _raise_failures(failures: Sequence[_Failure], count: int) -> None:
    if len(failures) == 1 == count:
        raise failures[0].error
    if failures:
        raise ImageError(
            f"{len(failures)} of {count} container images could not be fetched",
            remedy=next((failure.error.remedy for failure in failures if failure.error.remedy), ""),
            output=[f"{failure.name}: {failure.error}" for failure in failures],
        )


def _image(plan: _Plan, staging: Staging, platforms: Sequence[str]) -> FetchedImage:
    manifests = plan.chosen
    if not plan.root.is_index:
        config = plan.root.children()[0]
        manifests = (replace(plan.root.descriptor, platform=_platform_of(config, staging)),)
    have = [platform_text(part.platform) for part in manifests]
    missing = [text for text in platforms if not any(serves(own, text) for own in have)]
    return FetchedImage(plan.name, plan.place, plan.root, manifests, tuple(missing), plan.inner)


def _platform_of(config: Descriptor, staging: Staging) -> dict[str, str]:
    """The platform of an image that stands alone: its config says it."""
    if config.size > LARGEST_CONFIG:
        raise ImageError("the config of an image is too large", where=config.digest, why=f"{config.size} bytes")
    content = (staging.blobs / config.digest.removeprefix("sha256:")).read_bytes()
    document = texts(decode(content, config.digest))
    return {key: document[key] for key in ("os", "architecture", "variant") if document.get(key)}
