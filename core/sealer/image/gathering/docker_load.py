"""`sealer load` of a docker-archive: each image becomes a cluster image, whose rootfs are its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sealer.errors import ImageError
from sealer.image.archive import blamed
from sealer.image.containers import CONTAINER_CONVERTED
from sealer.image.files import lay_over
from sealer.image.gathering.bundles import TarBundle
from sealer.image.gathering.forms import DOCKER_ARCHIVE, DockerForm, names_of
from sealer.image.oci import Descriptor
from sealer.image.oci_image import read_cluster_image, stage_index
from sealer.image.reference import Reference
from sealer.image.staged import StagedStore
from sealer.image.store import Store


def load_docker(store: Store, source: Path) -> tuple[tuple[str, str], ...]:
    """Take the images of a docker-archive into the store, all of them or none.

    :returns: name (empty: none) and digest, one for each name; nothing: it is no docker-archive.
    :raises ImageError: it is damaged, or holds what no image may.
    """
    with store.stage() as staging, blamed(source):
        bundle = TarBundle(source, staging.directory / "archive.tar")
        if bundle.size("manifest.json") is None:
            return ()
        form = DockerForm(bundle)
        images: list[tuple[Descriptor, Sequence[str]]] = []
        for entry in form.entries:
            manifest = form.convert(entry, staging)
            if not manifest.platform:
                raise ImageError("the image names no platform", where=str(entry.get("Config")))
            rootfs = replace(manifest, annotations={CONTAINER_CONVERTED: DOCKER_ARCHIVE})
            index = stage_index(staging, [rootfs])
            for one in read_cluster_image(StagedStore(store, staging), index.digest, index).rootfs:
                lay_over(one.layers, verify=True)  # a host unpacks them without looking
            images.append((index, [Reference.parse(name).tagged for name in names_of(entry)]))
        if not images:
            raise ImageError("the archive holds no image")
        store.commit_all(staging, images)
    return tuple((name, index.digest) for index, names in images for name in (names or [""]))
