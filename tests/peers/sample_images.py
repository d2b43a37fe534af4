"""Cluster images for tests, made quickly and by hand: of any size, with container images, for several platforms."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import json
import random
import subprocess
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

from sealer.image.oci import (
    CONTAINER_PLATFORM,
    CONTAINER_REFERENCE,
    DOCKER_LAYER,
    DOCKER_MANIFEST,
    INDEX,
    LAYER,
    MANIFEST,
    Descriptor,
    encode,
)
from sealer.image.oci_image import RootfsParts, stage_index, stage_rootfs
from sealer.image.registry.registries import Registries
from sealer.image.staging import Staging
from sealer.image.store import Store

MakeRegistries = Callable[..., Registries]


def noise(size: int, seed: int) -> bytes:
    """Bytes that nothing compresses, the same for the same seed."""
    return random.Random(seed).randbytes(size)


def tar_layer(staging: Staging, name: str, content: bytes) -> tuple[Descriptor, str]:
    """A layer with one file, and its diff id."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    layer = gzip.compress(raw.getvalue(), compresslevel=1, mtime=0)
    return staging.add([layer], LAYER), "sha256:" + hashlib.sha256(raw.getvalue()).hexdigest()


def container(staging: Staging, number: int, architecture: str = "amd64", layers: int = 2) -> Descriptor:
    """A container image in Docker's form, as a registry would have served it."""
    config: dict[str, object] = {
        "os": "linux",
        "architecture": architecture,
        "rootfs": {"type": "layers", "diff_ids": []},
    }
    parts = [staging.add([noise(5000, number * 100 + layer)], DOCKER_LAYER) for layer in range(layers)]
    stored = staging.add([json.dumps(config, indent=3).encode()], "application/vnd.docker.container.image.v1+json")
    manifest = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": stored.as_json(),
        "layers": [part.as_json() for part in parts],
    }
    return staging.add([json.dumps(manifest, indent=3).encode()], DOCKER_MANIFEST)  # not as sealer would write it


def cluster_image(
    store: Store,
    names: Sequence[str],
    *,
    sizes: Sequence[int] = (20_000, 3_000_000),
    platforms: Sequence[str] = ("linux/amd64",),
    containers: int = 0,
    seed: int = 0,
) -> Descriptor:
    """A cluster image in the store.

    :param sizes: bytes of noise in each layer of the rootfs.
    :param containers: container images for each platform, and as many indexes they were pinned by.
    """
    with store.stage() as staging:
        manifests = []
        for platform in platforms:
            layers = [tar_layer(staging, f"file{n}", noise(size, seed + n)) for n, size in enumerate(sizes)]
            manifests.append(stage_rootfs(staging, RootfsParts(platform, tuple(layers))))
        indexes = []
        for number in range(containers):
            of_index = []
            for platform in platforms:
                manifest = container(staging, number, platform.partition("/")[2])
                annotations = {CONTAINER_REFERENCE: f"docker.io/library/c{number}:1", CONTAINER_PLATFORM: platform}
                manifests.append(dataclasses.replace(manifest, annotations=annotations))
                of_index.append({**manifest.as_json(), "platform": {"os": "linux", "architecture": "amd64"}})
            of_index.append({"mediaType": MANIFEST, "digest": "sha256:" + "0" * 64, "size": 7})  # nobody has it
            document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": of_index}
            indexes.append(staging.add([json.dumps(document).encode()], INDEX))
        if indexes:
            empty = staging.add([b"{}"], "application/vnd.oci.empty.v1+json")
            artifact = {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "artifactType": "application/vnd.sealer.indexes.v1",
                "config": empty.as_json(),
                "layers": [index.as_json() for index in indexes],
            }
            manifests.append(staging.add([encode(artifact)], MANIFEST))  # type: ignore[arg-type]
        return store.commit(staging, stage_index(staging, manifests), list(names))


def blobs_of(store: Store) -> set[str]:
    return {path.name for path in store.blobs.iterdir()}


def skopeo(*arguments: str | Path) -> str:
    result = subprocess.run(["skopeo", *map(str, arguments)], check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout
