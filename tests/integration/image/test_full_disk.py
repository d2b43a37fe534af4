"""A disk that is full, really: what is said, what is left, and that the same works when there is space again."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from docker_registry import OBSTACLE, DockerRegistry
from image_archives import docker_members, layer, write_tar
from sample_images import cluster_image
from small_disk import MIB, fill, needs_root, resize, small_disk

from sealer.errors import ImageError
from sealer.events import EventStream
from sealer.image.archive import load, save
from sealer.image.build import BuildRequest, build
from sealer.image.gathering.archives import ImageArchives
from sealer.image.registry.configuration import Configuration
from sealer.image.registry.credentials import AuthFiles
from sealer.image.registry.pull import pull
from sealer.image.registry.push import push
from sealer.image.registry.registries import Registries
from sealer.image.store import Store

pytestmark = needs_root
NOISE = random.Random(1).randbytes(6 * MIB)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 4 * MIB) as place:
        yield place


@pytest.fixture
def store(disk: Path) -> Store:
    """A store on the small disk, with an image in it."""
    found = Store(disk / "images")
    cluster_image(found, ["small:1"], sizes=[2000])
    return found


def context(directory: Path, kubefile: str) -> Path:
    directory.mkdir()
    (directory / "Kubefile").write_text(kubefile)
    (directory / "b").write_bytes(NOISE)
    return directory


def registries() -> Registries:
    return Registries(Configuration(), AuthFiles(()))


def fails_for_want_of_space(store: Store, action: Callable[[], object]) -> None:
    """The error says so and what to do; nothing but what was there is there, so that the image there is still whole."""
    before = {path.name for path in store.blobs.iterdir()}
    with pytest.raises(ImageError) as caught:
        action()
    said = " ".join([str(caught.value), *caught.value.output]).lower()
    assert "no space left on" in said
    assert "free some" in caught.value.remedy
    assert [(image.reference, image.problem) for image in store.list()] == [("small:1", "")]
    assert {path.name for path in store.blobs.iterdir()} == before
    assert not list((store.root / "tmp").iterdir())


@pytest.mark.parametrize("text", ["COPY b .", "RUN head -c {} /dev/urandom > b", "ADD b .\nRUN true"])
def test_build(store: Store, disk: Path, tmp_path: Path, text: str) -> None:
    directory = context(tmp_path / "context", "FROM scratch\n" + text.format(len(NOISE)))

    def action() -> object:
        return build(store, BuildRequest(directory, names=("large:1",)), EventStream())

    fails_for_want_of_space(store, action)
    resize(disk, 64 * MIB)
    action()
    assert store.find("large:1").first.layers


@pytest.mark.parametrize("form", ["oci-archive", "oci-dir", "docker-archive", "stream"])
def test_load(store: Store, disk: Path, tmp_path: Path, form: str) -> None:
    other = Store(tmp_path / "other")
    build(other, BuildRequest(context(tmp_path / "c", "FROM scratch\nCOPY b ."), names=("large:1",)), EventStream())
    archive = tmp_path / "archive"
    save(other, ["large:1"], archive, "oci-archive" if form == "stream" else form)  # type: ignore[arg-type]

    def action() -> object:
        if form == "stream":
            with archive.open("rb") as stream:
                return load(store, stream)
        return load(store, archive)

    fails_for_want_of_space(store, action)
    resize(disk, 64 * MIB)
    action()
    assert store.find("large:1").first.layers


def test_an_image_archive_of_a_build(store: Store, disk: Path, tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "x.tar", docker_members(["web:1"], [layer(NOISE.hex())]))

    def action() -> object:
        with store.stage() as staging:
            archives = ImageArchives([archive], staging, lambda message: None)
            return archives.find("docker.io/library/web:1", "linux/amd64")

    fails_for_want_of_space(store, action)
    resize(disk, 64 * MIB)
    assert action()


@pytest.mark.skipif(bool(OBSTACLE), reason=OBSTACLE or "")
def test_pull(store: Store, disk: Path, tmp_path: Path) -> None:
    """What came before the disk was full is gone on with, or given up: the same command works in the end."""
    (tmp_path / "registry").mkdir()
    with DockerRegistry(tmp_path / "registry") as registry:
        name = f"{registry.address}/ns/large:1"
        origin = Store(tmp_path / "origin")
        image = cluster_image(origin, [name], sizes=[3 * MIB, 3 * MIB], containers=1)
        push(origin, registries(), EventStream(), name)

        def action() -> object:
            return pull(store, registries(), EventStream(), name)

        fails_for_want_of_space(store, action)
        fails_for_want_of_space(store, action)  # also with what the first left to go on with
        resize(disk, 64 * MIB)
        action()
    assert store.find(name).digest == image.digest
    assert not list(store.downloads.iterdir())


@pytest.mark.skipif(bool(OBSTACLE), reason=OBSTACLE or "")
def test_what_a_pull_left_does_not_keep_the_disk_full(store: Store, disk: Path, tmp_path: Path) -> None:
    """`sealer prune` gives it back."""
    (tmp_path / "registry").mkdir()
    with DockerRegistry(tmp_path / "registry") as registry:
        name = f"{registry.address}/ns/large:1"
        origin = Store(tmp_path / "origin")
        cluster_image(origin, [name], sizes=[3 * MIB, 3 * MIB])
        push(origin, registries(), EventStream(), name)
        fails_for_want_of_space(store, lambda: pull(store, registries(), EventStream(), name))
    store.prune()
    assert not list(store.downloads.iterdir())
    assert sum(path.stat().st_size for path in disk.rglob("*") if path.is_file()) < MIB


def test_the_advice_can_be_followed_on_a_full_disk(store: Store, disk: Path, tmp_path: Path) -> None:
    """Images can be listed, saved elsewhere and removed."""
    fill(disk)
    assert [image.reference for image in store.list()] == ["small:1"]
    save(store, ["small:1"], tmp_path / "x.tar")
    assert store.remove("small:1")[0].digest
    assert not list(store.blobs.iterdir())
    assert load(Store(tmp_path / "other"), tmp_path / "x.tar")
