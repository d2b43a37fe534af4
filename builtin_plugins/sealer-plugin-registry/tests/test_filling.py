"""Container images of a cluster image, brought to a real registry."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from docker_registry import OBSTACLE, DockerRegistry
from sample_images import container

from sealer.image.containers import stage_containers
from sealer.image.model import ContainerImage
from sealer.image.oci import INDEX, MANIFESTS, Descriptor
from sealer.image.oci_image import RootfsParts, stage_index, stage_rootfs
from sealer.image.registry.configuration import Configuration
from sealer.image.registry.credentials import AuthFiles
from sealer.image.registry.registries import Registries
from sealer.image.staging import Staging
from sealer.image.store import Store
from sealer_plugin_registry.filling import Filling, contents

pytestmark = pytest.mark.skipif(bool(OBSTACLE), reason=OBSTACLE or "")


def index_of(staging: Staging, part: Descriptor) -> Descriptor:
    entry = {**part.as_json(), "platform": {"os": "linux", "architecture": "amd64"}}
    document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}
    return staging.add([json.dumps(document).encode()], INDEX)


def test_indexes_within_a_pinned_index_are_there_before_it(tmp_path: Path) -> None:
    """A registry takes no index of which it lacks a part."""
    store = Store(tmp_path / "images")
    with store.stage() as staging:
        web = container(staging, 1)
        inner = index_of(staging, web)
        outer = index_of(staging, inner)
        named = ContainerImage(f"r.io/web:1@{outer.digest}", "linux/amd64", web, outer, inner_indexes=(inner,))
        rootfs = stage_rootfs(staging, RootfsParts("linux/amd64"))
        store.commit(staging, stage_index(staging, [rootfs, *stage_containers(staging, [named])]), ["app:1"])
    images = store.find("app:1").containers
    (tmp_path / "registry").mkdir()
    with DockerRegistry(tmp_path / "registry") as registry:
        registries = Registries(Configuration(), AuthFiles(()))
        client = registries.client(registry.address, None)
        sessions = tmp_path / "uploads"
        assert Filling(store, registries, client, sessions, lambda event: None).fill(contents(store, images)) == []
        registries = Registries(Configuration(), AuthFiles(()))
        client = registries.client(registry.address, None)
        with registries.pool():
            for wanted in (outer.digest, inner.digest, web.digest, "1"):
                headers = {"Accept": ", ".join((INDEX, *MANIFESTS))}
                with client.call("GET", f"/v2/r.io/web/manifests/{wanted}", headers=headers) as answer:
                    assert answer.status == 200
