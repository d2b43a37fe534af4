"""The private registry's filling, against a real docker-registry: what it brings, and what it need not bring again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from docker_registry import DockerRegistry
from faulty_proxy import FaultyProxy
from sample_images import MakeRegistries, cluster_image

from sealer.errors import InterruptedRunError
from sealer.events import Event, State
from sealer.image.model import ContainerImage
from sealer.image.oci import Descriptor
from sealer.image.registry.repository import Repository
from sealer.image.store import Store
from sealer_plugin_registry.filling import Filling, Pinned, contents


class Target:
    """A registry to be filled."""

    def __init__(self, store: Store, registries: MakeRegistries, address: str, sessions: Path) -> None:
        self.store = store
        self.make = registries
        self.address = address
        self.sessions = sessions
        self.told: list[Event] = []

    def fill(self, images: list[ContainerImage], tell: object = None) -> list[Pinned]:
        registries = self.make()
        filling = Filling(
            self.store,
            registries,
            registries.client(self.address, None),
            self.sessions,
            tell or self.told.append,  # type: ignore[arg-type]
        )
        return filling.fill(contents(self.store, images))

    def manifest(self, repository: str, wanted: str) -> dict[str, object]:
        registries = self.make()
        with registries.pool():
            found = Repository(registries.client(self.address, None), repository).manifest(wanted)
        document = json.loads(found.content)
        assert isinstance(document, dict)
        return document

    def has_blob(self, repository: str, blob: Descriptor) -> bool:
        registries = self.make()
        with registries.pool():
            return Repository(registries.client(self.address, None), repository).has_blob(blob)


@pytest.fixture
def target(store: Store, registries: MakeRegistries, registry: DockerRegistry, tmp_path: Path) -> Target:
    return Target(store, registries, registry.address, tmp_path / "sessions")


def images(store: Store, *platforms: str, sizes: tuple[int, ...] = (1000,)) -> list[ContainerImage]:
    cluster_image(store, ["c:1"], platforms=platforms or ("linux/amd64",), containers=2, sizes=sizes)
    return list(store.find("c:1").containers)


def test_each_image_lies_below_its_domain(target: Target) -> None:
    first, second = images(target.store)
    elsewhere = replace(second, reference=first.reference.replace("docker.io", "other.io"))
    target.fill([first, elsewhere])
    assert target.manifest("docker.io/library/c0", "1") == json.loads(target.store.read(first.manifest))
    assert target.manifest("other.io/library/c0", "1") == json.loads(target.store.read(second.manifest))


def test_a_tag_of_two_platforms_is_an_index_of_both(target: Target) -> None:
    found = [image for image in images(target.store, "linux/amd64", "linux/arm64") if "c0" in image.reference]
    target.fill(found)
    index = target.manifest("docker.io/library/c0", "1")
    parts = index["manifests"]
    assert isinstance(parts, list)
    assert [part["platform"]["architecture"] for part in parts] == ["amd64", "arm64"]
    assert {part["digest"] for part in parts} == {image.manifest.digest for image in found}


def test_a_second_fill_sends_nothing(
    store: Store, registries: MakeRegistries, proxy: FaultyProxy, tmp_path: Path
) -> None:
    found = images(store)
    Target(store, registries, proxy.address, tmp_path / "a").fill(found)
    before = len(proxy.requests("POST"))
    assert before
    Target(store, registries, proxy.address, tmp_path / "b").fill(found)
    assert len(proxy.requests("POST")) == before


def test_a_blob_of_two_images_is_sent_once(
    store: Store, registries: MakeRegistries, proxy: FaultyProxy, tmp_path: Path
) -> None:
    (first, _) = images(store)
    twin = replace(first, reference="other.io/library/twin:1")
    Target(store, registries, proxy.address, tmp_path / "a").fill([first, twin])
    mounts = [seen for seen in proxy.requests("POST") if "mount=" in str(seen)]
    blobs = json.loads(store.read(first.manifest))
    assert len(mounts) == len({blobs["config"]["digest"], *(layer["digest"] for layer in blobs["layers"])})


def test_it_tells_how_far_it_has_come(target: Target) -> None:
    target.fill(images(target.store))
    last = [event for event in target.told if event.state is State.PROGRESS][-1]
    assert last.data["done"] == last.data["total"]


def test_whoever_hears_of_it_can_end_it(target: Target) -> None:
    def stop(event: Event) -> None:
        raise InterruptedRunError("Interrupted")

    with pytest.raises(InterruptedRunError):
        target.fill(images(target.store), stop)


def test_an_index_whose_other_platforms_are_not_carried_is_told(target: Target) -> None:
    (first, _) = images(target.store)
    with target.store.stage() as staging:
        content = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [
                first.manifest.as_json(),
                {"mediaType": first.manifest.media_type, "digest": "sha256:" + "0" * 64, "size": 7},
            ],
        }
        index = staging.add([json.dumps(content).encode()], "application/vnd.oci.image.index.v1+json")
        path = target.store.path(index.digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((staging.blobs / index.digest[7:]).read_bytes())
    pinned = replace(first, reference=f"docker.io/library/c0:1@{index.digest}", index=index)
    (left,) = target.fill([pinned])
    assert (left.repository, left.index.digest, left.tag) == ("docker.io/library/c0", index.digest, "1")
    assert target.manifest("docker.io/library/c0", first.manifest.digest)
    assert target.has_blob(left.repository, index)
