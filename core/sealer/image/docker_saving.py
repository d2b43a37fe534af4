"""`save --format docker-archive`: an image as `docker load` reads it, where that is all of it.

Such an archive has layers, configs and names, and nothing else: a container image inside a cluster image has no place
there, nor has a second platform under the same name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from sealer.errors import ImageError, InputError
from sealer.events import Json
from sealer.image.model import ClusterImage, Layer
from sealer.image.oci import REF_NAME, Descriptor
from sealer.image.oci_image import read_cluster_image, read_config
from sealer.image.store import Store
from sealer.image.tarstream import CHUNK, gunzip
from sealer.image.tarwriter import TarWriter


def require_docker(store: Store, references: Sequence[str], found: Sequence[Descriptor]) -> list[ClusterImage]:
    """The images, if each of them is one that a docker-archive can hold.

    :raises InputError: one is not.
    """
    images = [read_cluster_image(store, name, entry) for name, entry in zip(references, found, strict=True)]
    for image in images:
        why = ""
        if image.containers:
            why = f"it holds {len(image.containers)} container images, for which such an archive has no place"
        elif len(image.rootfs) > 1:
            why = f"it is for {len(image.rootfs)} platforms, and such an archive has one under each name"
        if why:
            raise InputError(
                f"{image.reference} cannot be saved as docker-archive",
                why=why,
                remedy="save it as oci-archive, which has everything; skopeo copies one platform or image out of it",
            )
    return images


def write_docker_archive(
    store: Store, images: Sequence[ClusterImage], found: Sequence[Descriptor], file: BinaryIO
) -> None:
    """Write images to a stream; the same images give the same bytes.

    :param images: what :func:`require_docker` gave.
    :param found: their entries in the store.
    :raises ImageError: a blob is missing or damaged.
    :raises OSError: the stream failed.
    """
    tar = TarWriter(file)
    entries: dict[str, dict[str, Json]] = {}
    tags: dict[str, list[Json]] = {}
    layers: set[str] = set()
    for image, entry in zip(images, found, strict=True):
        names = tags.setdefault(image.digest, [])
        if name := entry.annotations.get(REF_NAME, ""):
            names += [name] if name not in names else []
        if image.digest in entries:
            continue
        rootfs = image.first
        config = read_config(store, rootfs.digest)
        digest = hashlib.sha256(config).hexdigest()
        tar.add_bytes(f"{digest}.json", config)
        for layer in rootfs.layers:
            if layer.diff_id not in layers:
                layers.add(layer.diff_id)
                tar.add(_path(layer), _unpacked_size(layer), _unpacked(layer))
        paths: list[Json] = [_path(layer) for layer in rootfs.layers]
        entries[image.digest] = {"Config": f"{digest}.json", "RepoTags": names, "Layers": paths}
    content = json.dumps(list(entries.values()), separators=(",", ":"), sort_keys=True).encode()
    tar.add_bytes("manifest.json", content)
    tar.end()


def _path(layer: Layer) -> str:
    return f"{layer.diff_id.removeprefix('sha256:')}.tar"


def _unpacked_size(layer: Layer) -> int:
    """A tar has the size before the content, so that each layer is unpacked twice."""
    size = 0
    digest = hashlib.sha256()
    for chunk in _unpacked(layer):
        size += len(chunk)
        digest.update(chunk)
    if f"sha256:{digest.hexdigest()}" != layer.diff_id:
        raise ImageError(
            "a blob of the store is damaged", where=str(layer.path), remedy="pull, load or build the image again"
        )
    return size


def _unpacked(layer: Layer) -> Iterator[bytes]:
    with gunzip(layer.path) as stream:
        while chunk := stream.read(CHUNK):
            yield chunk
