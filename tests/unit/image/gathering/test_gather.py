"""What several platforms mention, gathered at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from image_archives import oci_image, oci_members, write_tar

from sealer.errors import ImageError
from sealer.events import Event, EventStream, State
from sealer.image.discovery.files import DirectoryFiles
from sealer.image.discovery.installs import Install
from sealer.image.discovery.model import Discovery, FoundImage, Place
from sealer.image.gathering.gather import Gathered, Gathering, ImageRequest
from sealer.image.oci import CONTAINER_PLATFORM, CONTAINER_REFERENCE, INDEXES
from sealer.image.oci_image import RootfsParts, stage_index, stage_rootfs
from sealer.image.registry.configuration import Configuration
from sealer.image.registry.credentials import AuthFiles
from sealer.image.registry.registries import Registries
from sealer.image.store import Store

WEB = "docker.io/library/web:1"
PLACE = Place("x.yaml", 1, "container")
PLATFORMS = ("linux/amd64", "linux/arm64")


class Request:
    """Finds the images that a test says, and keeps what came of it."""

    def __init__(self, *archives: Path) -> None:
        self.images: tuple[str, ...] = (WEB,)
        self.reports: list[Gathered] = []
        self.request = ImageRequest(self, self._registries, archives, report=self.reports.append)

    def __call__(self, files: DirectoryFiles, env: Mapping[str, str], installs: Sequence[Install]) -> Discovery:
        return Discovery(tuple(FoundImage(image, (PLACE,)) for image in self.images))

    def _registries(self) -> Registries:
        return Registries(Configuration(), AuthFiles(()))


def test_each_platform_gets_its_own_manifest(store: Store, tmp_path: Path) -> None:
    image = oci_image("web", ["amd64", "arm64"])
    archive = write_tar(tmp_path / "x.tar", oci_members([(image, {"org.opencontainers.image.ref.name": "web:1"})]))
    asked = Request(archive)
    asked.images = (WEB, f"r.io/web@{image.root}")
    with store.stage() as staging:
        gathering = Gathering(store, staging, asked.request, EventStream())
        for platform in PLATFORMS:
            gathering.look_through(platform, [], {}, lambda: DirectoryFiles(tmp_path))
        described = gathering.finish()
        rootfs = [stage_rootfs(staging, RootfsParts(platform)) for platform in PLATFORMS]
        store.commit(staging, stage_index(staging, [*rootfs, *described]), ["app:1"])
    assert [
        (one.annotations[CONTAINER_REFERENCE], one.annotations[CONTAINER_PLATFORM], one.digest)
        for one in described[:-1]
    ] == [
        (reference, platform, image.manifests[platform.partition("/")[2]])
        for reference in asked.images
        for platform in PLATFORMS
    ]
    assert not any(one.media_type in INDEXES for one in described)
    assert [one.index.digest if one.index else "" for one in store.find("app:1").containers] == [
        "",
        "",
        *[image.root] * 2,
    ]
    assert [one.size for one in asked.reports[0].images] == [
        sum(len(image.blobs[digest[7:]]) for digest in store.closure(one.manifest))
        for one in store.find("app:1").containers
    ]


def test_a_base_gives_what_is_for_the_platform(store: Store, tmp_path: Path) -> None:
    image = oci_image("web", ["amd64", "arm64"])
    archive = write_tar(tmp_path / "x.tar", oci_members([(image, {"org.opencontainers.image.ref.name": "web:1"})]))
    with store.stage() as staging:
        gathering = Gathering(store, staging, Request(archive).request, EventStream())
        for platform in PLATFORMS:
            gathering.look_through(platform, [], {}, lambda: DirectoryFiles(tmp_path))
        described = gathering.finish()
        rootfs = [stage_rootfs(staging, RootfsParts(platform)) for platform in PLATFORMS]
        store.commit(staging, stage_index(staging, [*rootfs, *described]), ["base:1"])
    with store.stage() as staging:
        gathering = Gathering(store, staging, None, EventStream())
        gathering.inherit(store.use(staging, "base:1").containers, "linux/arm64")
        assert gathering.finish() == [described[1]]


def test_a_failure_ends_the_step(store: Store, tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_text("words, " * 300)
    seen: list[Event] = []
    events = EventStream()
    events.subscribe(seen.append)
    with store.stage() as staging:
        gathering = Gathering(store, staging, Request(tmp_path / "x.tar").request, events)
        gathering.look_through("linux/amd64", [], {}, lambda: DirectoryFiles(tmp_path))
        with pytest.raises(ImageError, match=r"x\.tar"):
            gathering.finish()
    assert [(event.step, event.state) for event in seen] == [
        ("build/images", State.STARTED),
        ("build/images", State.FAILED),
    ]
