"""Building a cluster image from a Kubefile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sealer.errors import InputError
from sealer.events import EventStream
from sealer.image.bases import Bases
from sealer.image.cache import BuildCache
from sealer.image.gathering.gather import Gathering, ImageRequest
from sealer.image.model import APP_INSTALLER, KUBE_INSTALLER, ClusterImage
from sealer.image.oci_image import read_cluster_image, stage_index
from sealer.image.platforms import host_platform, platform_object
from sealer.image.pull_policy import PullPolicy
from sealer.image.reference import Reference
from sealer.image.rootfs_build import RootfsBuild, is_settled
from sealer.image.store import Store
from sealer.image.variables import Variables
from sealer.kubefile import read
from sealer.kubefile.model import Kubefile
from sealer.redaction import Secret

if TYPE_CHECKING:
    from sealer.image.registry.registries import Registries


@dataclass(frozen=True)
class BuildRequest:
    """What is to be built.

    :param context: the directory COPY takes files from.
    :param kubefile: None: `Kubefile` in the context.
    :param names: what the image will be called; none: it is found by its digest.
    :param build_args: values for ARGs.
    :param labels: in addition to the Kubefile's, over which they win.
    :param annotations: of the index, and of each rootfs's manifest.
    :param platform: one, or several with commas between them; empty: FROM's, else this machine's on Linux.
    :param type: `kube-installer` or `app-installer`; empty: the base's, else `kube-installer`.
    :param base: False to leave out what the base brings: the image is then installed onto one that has it.
    :param cache: False to execute every instruction, also those whose layer is known.
    :param network: of every RUN that does not say it itself, `host` or `none`.
    :param secrets: for the RUNs that mount them, by id.
    :param run_timeout: seconds for each RUN; None for no end.
    :param overlay: False to give every RUN a copy of the rootfs; None: only where it cannot be contained.
    :param allow_uncontained_run: let RUN change this machine, as root, where it cannot be contained.
    :param pull: when a registry is asked for the base, and for the container images.
    :param registries: where a base is had from, for one transfer; None: from the store alone.
    :param images: how the container images are found that the rootfs mentions; None: they are not.
    """

    context: Path
    kubefile: Path | None = None
    names: tuple[str, ...] = ()
    build_args: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    platform: str = ""
    type: str = ""
    base: bool = True
    cache: bool = True
    network: str = "host"
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    run_timeout: float | None = None
    overlay: bool | None = None
    allow_uncontained_run: bool = False
    pull: PullPolicy = PullPolicy.MISSING
    registries: Callable[[], Registries] | None = None
    images: ImageRequest | None = None


def build(store: Store, request: BuildRequest, events: EventStream) -> ClusterImage:
    """Execute a Kubefile and store the image.

    Events have the steps `build/1`, `build/2`, ... with the instructions as titles; with several platforms
    `build/linux/arm64/1` and so on.

    :raises InputError: the Kubefile, or the request, is wrong; nothing was done.
    :raises BuildError: an instruction failed.
    :raises ImageNotFoundError: the base is neither in the store nor in its registry.
    :raises ImageError: the store could not be used.
    """
    for name in request.names:
        Reference.to_give(name)
    if request.type not in ("", KUBE_INSTALLER, APP_INSTALLER):
        raise InputError(f"'{request.type}' is no type of image", remedy=f"it is {KUBE_INSTALLER} or {APP_INSTALLER}")
    for label in filter(is_settled, request.labels):
        raise InputError(f"the label {label} is sealer's own")
    kubefile = read(request.kubefile or request.context / "Kubefile")
    for problem in kubefile.warnings:
        events.warn(str(problem))
    platforms = _platforms(request, kubefile)
    with store.stage() as staging:
        cache = BuildCache(store.root, staging.blobs, reading=request.cache)
        manifests = []
        images = Gathering(store, staging, request.images, events, request.pull)
        bases = Bases(store, staging, platforms, events, policy=request.pull, registries=request.registries)
        for platform in platforms:
            rootfs = RootfsBuild(
                store=store,
                staging=staging,
                request=request,
                platform=platform,
                several=len(platforms) > 1,
                kubefile=kubefile,
                cache=cache,
                bases=bases,
                images=images,
                events=events,
            )
            manifests.append(rootfs.run())
        for name in rootfs.unused:
            events.warn(f"--build-arg {name}: no ARG of the Kubefile has this name")
        index = stage_index(staging, [*manifests, *images.finish()], request.annotations)
        store.commit(staging, index, request.names)
        return read_cluster_image(store, request.names[0] if request.names else index.digest, index)


def _platforms(request: BuildRequest, kubefile: Kubefile) -> list[str]:
    """What is built for.

    :raises InputError: it cannot be right.
    """
    platforms, where = request.platform.split(","), ""
    if not request.platform:
        platforms = [host_platform()]
        if word := kubefile.base.platform:
            variables = Variables(request.build_args, platforms[0], kubefile.escape, platforms[0])
            for arg in kubefile.arguments:
                variables.declare_global(arg)
            platforms, where = [variables.expand_global(word)], str(word.position)
    for platform in platforms:
        try:
            system = platform_object(platform)["os"]
        except InputError as error:
            raise InputError(error.what, where=where, remedy=error.remedy) from error
        if system != "linux":
            raise InputError(f"no image is built for {platform}", where=where, why="the hosts of a cluster run Linux")
    if len(set(platforms)) < len(platforms):
        raise InputError(f"'{request.platform}' names a platform twice")
    return platforms
