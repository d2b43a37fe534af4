"""The image's layers on their way to the hosts, and the rootfs made of them there."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence

from sealer.cluster.hostfacts import HOST_FACTS
from sealer.errors import HostError
from sealer.extension.context import StepContext
from sealer.extension.operation import HostPaths
from sealer.extension.steps import Retry, Step
from sealer.extension.targets import Targets
from sealer.image.model import ClusterImage, Layer, Rootfs

SLOWEST = 256 * 1024  # bytes per second; a link slower than this runs into the step's time-out

RemovalsOf = Callable[[Rootfs], Sequence[Sequence[str]]]


def layer_path(paths: HostPaths, layer: Layer) -> str:
    """Where a host keeps a layer."""
    return f"{paths.layers}/{layer.digest.partition(':')[2]}.tar.gz"


def distribute(image: ClusterImage, paths: HostPaths, on: Targets, target: str, removals_of: RemovalsOf) -> list[Step]:
    """Send every layer that a host lacks, and make the rootfs of them at `target`.

    :param removals_of: for each layer of a rootfs, the paths of lower layers that it takes away.
    """

    def send(context: StepContext) -> None:
        for layer in rootfs_for(context, image).layers:
            context.send(layer, layer_path(paths, layer))

    def unpack(context: StepContext) -> None:
        rootfs = rootfs_for(context, image)
        context.sh(unpack_script(rootfs, paths, target, removals_of(rootfs)))

    size = max(sum(layer.size for layer in rootfs.layers) for rootfs in image.rootfs)
    timeout = 600.0 + size / SLOWEST
    needs = frozenset({HOST_FACTS})
    inputs = {"image": image.digest, "target": target}
    return [
        Step("layers", "Send the layers", on, send, inputs, needs=needs, timeout=timeout, retry=Retry(5), size=size),
        Step("rootfs", "Unpack the layers", on, unpack, inputs, needs=needs, timeout=timeout, retry=Retry(3)),
    ]


def rootfs_for(context: StepContext, image: ClusterImage) -> Rootfs:
    """The rootfs for the host's architecture.

    :raises HostError: the image has none.
    """
    architecture = str(context.get(HOST_FACTS)["architecture"])
    rootfs = image.on(architecture)
    if rootfs is None:
        has = ", ".join(other.platform for other in image.rootfs)
        raise HostError(
            f"The image {image.reference} is not made for {architecture}",
            where=context.host.id,
            why=f"it has {has}",
            remedy="Build it for that platform, or leave the host out.",
        )
    return rootfs


def unpack_script(rootfs: Rootfs, paths: HostPaths, target: str, removals: Sequence[Sequence[str]]) -> str:
    """Make the rootfs beside its place, then put it there by rename: nobody ever sees half of one."""
    new, old = shlex.quote(f"{target}.new"), shlex.quote(f"{target}.old")
    place = shlex.quote(target)
    lines = ["set -e", "umask 022", f"rm -rf {new} {old}", f"mkdir -p {new}", f"cd {new}"]
    for layer, gone in zip(rootfs.layers, removals, strict=True):
        lines += [f"rm -rf -- {shlex.quote('./' + path)}" for path in gone]
        archive = shlex.quote(layer_path(paths, layer))
        lines.append(f"LC_ALL=C tar -xzpf {archive} --no-same-owner --exclude='.wh.*'")
    lines += ["cd /", f"if [ -e {place} ]; then mv {place} {old}; fi", f"mv {new} {place}", f"rm -rf {old}"]
    return "\n".join(lines) + "\n"
