"""`sealer load` of images that sealer did not build, as `docker save` and others write them."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from image_archives import docker_members, layer, oci_image, oci_members, sha256, write_tar

from sealer.errors import ImageError
from sealer.image.archive import load, save
from sealer.image.files import RootfsFiles
from sealer.image.model import ClusterImage
from sealer.image.store import Store

Build = Callable[..., ClusterImage]
LAYERS = [layer("below"), layer("above")]


def test_each_image_becomes_a_cluster_image(store: Store, tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "x.tar", docker_members(["web:1", "r.io/web:2"], LAYERS))
    loaded = load(store, archive)
    assert [name for name, _ in loaded] == ["web:1", "r.io/web:2"]
    image = store.find("web:1")
    assert {digest for _, digest in loaded} == {image.digest}
    assert image.first.platform == "linux/amd64"
    assert RootfsFiles(image.first).read("file") == b"above"
    assert image.containers == ()


def test_it_is_a_base(store: Store, build_image: Build, tmp_path: Path, context: Path) -> None:
    load(store, write_tar(tmp_path / "x.tar", docker_members(["web:1"], LAYERS)))
    (context / "a").write_text("a")
    image = build_image("FROM web:1\nCOPY a .\n", platform="linux/amd64")
    assert RootfsFiles(image.first).paths() == ["a", "file"]


def test_the_form_with_an_index(store: Store, tmp_path: Path) -> None:
    """As Docker writes it since 25, with and without its file `repositories`."""
    image = oci_image("web")
    manifest = json.loads(image.blobs[image.root[7:]])
    entry = {
        "Config": f"blobs/sha256/{manifest['config']['digest'][7:]}",
        "RepoTags": ["web:1"],
        "Layers": [f"blobs/sha256/{one['digest'][7:]}" for one in manifest["layers"]],
    }
    beside = ("manifest.json", json.dumps([entry]).encode())
    digests = set()
    for extra in ([beside], [beside, ("repositories", b"{}")]):
        ((name, digest),) = load(store, write_tar(tmp_path / "x.tar", oci_members([(image, {})], extra)))
        assert name == "web:1"
        digests.add(digest)
    assert len(digests) == 1
    assert RootfsFiles(store.find("web:1").first).read("file") == b"web for amd64"


def test_what_is_loaded_can_be_saved_and_loaded(store: Store, tmp_path: Path) -> None:
    loaded = load(store, write_tar(tmp_path / "x.tar", docker_members(["web:1"], LAYERS)))
    save(store, ["web:1"], tmp_path / "y.tar")
    assert load(Store(tmp_path / "other"), tmp_path / "y.tar") == loaded


def test_what_no_layer_may_hold_is_refused(store: Store, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "layer", "w") as tar:
        info = tarfile.TarInfo("dev/null")
        info.type = tarfile.CHRTYPE
        tar.addfile(info)
    archive = write_tar(tmp_path / "x.tar", docker_members(["web:1"], [(tmp_path / "layer").read_bytes()]))
    with pytest.raises(ImageError, match="a character device") as caught:
        load(store, archive)
    assert caught.value.where == str(archive)
    assert store.list() == ()
    assert not list(store.blobs.iterdir())


def test_an_oci_archive_of_any_image(store: Store, tmp_path: Path, build_image: Build) -> None:
    both = oci_image("web", ["amd64", "arm64"])
    archive = write_tar(tmp_path / "x.tar", oci_members([(both, {"org.opencontainers.image.ref.name": "web:1"})]))
    ((name, digest),) = load(store, archive)
    assert name == "web:1"
    image = store.find("web:1")
    assert image.digest == digest
    assert {rootfs.platform: rootfs.digest for rootfs in image.rootfs} == {
        f"linux/{architecture}": manifest for architecture, manifest in both.manifests.items()
    }
    built = build_image("FROM web:1", platform="linux/arm64")
    assert RootfsFiles(built.first).read("file") == b"web for arm64"
    assert both.root[7:] not in {path.name for path in store.blobs.iterdir()}


def test_links_lead_where_they_lead_in_a_container(store: Store, tmp_path: Path, build_image: Build) -> None:
    with tarfile.open(tmp_path / "layer", "w") as tar:
        for path, target in [("bin/sh", "/bin/busybox"), ("a/b/c", "../../../../x"), ("top", "/"), ("etc", "usr/etc")]:
            info = tarfile.TarInfo(path)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
        info = tarfile.TarInfo("etc/link")  # it lies in usr/etc
        info.type, info.linkname = tarfile.SYMTYPE, "/usr/etc/file"
        tar.addfile(info)
    layers = [(tmp_path / "layer").read_bytes(), LAYERS[0]]
    load(store, write_tar(tmp_path / "x.tar", docker_members(["web:1"], layers)))
    tree = RootfsFiles(build_image("FROM web:1").first).tree
    found = {path: tree.readlink(path) for path in ("bin/sh", "a/b/c", "top", "etc", "usr/etc/link")}
    assert found == {"bin/sh": "busybox", "a/b/c": "../../x", "top": ".", "etc": "usr/etc", "usr/etc/link": "file"}
    (kept,) = {layer.digest for layer in store.find("web:1").first.layers} & {
        f"sha256:{path.name}" for path in store.blobs.iterdir()
    } - {store.find("web:1").first.layers[0].digest}
    assert kept  # the layer without links is as it was


def test_an_image_for_windows_alone(store: Store, tmp_path: Path) -> None:
    members = docker_members(["web:1"], [LAYERS[0]])
    changed = [
        (name, content.replace(b'"linux"', b'"windows"') if isinstance(content, bytes) else content)
        for name, content in members
    ]
    with pytest.raises(ImageError, match="an image of the archive has nothing for Linux"):
        load(store, write_tar(tmp_path / "x.tar", changed))
    assert store.list() == ()


def test_a_config_without_a_platform(store: Store, tmp_path: Path) -> None:
    config = json.dumps({"rootfs": {"diff_ids": [f"sha256:{sha256(LAYERS[0])}"]}}).encode()
    entry = {"Config": "c.json", "RepoTags": None, "Layers": ["l"]}
    members = [("c.json", config), ("l", LAYERS[0]), ("manifest.json", json.dumps([entry]).encode())]
    with pytest.raises(ImageError, match="names no platform"):
        load(store, write_tar(tmp_path / "x.tar", members))
    members[2] = ("manifest.json", b"[]")
    with pytest.raises(ImageError, match="holds no image"):
        load(store, write_tar(tmp_path / "x.tar", members))
