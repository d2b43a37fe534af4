"""`load` of OCI archives and layouts that have no cluster images, as skopeo, buildah and podman write them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from image_archives import OciImage, config, layer, oci_image, oci_members, sha256, write_directory, write_tar
from sample_images import skopeo

from sealer.errors import ImageError
from sealer.image import compressed
from sealer.image.archive import load, save
from sealer.image.files import RootfsFiles
from sealer.image.gathering.archives import ImageArchives
from sealer.image.model import ClusterImage
from sealer.image.oci import INDEX, MANIFEST
from sealer.image.store import Store

NAMED = {"org.opencontainers.image.ref.name": "web:1"}
LAYER = "application/vnd.oci.image.layer.v1.tar"
Build = Callable[..., ClusterImage]


@pytest.mark.parametrize("write", [write_tar, write_directory])
def test_each_image_becomes_a_cluster_image(store: Store, tmp_path: Path, write: Callable[..., Path]) -> None:
    """Byte for byte: its manifest is that of the rootfs."""
    one, both = oci_image("one"), oci_image("both", ["amd64", "arm64"])
    archive = write(tmp_path / "x", oci_members([(one, NAMED), (both, {"io.containerd.image.name": "r.io/both:2"})]))
    loaded = load(store, archive)
    assert [name for name, _ in loaded] == ["web:1", "r.io/both:2"]
    assert [rootfs.digest for rootfs in store.find("web:1").rootfs] == [one.root]
    assert [(rootfs.platform, rootfs.digest) for rootfs in store.find("r.io/both:2").rootfs] == [
        ("linux/amd64", both.manifests["amd64"]),
        ("linux/arm64", both.manifests["arm64"]),
    ]
    assert RootfsFiles(store.find("web:1").first).read("file") == b"one for amd64"
    assert load(store, archive) == loaded


def test_it_is_a_base(store: Store, build_image: Build, tmp_path: Path, context: Path) -> None:
    load(store, write_tar(tmp_path / "x.tar", oci_members([(oci_image("web"), NAMED)])))
    (context / "a").write_text("a")
    image = build_image("FROM web:1\nCOPY a .")
    assert RootfsFiles(image.first).paths() == ["a", "file"]


@pytest.mark.parametrize("names", [{}, {"org.opencontainers.image.ref.name": "No Such"}])
def test_without_a_usable_name_it_is_found_by_its_digest(store: Store, tmp_path: Path, names: dict[str, str]) -> None:
    ((name, digest),) = load(store, write_tar(tmp_path / "x.tar", oci_members([(oci_image("web"), names)])))
    assert name == ""
    assert store.find(digest[7:19]).digest == digest


def with_layer(content: bytes, kind: str, plain: bytes) -> OciImage:
    blobs: dict[str, bytes] = {}

    def blob(content: bytes, kind: str) -> dict[str, object]:
        blobs[sha256(content)] = content
        return {"mediaType": kind, "digest": f"sha256:{sha256(content)}", "size": len(content)}

    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": blob(config([plain]), "application/vnd.oci.image.config.v1+json"),
        "layers": [blob(content, kind)],
    }
    entry = blob(json.dumps(document).encode(), MANIFEST)
    return OciImage(str(entry["digest"]), {}, blobs, entry)


@pytest.mark.parametrize("kind", [LAYER, f"{LAYER}+zstd"])
def test_layers_that_are_not_gzipped_are_made_so(store: Store, tmp_path: Path, kind: str) -> None:
    plain = layer("a")
    content = compressed._zstd().compress(plain) if kind.endswith("zstd") else plain
    image = with_layer(content, kind, plain)
    (_, digest), = load(store, write_tar(tmp_path / "x.tar", oci_members([(image, NAMED)])))  # fmt: skip
    found = store.find("web:1")
    assert RootfsFiles(found.first).read("file") == b"a"
    entry = json.loads(store.path(digest).read_bytes())["manifests"][0]
    assert entry["annotations"] == {"io.sealer.image.converted": "image"}


def test_a_layer_that_is_another_than_the_config_says(store: Store, tmp_path: Path) -> None:
    for kind in (LAYER, f"{LAYER}+zstd", f"{LAYER}+gzip"):
        wrong = with_layer(layer("a"), kind, layer("b"))
        with pytest.raises(ImageError):
            load(store, write_tar(tmp_path / "x.tar", oci_members([(wrong, NAMED)])))
    assert not store.list()
    assert not list(store.blobs.iterdir())


@pytest.mark.parametrize("blob", [*oci_image("web", indexed=True).blobs])
@pytest.mark.parametrize("wrong", ["missing", "flipped", "longer"])
def test_every_blob_is_checked(store: Store, tmp_path: Path, blob: str, wrong: str) -> None:
    image = oci_image("web", indexed=True)
    content = image.blobs[blob]
    changed = {"flipped": content[:-1] + bytes([content[-1] ^ 1]), "longer": content + b" "}.get(wrong)
    members = [
        (name, changed if name.endswith(blob) and changed else old)
        for name, old in oci_members([(image, NAMED)])
        if not (name.endswith(blob) and changed is None)
    ]
    for write in (write_tar, write_directory):
        with pytest.raises(ImageError) as caught:
            load(store, write(tmp_path / write.__name__, members))
        assert caught.value.where == str(tmp_path / write.__name__)
        assert caught.value.remedy
    assert not list(store.blobs.iterdir())
    assert not list((store.root / "tmp").iterdir())


def indexed(*entries: dict[str, object], blobs: dict[str, bytes], size: int = 0) -> OciImage:
    """An index of those, with spaces behind it until it has so many bytes."""
    content = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": list(entries)}).encode().ljust(size)
    entry = {"mediaType": INDEX, "digest": f"sha256:{sha256(content)}", "size": len(content)}
    return OciImage(str(entry["digest"]), {}, {**blobs, sha256(content): content}, entry)


@pytest.mark.parametrize("read", ["load", "image-archive"])
def test_hostile_indexes(store: Store, tmp_path: Path, read: str) -> None:
    """Too large, within itself (with a digest that is not its own: there is no other way), and too deep."""
    web = oci_image("web")
    entry = {**web.entry, "platform": {"os": "linux", "architecture": "amd64"}}
    large = indexed(entry, blobs=dict(web.blobs), size=5 * 1024 * 1024)
    own = {"mediaType": INDEX, "digest": "sha256:" + "0" * 64, "size": 400}
    cyclic = indexed(own, blobs={}, size=400)
    cyclic = OciImage(cyclic.root, {}, {**cyclic.blobs, "0" * 64: cyclic.blobs[cyclic.root[7:]]}, cyclic.entry)
    deep = indexed(entry, blobs=dict(web.blobs))
    for _ in range(3):
        deep = indexed(dict(deep.entry), blobs=dict(deep.blobs))
    for number, (image, said) in enumerate(
        ((large, "too large"), (cyclic, "is not what it should be"), (deep, "too deep in other indexes"))
    ):
        archive = write_tar(tmp_path / f"{number}.tar", oci_members([(image, NAMED)]))
        with pytest.raises(ImageError, match=said) as caught:
            if read == "load":
                load(store, archive)
            else:
                with store.stage() as staging:
                    ImageArchives([archive], staging, lambda message: None).find(
                        "docker.io/library/web:1", "linux/amd64"
                    )
        assert caught.value.where == str(archive)
    assert not list(store.blobs.iterdir())


def test_attestations_are_no_platform(store: Store, tmp_path: Path) -> None:
    """BuildKit puts one beside each image."""
    image = oci_image("web", indexed=True)
    index = json.loads(image.blobs[image.root[7:]])
    unknown = {**index["manifests"][0], "platform": {"os": "unknown", "architecture": "unknown"}}
    content = json.dumps({**index, "manifests": [*index["manifests"], unknown]}).encode()
    entry = {"mediaType": INDEX, "digest": f"sha256:{sha256(content)}", "size": len(content)}
    both = OciImage(str(entry["digest"]), {}, {**image.blobs, sha256(content): content}, entry)
    load(store, write_tar(tmp_path / "x.tar", oci_members([(both, NAMED)])))
    assert [rootfs.platform for rootfs in store.find("web:1").rootfs] == ["linux/amd64"]


def test_nothing_is_read_beside_a_layout(store: Store, tmp_path: Path) -> None:
    """Neither by a climbing name in a document, nor by way of a link."""
    (tmp_path / "secret").write_bytes(layer("secret"))
    settings = config([layer("secret")])
    for name in ("../secret", str(tmp_path / "secret"), "link/secret", "direct"):
        entry = {"Config": "c.json", "RepoTags": ["web:1"], "Layers": [name]}
        source = write_directory(
            tmp_path / "x", [("c.json", settings), ("manifest.json", json.dumps([entry]).encode())]
        )
        for link, target in (("link", ".."), ("direct", "../secret")):
            (source / link).symlink_to(target)
        with pytest.raises(ImageError):
            load(store, source)
        shutil.rmtree(source)
    assert not store.list()


needs_skopeo = pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed (apt-get install skopeo)")


@needs_skopeo
@pytest.mark.parametrize("form", ["oci-archive", "oci", "docker-archive"])
def test_what_skopeo_writes(store: Store, tmp_path: Path, form: str) -> None:
    source = write_directory(tmp_path / "source", oci_members([(oci_image("web"), NAMED)]))
    name = "docker.io/library/web:1"
    skopeo("copy", f"oci:{source}:web:1", f"{form}:{tmp_path / 'x'}:{name}")
    assert [loaded for loaded, _ in load(store, tmp_path / "x")] == [name]
    assert RootfsFiles(store.find(name).first).read("file") == b"web for amd64"


@needs_skopeo
def test_a_copy_of_skopeo_without_a_name(store: Store, build_image: Build, context: Path, tmp_path: Path) -> None:
    """Also of a cluster image: it is the same one."""
    (context / "a").write_text("a")
    image = build_image("FROM scratch\nCOPY a .")
    save(store, ["app:v1"], tmp_path / "oci", "oci-dir")
    skopeo("copy", "--all", "--preserve-digests", f"oci:{tmp_path / 'oci'}:app:v1", f"oci-archive:{tmp_path / 'x.tar'}")
    other = Store(tmp_path / "other")
    assert load(other, tmp_path / "x.tar") == (("", image.digest),)


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("buildah"), reason="it needs root and buildah")
def test_what_buildah_writes(store: Store, tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(tmp_path)}
    root = ("--root", str(tmp_path / "root"), "--runroot", str(tmp_path / "run"), "--storage-driver", "vfs")

    def buildah(*arguments: str) -> str:
        command = ["buildah", *root, *arguments]
        result = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    (tmp_path / "a").write_text("a")
    container = buildah("from", "scratch")
    try:
        buildah("copy", container, str(tmp_path / "a"), "/a")
        buildah("commit", container, "web:1")
        for form in ("oci-archive", "docker-archive"):
            buildah("push", "web:1", f"{form}:{tmp_path / form}:docker.io/library/{form}:1")
            load(store, tmp_path / form)
            assert RootfsFiles(store.find(f"docker.io/library/{form}:1").first).read("a") == b"a"
    finally:
        buildah("rm", container)
