"""Images with a private registry, as tests of it on real hosts want them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence

from docker_registry import PROGRAM
from image_archives import docker_members, layer, oci_image, oci_members, write_tar
from lab_site import Site

PINNED = oci_image("pinned", ("amd64", "arm64"))
KUBEFILE = "FROM scratch\nCOPY . .\nLABEL io.sealer.registry=registry\n"


def build(
    site: Site,
    name: str,
    references: Sequence[str],
    *more: str,
    program: bool = True,
    layers: Sequence[bytes] = (),
) -> None:
    """An image with a registry of its own, and a manifest that names container images.

    :param layers: of each of them; default: a small one of its own.
    """
    context = site.home / name.partition(":")[0]
    archives = site.home / f"archives-{name.partition(':')[0]}"
    for directory in (context / "bin", context / "manifests", archives):
        directory.mkdir(parents=True)
    if program:
        shutil.copy(str(shutil.which(PROGRAM)), context / "bin/registry")
    containers = [{"name": f"c{number}", "image": image} for number, image in enumerate(references)]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": containers}}
    (context / "manifests/pod.json").write_text(json.dumps(pod))
    for number, reference in enumerate(references):
        if "@" in reference:
            names = {"org.opencontainers.image.ref.name": reference}
            write_tar(archives / f"{number}.tar", oci_members([(PINNED, names)]))
        else:
            write_tar(archives / f"{number}.tar", docker_members([reference], layers or [layer(f"of {reference}")]))
    (site.home / "Kubefile").write_text(KUBEFILE if program else "FROM scratch\nCOPY . .\n")
    options = ("-f", str(site.home / "Kubefile"), "--image-archive", str(archives), "--strict", *more)
    site.sealer("build", "-t", name, *options, str(context))
