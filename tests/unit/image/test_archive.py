from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from sealer.errors import ImageError, ImageNotFoundError
from sealer.image.archive import load, save
from sealer.image.files import RootfsFiles
from sealer.image.model import ClusterImage, Layer
from sealer.image.store import Store

Build = Callable[..., ClusterImage]
MakeLayer = Callable[..., Layer]


@pytest.fixture
def image(build_image: Build, context: Path) -> ClusterImage:
    (context / "a").write_text("a" * 5000)
    return build_image("FROM scratch\nCOPY a .\nCMD true", names=("app:v1", "other"))


@pytest.fixture
def archive(store: Store, image: ClusterImage, tmp_path: Path) -> Path:
    save(store, ["app:v1"], tmp_path / "x.tar")
    return tmp_path / "x.tar"


def blobs(store: Store) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in store.blobs.iterdir()}


def repack(source: Path, target: Path, change: Callable[[str, bytes], list[tuple[str, bytes]]]) -> Path:
    """Copy a tar, each member replaced by what `change` makes of its name and content."""
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        for member in old.getmembers():
            content = old.extractfile(member)
            assert content is not None
            for name, changed in change(member.name, content.read()):
                info = tarfile.TarInfo(name)
                info.size = len(changed)
                new.addfile(info, io.BytesIO(changed))
    return target


def test_there_and_back_every_byte_is_the_same(store: Store, image: ClusterImage, tmp_path: Path) -> None:
    save(store, ["app:v1", "other"], tmp_path / "x.tar")
    other = Store(tmp_path / "other")
    assert load(other, tmp_path / "x.tar") == (("app:v1", image.digest), ("other:latest", image.digest))
    assert blobs(other) == blobs(store)
    assert other.find("other").digest == image.digest
    save(other, ["other", "app:v1"], tmp_path / "y.tar")
    assert (tmp_path / "y.tar").read_bytes() == (tmp_path / "x.tar").read_bytes()
    assert not list(tmp_path.glob(".*partial"))


@pytest.mark.parametrize("compress", [gzip.compress])
def test_a_compressed_archive_is_read(archive: Path, tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    archive.write_bytes(compress(archive.read_bytes()))
    assert load(Store(tmp_path / "other"), archive)[0][0] == "app:v1"


def test_an_image_without_a_name(store: Store, image: ClusterImage, tmp_path: Path) -> None:
    def unname(name: str, content: bytes) -> list[tuple[str, bytes]]:
        if name == "index.json":
            index = json.loads(content)
            del index["manifests"][0]["annotations"]
            content = json.dumps(index).encode()
        return [(name, content)]

    save(store, [image.digest], tmp_path / "x.tar")
    other = Store(tmp_path / "other")
    assert load(other, repack(tmp_path / "x.tar", tmp_path / "y.tar", unname)) == (("", image.digest),)
    assert other.find(image.digest[7:19]).first.cmds == ("true",)


def test_saving_what_is_not_there_writes_nothing(store: Store, image: ClusterImage, tmp_path: Path) -> None:
    with pytest.raises(ImageNotFoundError):
        save(store, ["app:v1", "none"], tmp_path / "x.tar")
    assert not (tmp_path / "x.tar").exists()
    with pytest.raises(ImageError, match="could not be written"):
        save(store, ["app:v1"], tmp_path / "no" / "x.tar")


def test_a_damaged_blob_is_not_saved(store: Store, image: ClusterImage, tmp_path: Path) -> None:
    path = image.first.layers[0].path
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    (tmp_path / "x.tar").write_text("as before")
    with pytest.raises(ImageError, match="damaged"):
        save(store, ["app:v1"], tmp_path / "x.tar")
    assert (tmp_path / "x.tar").read_text() == "as before"


def drop(part: str) -> Callable[[str, bytes], list[tuple[str, bytes]]]:
    return lambda name, content: [] if name.startswith(part) else [(name, content)]


def flip(name: str, content: bytes) -> list[tuple[str, bytes]]:
    flipped = content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]
    return [(name, flipped if name.startswith("blobs") else content)]


def shorten(name: str, content: bytes) -> list[tuple[str, bytes]]:
    return [(name, content[:-1] if name.startswith("blobs") else content)]


def rewrite(**changes: object) -> Callable[[str, bytes], list[tuple[str, bytes]]]:
    """Change the entry in index.json."""

    def change(name: str, content: bytes) -> list[tuple[str, bytes]]:
        if name == "index.json":
            index = json.loads(content)
            index["manifests"][0].update(changes)
            content = json.dumps(index).encode()
        return [(name, content)]

    return change


BROKEN: dict[str, Callable[[str, bytes], list[tuple[str, bytes]]]] = {
    "no index": drop("index.json"),
    "no layout": drop("oci-layout"),
    "no blobs": drop("blobs"),
    "flipped bits": flip,
    "short blobs": shorten,
    "a file that does not belong": lambda name, content: [(name, content), ("etc/passwd", b"x")],
    "a climbing name": lambda name, content: [(name, content), ("blobs/../../x", b"x")],
    "an absolute name": lambda name, content: [(name, content), ("/tmp/x", b"x")],
    "every member twice": lambda name, content: [(name, content)] * 2,
    "a second index": lambda name, content: [(name, content)] * (2 if name == "index.json" else 1),
    "an index of the archive that is too large": lambda name, content: [
        (name, content + b" " * (16 * 1024 * 1024) if name == "index.json" else content)
    ],
    "an image that says it is larger than any document": rewrite(size=17 * 1024 * 1024),
    "a bad name": rewrite(annotations={"org.opencontainers.image.ref.name": "NO such"}),
    "a bad digest": rewrite(digest="sha256:../../x"),
    "a bad size": rewrite(size=-1),
    "another type": rewrite(mediaType="application/vnd.oci.image.manifest.v1+json"),
    "no JSON": lambda name, content: [(name, b"{" if name == "index.json" else content)],
    "deep JSON": lambda name, content: [(name, b"[" * 100_000 if name == "index.json" else content)],
    "no images": lambda name, content: [(name, b'{"manifests":[]}' if name == "index.json" else content)],
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_not_right_is_refused_and_leaves_the_store_as_it_was(name: str, archive: Path, tmp_path: Path) -> None:
    other = Store(tmp_path / "other")
    with pytest.raises(ImageError) as caught:
        load(other, repack(archive, tmp_path / "broken.tar", BROKEN[name]))
    assert caught.value.where == str(tmp_path / "broken.tar")
    assert caught.value.remedy
    assert other.list() == ()
    assert not list(other.blobs.iterdir())
    assert not list((other.root / "tmp").iterdir())


@pytest.mark.parametrize(
    "content", [b"", b"text", b"\x1f\x8b\x08garbage", b"BZhgarbage", b"\xfd7zXZ\0garbage", b"\0" * 5000]
)
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(ImageError):
        load(Store(tmp_path / "other"), tmp_path / "x")


def test_a_cut_off_archive_is_refused(archive: Path, tmp_path: Path) -> None:
    content = archive.read_bytes()
    other = Store(tmp_path / "other")
    for length in range(0, len(content.rstrip(b"\0")), 997):
        archive.write_bytes(content[:length])
        with pytest.raises(ImageError):
            load(other, archive)
    assert other.list() == ()


def test_links_and_devices_are_refused(archive: Path, tmp_path: Path) -> None:
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE):
        with tarfile.open(tmp_path / "x.tar", "w") as tar:
            info = tarfile.TarInfo("blobs")
            info.type, info.linkname = kind, "x"
            tar.addfile(info)
        with pytest.raises(ImageError):
            load(Store(tmp_path / "other"), tmp_path / "x.tar")


def reassembled(store: Store, image: ClusterImage, target: Path, layer: Layer, **index: object) -> Path:
    """An archive of the image with another layer: every digest is right.

    :param index: what is changed in the image's index.
    """
    documents = {digest: store.path(digest).read_text() for digest in (image.first.digest, image.digest)}
    old, new = image.first.layers[0], layer.path.read_bytes()
    made = {f"sha256:{name}": content for name, content in blobs(store).items()} | {layer.digest: new}
    manifest = json.loads(documents[image.first.digest])
    config = json.loads(store.path(manifest["config"]["digest"]).read_text())
    config["rootfs"]["diff_ids"] = [layer.diff_id]
    assert manifest["layers"][0]["digest"] == old.digest
    manifest["config"] |= described(config, made)
    manifest["layers"][0] |= {"digest": layer.digest, "size": len(new)}
    top = json.loads(documents[image.digest])
    top["manifests"][0] |= described(manifest, made)
    top |= index
    entry = {"mediaType": "application/vnd.oci.image.index.v1+json", **described(top, made)}
    parts = {
        "index.json": json.dumps({"manifests": [entry]}).encode(),
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        **{f"blobs/{digest.replace(':', '/')}": content for digest, content in made.items()},
    }
    with tarfile.open(target, "w") as tar:
        for name, content in parts.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return target


def described(document: object, made: dict[str, bytes]) -> dict[str, object]:
    """Digest and size of a document, which is put among the others."""
    content = json.dumps(document).encode()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    made[digest] = content
    return {"digest": digest, "size": len(content)}


def test_an_image_with_another_layer_is_loaded(
    store: Store, image: ClusterImage, make_layer: MakeLayer, tmp_path: Path
) -> None:
    other = Store(tmp_path / "other")
    (loaded,) = load(other, reassembled(store, image, tmp_path / "x.tar", make_layer("a=b")))
    assert RootfsFiles(other.find(loaded[1]).first).read("a") == b"b"


def test_a_hostile_layer_is_refused(store: Store, image: ClusterImage, make_layer: MakeLayer, tmp_path: Path) -> None:
    """Every digest is right; what is in the layer is not."""
    other = Store(tmp_path / "other")
    hostile = make_layer("a -> /etc", "a/passwd=x")
    said = r"x\.tar: a layer is refused: a in sha256:[0-9a-f]{64}: a link that leads out of the rootfs"
    with pytest.raises(ImageError, match=said):
        load(other, reassembled(store, image, tmp_path / "x.tar", hostile))
    assert other.list() == ()
    assert not list(other.blobs.iterdir())


def test_a_layer_that_is_another_than_the_config_says_is_refused(
    store: Store, image: ClusterImage, make_layer: MakeLayer, tmp_path: Path
) -> None:
    wrong = dataclasses.replace(make_layer("a=b"), diff_id=image.first.layers[0].diff_id)
    with pytest.raises(ImageError, match=r"x\.tar: a layer is not what the config says"):
        load(Store(tmp_path / "other"), reassembled(store, image, tmp_path / "x.tar", wrong))


def test_an_index_within_the_index_is_refused(
    store: Store, image: ClusterImage, make_layer: MakeLayer, tmp_path: Path
) -> None:
    own = json.loads(store.path(image.digest).read_text())
    nested = {"mediaType": own["mediaType"], "digest": image.digest, "size": store.path(image.digest).stat().st_size}
    archive = reassembled(store, image, tmp_path / "x.tar", make_layer("a=b"), manifests=[*own["manifests"], nested])
    with pytest.raises(ImageError, match="an index within the index"):
        load(Store(tmp_path / "other"), archive)
