"""The container images of a cluster image, written and read."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sample_images import container

from sealer.errors import ImageError
from sealer.image.archive import load, save
from sealer.image.containers import container_size, stage_containers
from sealer.image.discovery.model import Place
from sealer.image.model import ClusterImage, ContainerImage
from sealer.image.oci import DOCKER_LIST, DOCKER_MANIFEST, INDEX, MANIFEST, Descriptor
from sealer.image.oci_image import RootfsParts, stage_index, stage_rootfs
from sealer.image.staging import Staging
from sealer.image.store import Store

FOUND = (Place("manifests/web.yaml", 9, "container"), Place("übersicht.yaml", 0, "helm"))


def index_of(staging: Staging, *manifests: Descriptor, kind: str = DOCKER_LIST) -> Descriptor:
    """An index as a registry serves it, with a manifest that nobody has."""
    platform = {"os": "linux", "architecture": "amd64"}
    entries = [{**one.as_json(), "platform": platform} for one in manifests]
    entries.append({"mediaType": MANIFEST, "digest": "sha256:" + "0" * 64, "size": 7, "platform": {"os": "windows"}})
    document = {"schemaVersion": 2, "mediaType": kind, "manifests": entries}
    return staging.add([json.dumps(document, indent=2).encode()], kind)


def commit(store: Store, make: Callable[[Staging], list[ContainerImage]], name: str = "app:v1") -> ClusterImage:
    with store.stage() as staging:
        rootfs = stage_rootfs(staging, RootfsParts("linux/amd64"))
        index = stage_index(staging, [rootfs, *stage_containers(staging, make(staging))])
        store.commit(staging, index, [name])
    return store.find(name)


def three(staging: Staging) -> list[ContainerImage]:
    web, db = container(staging, 1), container(staging, 2)
    pinned = index_of(staging, db)
    return [
        ContainerImage("docker.io/library/web:1", "linux/amd64", web, found=FOUND),
        ContainerImage(f"r.io:5000/db@{pinned.digest}", "linux/amd64", db, pinned),
        ContainerImage(f"r.io:5000/web@{web.digest}", "linux/amd64", web, converted="docker-archive"),
    ]


def test_they_are_read_as_they_were_written(store: Store) -> None:
    image = commit(store, three)
    with store.stage() as staging:
        expected = three(staging)
    assert list(image.containers) == expected
    assert [rootfs.platform for rootfs in image.rootfs] == ["linux/amd64"]
    assert container_size(store, image.containers[0]) == sum(
        path.stat().st_size
        for path in (store.path(digest) for digest in store.closure(image.containers[0].manifest))
    )  # fmt: skip


def test_indexes_within_indexes_come_along(store: Store, tmp_path: Path) -> None:
    """Into the store, through an archive, and out again."""

    def nested(staging: Staging) -> list[ContainerImage]:
        web = container(staging, 1)
        inner = index_of(staging, web, kind=INDEX)
        middle = index_of(staging, inner, kind=INDEX)
        outer = index_of(staging, inner, middle, kind=INDEX)
        name = f"r.io/web@{outer.digest}"
        return [ContainerImage(name, "linux/amd64", web, outer, inner_indexes=(inner, middle))]

    image = commit(store, nested)
    assert [len(one.indexes) for one in image.containers] == [3]
    save(store, ["app:v1"], tmp_path / "x.tar")
    other = Store(tmp_path / "other")
    load(other, tmp_path / "x.tar")
    assert other.find("app:v1").containers == image.containers
    for index in image.containers[0].indexes:
        assert other.read(index) == store.read(index)
    other.path(image.containers[0].inner_indexes[0].digest).unlink()
    with pytest.raises(ImageError, match="a blob of the image is missing"):
        other.find("app:v1")


def test_indexes_that_lie_too_deep_are_refused(store: Store) -> None:
    def deep(staging: Staging) -> list[ContainerImage]:
        web = container(staging, 1)
        indexes = [index_of(staging, web, kind=INDEX)]
        for _ in range(3):
            indexes.append(index_of(staging, indexes[-1], kind=INDEX))
        name = f"r.io/web@{indexes[-1].digest}"
        return [ContainerImage(name, "linux/amd64", web, indexes[-1], inner_indexes=tuple(indexes[:-1]))]

    with pytest.raises(ImageError, match="too deep in other indexes"):
        commit(store, deep)


def test_the_form_of_the_index(store: Store) -> None:
    image = commit(store, three)
    entries = json.loads(store.path(image.digest).read_bytes())["manifests"]
    assert ["platform" in entry for entry in entries] == [True, False, False, False, False]
    assert entries[1]["mediaType"] == DOCKER_MANIFEST
    assert entries[1]["annotations"] == {
        "io.sealer.image.reference": "docker.io/library/web:1",
        "io.sealer.image.platform": "linux/amd64",
        "io.sealer.image.found": '[["manifests/web.yaml",9,"container"],["übersicht.yaml",0,"helm"]]',
    }
    assert entries[3]["annotations"]["io.sealer.image.converted"] == "docker-archive"
    assert entries[4]["annotations"] == {"io.sealer.image.artifact": "application/vnd.sealer.pinned-indexes.v1"}
    artifact = json.loads(store.path(entries[4]["digest"]).read_bytes())
    assert artifact["artifactType"] == "application/vnd.sealer.pinned-indexes.v1"
    assert [layer["mediaType"] for layer in artifact["layers"]] == [DOCKER_LIST]


def test_the_same_images_in_another_order_are_the_same_index(store: Store) -> None:
    one = commit(store, three)
    other = commit(store, lambda staging: list(reversed(three(staging))), "other:v1")
    assert one.digest == other.digest


def test_many_places_are_cut(store: Store) -> None:
    places = tuple(Place(f"m{n:03}.yaml", n, "container") for n in range(50))

    def many(staging: Staging) -> list[ContainerImage]:
        return [dataclasses.replace(one, found=places) for one in three(staging)]

    assert [len(one.found) for one in commit(store, many).containers] == [20, 20, 20]


def test_saved_and_loaded_with_all_blobs(store: Store, tmp_path: Path) -> None:
    image = commit(store, three)
    save(store, ["app:v1"], tmp_path / "x.tar")
    other = Store(tmp_path / "other")
    load(other, tmp_path / "x.tar")
    assert other.find("app:v1") == dataclasses.replace(image, rootfs=other.find("app:v1").rootfs)
    assert {path.name for path in other.blobs.iterdir()} == {path.name for path in store.blobs.iterdir()}


def test_removal_takes_their_blobs_along_and_leaves_those_of_others(store: Store) -> None:
    commit(store, three)
    commit(store, lambda staging: three(staging)[1:2], "other:v1")
    kept = {digest[7:] for digest in store.closure(store.descriptor("other:v1"))}
    store.remove("app:v1")
    assert {path.name for path in store.blobs.iterdir()} == kept
    store.remove("other:v1")
    assert not list(store.blobs.iterdir())


def test_an_image_without_its_pinned_index_is_not_stored(store: Store) -> None:
    def lost(staging: Staging) -> list[ContainerImage]:
        found = three(staging)
        assert found[1].index
        (staging.blobs / found[1].index.digest[7:]).unlink()
        return found

    with pytest.raises(ImageError, match="a blob of the image is missing"):
        commit(store, lost)


DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"io.sealer.image.reference": "A B"}, "no usable name"),
        ({"io.sealer.image.platform": "amd64"}, "no usable platform"),
        ({"io.sealer.image.platform": ""}, "no usable platform"),
        ({"io.sealer.image.reference": f"web@{DIGEST}"}, "is another image"),
        ({"io.sealer.image.found": "{"}, "no list of places"),
        ({"io.sealer.image.found": '[["a", "b", "c"]]'}, "no list of places"),
        ({"io.sealer.image.found": "7"}, "no list of places"),
        ({"io.sealer.image.found": "[" * 100_000}, "no list of places"),
        ({"io.sealer.image.reference": "r.io/other:1"}, "are called"),
    ],
)
def test_what_others_write_is_checked(store: Store, change: dict[str, str], message: str) -> None:
    with store.stage() as staging:
        annotations = {"io.sealer.image.reference": "r.io/web:1", "io.sealer.image.platform": "linux/amd64"}
        other = dataclasses.replace(
            container(staging, 2), annotations={**annotations, "io.sealer.image.reference": "r.io/other:1"}
        )
        wrong = dataclasses.replace(container(staging, 1), annotations={**annotations, **change})
        index = stage_index(staging, [stage_rootfs(staging, RootfsParts("linux/amd64")), other, wrong])
        with pytest.raises(ImageError, match=message):
            store.commit(staging, index, ["app:v1"])
            store.find("app:v1")


def test_an_index_among_them_is_refused(store: Store) -> None:
    def nested(staging: Staging) -> list[ContainerImage]:
        return [ContainerImage("r.io/x:1", "linux/amd64", index_of(staging, kind=INDEX))]

    with pytest.raises(ImageError):
        commit(store, nested)
