"""The base of a build: of the store, or from its registry, as the policy wants it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sealer.errors import BuildError, ImageError, ImageNotFoundError
from sealer.events import EventStream
from sealer.image.model import ClusterImage, Rootfs
from sealer.image.oci import SOURCE, Descriptor
from sealer.image.platforms import serves
from sealer.image.pull_policy import PullPolicy
from sealer.image.reference import Reference
from sealer.image.staging import Staging
from sealer.image.store import Store

if TYPE_CHECKING:
    from sealer.image.registry.registries import Registries


class Bases:
    """The bases of one build; each is looked for once, whatever the number of platforms.

    :param staging: of the build, which keeps them.
    :param platforms: of the build.
    :param registries: all registries, for one transfer; None: there are none, and the store is all that is asked.
    """

    def __init__(
        self,
        store: Store,
        staging: Staging,
        platforms: Sequence[str],
        events: EventStream,
        *,
        policy: PullPolicy,
        registries: Callable[[], Registries] | None,
    ) -> None:
        self._store = store
        self._staging = staging
        self._platforms = platforms
        self._events = events
        self._policy = policy
        self._registries = registries
        self._found: dict[str, ClusterImage] = {}
        self._asked: set[str] = set()

    def find(self, name: str, platform: str) -> tuple[ClusterImage, Rootfs]:
        """A base, and what it has for a platform.

        :raises InputError: it cannot be the name of an image.
        :raises ImageNotFoundError: neither the store nor a registry has it.
        :raises ImageError: it is no base, or could not be fetched.
        :raises BuildError: it has nothing for the platform.
        """
        image = self._found.get(name)
        rootfs = _for(image, platform)
        if image is None or (rootfs is None and name not in self._asked):
            image = self._found[name] = self._image(name, platform)
            rootfs = _for(image, platform)
        if rootfs is None:
            have = ", ".join(one.platform for one in image.rootfs)
            raise BuildError(
                f"'{name}' has no rootfs for {platform}",
                why=f"it has {have}",
                remedy=f"choose another base or another --platform, or build the base for {platform}, too",
            )
        return image, rootfs

    def _image(self, name: str, platform: str) -> ClusterImage:
        entry, moving = self._entry(name)
        image = self._store.use(self._staging, entry.digest) if entry else None
        complete = _for(image, platform) is not None
        if entry and image and not self._has_to_ask(entry, moving=moving, complete=complete):
            return image
        if self._registries is None or self._policy is PullPolicy.NEVER:
            raise self._not_here(name)
        self._asked.add(name)
        try:
            return self._fetch(self._registries(), name, entry, image)
        except ImageError as error:
            if image is None or not complete or self._policy is PullPolicy.ALWAYS:
                self._explain(name, error, here=image is not None)
                raise
            self._events.warn(f"the base is taken as it is in the local store: {error}")
            return image

    def _has_to_ask(self, entry: Descriptor, *, moving: bool, complete: bool) -> bool:
        """Whether its registry is asked for a base that is here.

        :param moving: whether the name may mean something else there.
        :param complete: whether it has what this platform needs; an image that was built here is all there is of it.
        """
        if self._registries is None or self._policy is PullPolicy.NEVER:
            return False
        return (self._policy.asks_again and moving) or (not complete and SOURCE in entry.annotations)

    def _entry(self, name: str) -> tuple[Descriptor | None, bool]:
        """What the store has under the name, under its full one, or from there under its digest.

        :returns: with it whether it was found by a tag, which may move.
        """
        catalogue = self._store.catalogue()
        try:
            found = catalogue.find(name)
            return found, catalogue.is_name(name) and not Reference.parse(name).digest
        except ImageNotFoundError:
            if self._registries is None:
                return None, False
        place = self._registries().complete(name)
        if catalogue.is_name(str(place)):
            return catalogue.find(str(place)), not place.digest
        source = f"{place.name}@{place.digest}"
        return next((one for one in catalogue.sorted() if one.annotations.get(SOURCE) == source), None), False

    def _fetch(
        self, registries: Registries, name: str, entry: Descriptor | None, image: ClusterImage | None
    ) -> ClusterImage:
        from sealer.image.registry.base import Known, fetch_base  # noqa: PLC0415  # only a build that has to fetch

        known = Known(entry, tuple(rootfs.platform for rootfs in image.rootfs)) if entry and image else None
        return fetch_base(self._store, registries, self._events, name, self._platforms, user=self._staging, known=known)

    def _explain(self, name: str, error: ImageError, *, here: bool) -> None:
        """Say what else may be meant: a name of the store, and by a short name what others mean by it."""
        hints = [error.remedy]
        if not here:
            advice = self._store.catalogue().advice(name)
            hints += [f"in the local store, {advice}"] if advice.startswith("did you mean") else []
        if isinstance(error, ImageNotFoundError) and not Reference.parse(name).domain:
            library = "" if "/" in name else "library/"
            hints.append(
                f"an image of Docker Hub's is docker.io/{library}{name}; `defaultRepository` says what short ones mean"
            )
        error.remedy = "; ".join(filter(None, hints))

    def _not_here(self, name: str) -> ImageNotFoundError:
        try:
            self._store.descriptor(name)
        except ImageNotFoundError as error:
            if self._registries is None:
                return error
            return ImageNotFoundError(
                f"the base '{name}' is not in the local store",
                why="--pull=never asks no registry",
                remedy=f"`sealer pull {name}`, or `sealer load` it, first; {error.remedy}",
            )
        raise AssertionError(name)


def _for(image: ClusterImage | None, platform: str) -> Rootfs | None:
    for rootfs in image.rootfs if image else ():
        if serves(rootfs.platform, platform):
            return rootfs
    return None
