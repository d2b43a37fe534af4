"""The container images of one build: found in the finished rootfs, and had from wherever they are nearest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import sealer
from sealer.errors import ImageError, ImageNotFoundError, RegistryError, SealerError
from sealer.events import EventStream, Json, State
from sealer.image.containers import stage_containers
from sealer.image.discovery.files import DirectoryFiles
from sealer.image.discovery.installs import Install
from sealer.image.discovery.model import Discovery, FoundImage, Place, Unresolved
from sealer.image.gathering.archives import ImageArchives
from sealer.image.gathering.remembered import RememberedDiscoveries, key_of
from sealer.image.gathering.stored import StoredContainers
from sealer.image.model import ContainerImage, Layer
from sealer.image.oci import INDEXES, Descriptor, children, decode, platform_text
from sealer.image.platforms import serves
from sealer.image.pull_policy import PullPolicy
from sealer.image.reference import Reference
from sealer.image.staging import Staging
from sealer.image.store import Store

if TYPE_CHECKING:
    from sealer.image.registry.fetch import FetchedImage
    from sealer.image.registry.registries import Registries

BASE, ARCHIVE, STORE, REGISTRY = "base", "archive", "store", "registry"
PRIVATE_REGISTRY = "sea.hub"  # of the clusters: it serves what the image brings, and has nothing of its own
_PRIVATE = "the clusters' own registry serves only what the image brings: name it by the registry it comes from"
_NEVER = "--pull=never asks no registry"
MOST_WARNINGS = 20
MOST_REASONS = 19  # with the line that counts the others, as many lines as are shown of an error
STEP = "build/images"
TITLE = "Gather the container images"
_NOT_LET_IN = (401, 403)  # what many registries say of an image that is not there


@dataclass(frozen=True)
class GatheredImage:
    """A container image of the cluster image.

    :param size: bytes of its manifest, config and layers.
    :param source: `archive`, `base`, `store` or `registry`: where it was had from.
    :param found: every place that mentions it; for one that only the base brings, those that were kept.
    :param guess: True: no file says outright that it runs.
    """

    container: ContainerImage
    source: str
    found: tuple[Place, ...]
    guess: bool = False
    size: int = 0


@dataclass(frozen=True)
class Gathered:
    """What came of it, by reference and platform."""

    images: tuple[GatheredImage, ...] = ()
    unresolved: tuple[Unresolved, ...] = ()
    ignored: tuple[FoundImage, ...] = ()


@dataclass(frozen=True)
class ImageRequest:
    """How the container images of a build are found, and had.

    :param discover: finds the images that files mention; the variables, and the charts that are installed, are those of
        the image.
    :param registries: all registries, for one transfer.
    :param archives: files and directories that are looked through first.
    :param strict: True to fail where a mention could not be resolved.
    :param rules: what else decides about what `discover` finds; None: it may find something else each time.
    :param report: is told what came of it.
    """

    discover: Callable[[DirectoryFiles, Mapping[str, str], Sequence[Install]], Discovery]
    registries: Callable[[], Registries]
    archives: tuple[Path, ...] = ()
    strict: bool = False
    rules: Json = None
    report: Callable[[Gathered], None] = lambda gathered: None


class Gathering:
    """Takes in what each platform's rootfs mentions, then gets all of it at once.

    :param request: None: nothing is looked for; what the base has comes along.
    :param pull: when registries are asked.
    """

    def __init__(
        self,
        store: Store,
        staging: Staging,
        request: ImageRequest | None,
        events: EventStream,
        pull: PullPolicy = PullPolicy.MISSING,
    ) -> None:
        self._store = store
        self._staging = staging
        self._request = request
        self._events = events
        self._pull = pull
        self._here: dict[tuple[str, str], GatheredImage] = {}
        self._inherited: dict[tuple[str, str], ContainerImage] = {}
        self._wanted: dict[tuple[str, str], FoundImage] = {}
        self._unresolved: set[Unresolved] = set()
        self._warned_of: set[Unresolved] = set()
        self._fetched_indexes: set[str] = set()
        self._ignored: dict[str, FoundImage] = {}

    def inherit(self, containers: Iterable[ContainerImage], platform: str) -> None:
        """Take over what a base has for a platform."""
        for one in containers:
            if serves(one.platform, platform):
                self._inherited[one.reference, platform] = one

    def look_through(
        self,
        platform: str,
        layers: Sequence[Layer],
        env: Mapping[str, str],
        files: Callable[[], DirectoryFiles],
        installs: Sequence[Install] = (),
    ) -> None:
        """Find what a finished rootfs mentions.

        :param layers: of the rootfs.
        :param env: of the image.
        :param files: gives its files, where they have to be read.
        :param installs: the charts that the image's commands install.
        :raises ImageError: with `strict`, when something could not be resolved.
        """
        if self._request is None:
            return
        found = self._discovered(self._request, layers, env, installs, files)
        if found.passed_over:
            count = found.passed_over
            what = "1 file of the rootfs is" if count == 1 else f"{count} files of the rootfs are"
            self._events.warn(f"{what} not read for images: the .sealerignore in it says so")
        if self._request.strict:
            found.require_resolved()
        self._wanted |= {(one.image, platform): one for one in found.images}
        self._unresolved |= set(found.unresolved)
        self._ignored |= {one.image: one for one in found.ignored}

    def _discovered(
        self,
        request: ImageRequest,
        layers: Sequence[Layer],
        env: Mapping[str, str],
        installs: Sequence[Install],
        files: Callable[[], DirectoryFiles],
    ) -> Discovery:
        remembered = RememberedDiscoveries(self._store.root)
        about: list[Json] = [one.as_json() for one in installs]
        key = key_of(sealer.__version__, request.rules, [layer.digest for layer in layers], dict(env), about)
        known = remembered.find(key) if request.rules is not None else None
        if known is None:
            known = request.discover(files(), env, installs)
            if request.rules is not None:
                remembered.keep(key, known)
        return known

    def finish(self) -> list[Descriptor]:
        """Get all images; what is returned belongs into the cluster image's index.

        :raises ImageError: some cannot be had; or, with `strict`, one that was only guessed.
        """
        images = {key: GatheredImage(one, BASE, one.found) for key, one in self._inherited.items()}
        if self._request is not None:
            self._events.emit(State.STARTED, step=STEP, title=TITLE)
            try:
                images |= self._gather(self._request)
            except BaseException as error:
                failed = isinstance(error, Exception)
                state = State.FAILED if failed else State.CANCELLED
                self._events.emit(state, step=STEP, title=TITLE, message=str(error) if failed else "")
                raise
            count = len({reference for reference, _ in images})
            self._events.emit(State.DONE, step=STEP, title=TITLE, message=f"{count} container images")
        found = [replace(one.container, platform=platform, found=one.found) for (_, platform), one in images.items()]
        described = stage_containers(self._staging, found)
        if self._request is not None:
            ordered = tuple(replace(images[key], size=self._size(images[key].container)) for key in sorted(images))
            ignored = tuple(self._ignored[name] for name in sorted(self._ignored))
            self._request.report(Gathered(ordered, tuple(sorted(self._unresolved)), ignored))
        return described

    def _gather(self, request: ImageRequest) -> dict[tuple[str, str], GatheredImage]:
        archives = ImageArchives(request.archives, self._staging, self._events.warn)
        stored = StoredContainers(self._store, self._staging)
        images: dict[tuple[str, str], GatheredImage] = {}
        missing: list[tuple[str, str]] = []
        for key, found in sorted(self._wanted.items()):
            archived = archives.find(*key)
            own = self._is_private(found)
            if archived is not None:
                images[key] = GatheredImage(archived, ARCHIVE, found.found, found.guess)
                continue
            if here := self._nearest(key, found, stored):
                if own or not self._pull.asks_again or Reference.parse(found.image).digest:
                    images[key] = here
                    continue
                self._here[key] = here
            if own:
                self._leave_out(found, _PRIVATE)
            else:
                missing.append(key)
        if self._pull is PullPolicy.NEVER:
            self._do_without(missing)
            missing = []
        self._warn()
        for key, container in self._fetch(request, missing).items():
            found = self._wanted[key]
            images[key] = GatheredImage(container, REGISTRY, found.found, found.guess)
        images = {**{key: self._here[key] for key in missing if key in self._here}, **images}
        self._drop_indexes([*images.values(), *(GatheredImage(one, BASE, ()) for one in self._inherited.values())])
        self._warn()
        if request.strict:
            Discovery(unresolved=tuple(sorted(self._unresolved))).require_resolved()
        return images

    def _nearest(self, key: tuple[str, str], found: FoundImage, stored: StoredContainers) -> GatheredImage | None:
        """An image of the base or of the store."""
        if base := self._inherited.get(key):
            return GatheredImage(base, BASE, found.found, found.guess)
        held = stored.find(*key)
        return GatheredImage(held, STORE, found.found, found.guess) if held else None

    @staticmethod
    def _is_private(found: FoundImage) -> bool:
        return Reference.parse(found.image).domain.partition(":")[0] == PRIVATE_REGISTRY

    def _do_without(self, missing: Sequence[tuple[str, str]]) -> None:
        """No registry may be asked.

        :raises ImageError: an image is needed.
        """
        needed = []
        for key in missing:
            if self._wanted[key].guess:
                self._leave_out(self._wanted[key], _NEVER)
            else:
                needed.append(key)
        if needed:
            places = {reference: self._wanted[reference, platform].found for reference, platform in needed}
            count = len(places)
            raise ImageError(
                "a container image is not here" if count == 1 else f"{count} container images are not here",
                why=f"{_NEVER}, and no archive and no image of the store has {', '.join(places)}",
                remedy="give them with --image-archive FILE, leave them out with --ignored-image-list FILE, "
                "or build with --pull=missing",
                output=[f"{name}: mentioned in {', '.join(map(str, found[:3]))}" for name, found in places.items()],
            )

    def _fetch(
        self, request: ImageRequest, missing: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], ContainerImage]:
        fetched: dict[tuple[str, str], ContainerImage] = {}
        names: dict[tuple[str, ...], list[str]] = {}  # by the platforms they are missing for
        for reference in dict.fromkeys(reference for reference, _ in missing):
            names.setdefault(tuple(platform for name, platform in missing if name == reference), []).append(reference)
        failed: dict[str, SealerError] = {}
        for platforms, references in names.items():
            fetched |= self._fetch_all(request, references, platforms, failed)
        if failed:
            raise _not_had(failed)
        return fetched

    def _fetch_all(
        self,
        request: ImageRequest,
        references: Sequence[str],
        platforms: Sequence[str],
        failed: dict[str, SealerError],
    ) -> dict[tuple[str, str], ContainerImage]:
        """Those that are wanted for the same platforms; what cannot be had goes to `failed`."""
        from sealer.image.registry.fetch import fetch_images  # noqa: PLC0415  # only a build that has to fetch

        def forgive(name: str, error: SealerError) -> bool:
            found = self._wanted[name, platforms[0]]
            if all((name, platform) in self._here for platform in platforms) and (
                self._pull is PullPolicy.NEWER or (found.guess and _is_not_there(error))
            ):
                self._events.warn(f"{name} is taken as it is here: {error}")
                return True
            if found.guess and _is_not_there(error):
                self._leave_out(found, str(error))
                return True
            failed[name] = error
            return False

        try:
            fetched = fetch_images(
                references,
                platforms,
                staging=self._staging,
                store=self._store,
                registries=request.registries(),
                events=self._events,
                forgive=forgive,
            )
        except SealerError:
            if failed:
                return {}
            raise
        images: dict[tuple[str, str], ContainerImage] = {}
        for one in fetched:
            for platform in one.missing:
                forgive(one.name, ImageNotFoundError("the image is not there for the platform", why=platform))
            images |= {(one.name, platform): _container(one, platform) for platform in platforms if _for(one, platform)}
            if one.root.is_index:
                self._fetched_indexes |= {index.digest for index in (one.root.descriptor, *one.inner)}
        return images

    def _size(self, container: ContainerImage) -> int:
        manifest = container.manifest
        staged = self._staging.blobs / manifest.digest.removeprefix("sha256:")
        content = staged.read_bytes() if staged.is_file() else self._store.read(manifest)
        parts = children(manifest.media_type, decode(content, manifest.digest), manifest.digest)
        return manifest.size + sum(part.size for part in {part.digest: part for part in parts}.values())

    def _drop_indexes(self, images: Iterable[GatheredImage]) -> None:
        """An index that nothing pins is not kept: the store must not get what nobody can ask it for."""
        pinned = {index.digest for one in images for index in one.container.indexes}
        for digest in self._fetched_indexes - pinned:
            (self._staging.blobs / digest.removeprefix("sha256:")).unlink(missing_ok=True)

    def _leave_out(self, found: FoundImage, why: str) -> None:
        self._unresolved |= {Unresolved(place, found.image, why) for place in found.found}

    def _warn(self) -> None:
        """Of what could not be resolved since the last time."""
        unresolved = sorted(self._unresolved - self._warned_of)
        self._warned_of |= self._unresolved
        for one in unresolved[:MOST_WARNINGS]:
            self._events.warn(f"not resolved: {one}")
        if len(unresolved) > MOST_WARNINGS:
            self._events.warn(f"{len(unresolved) - MOST_WARNINGS} more mentions of images are not resolved")


def _for(fetched: FetchedImage, platform: str) -> Descriptor | None:
    return next((one for one in fetched.manifests if serves(platform_text(one.platform), platform)), None)


def _container(fetched: FetchedImage, platform: str) -> ContainerImage:
    manifest = _for(fetched, platform)
    assert manifest is not None
    root = fetched.root.descriptor
    index = root if fetched.place.digest and root.media_type in INDEXES else None
    inner = fetched.inner if index else ()
    return ContainerImage(fetched.name, platform, manifest, index, inner_indexes=inner)


def _is_not_there(error: SealerError) -> bool:
    """Whether a registry says that an image is not there, or is for nobody: not that it could not be asked."""
    if isinstance(error, RegistryError):
        return error.status in _NOT_LET_IN
    return isinstance(error, ImageError)


def _not_had(failed: Mapping[str, SealerError]) -> ImageError:
    count = len(failed)
    reasons = [_of(name, error) for name, error in sorted(failed.items())]
    if count > MOST_REASONS:
        reasons[MOST_REASONS:] = [f"and {count - MOST_REASONS} more of those named above"]
    return ImageError(
        "a container image cannot be had" if count == 1 else f"{count} container images cannot be had",
        why=f"no archive, no image of the store and no registry gives {', '.join(sorted(failed))}",
        remedy=(
            "give them with --image-archive PATH, name a mirror that has them in registries.yaml, "
            "or leave them out with --ignored-image-list FILE"
        ),
        output=reasons,
    )


def _of(name: str, error: SealerError) -> str:
    """The error of an image; its name is not said twice."""
    text = str(error)
    return text if text.startswith(f"{name}:") else f"{name}: {text}"
