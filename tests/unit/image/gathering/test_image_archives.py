"""Container images from archives, in every form that programs write."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from image_archives import (
    Member,
    OciImage,
    config,
    docker_members,
    layer,
    oci_image,
    oci_members,
    sha256,
    write_directory,
    write_tar,
)
from sample_images import skopeo

from sealer.errors import ImageError, InputError
from sealer.image.gathering.archives import ImageArchives
from sealer.image.model import ContainerImage
from sealer.image.oci import DOCKER_MANIFEST, INDEX, MANIFEST
from sealer.image.store import Store

WEB = "docker.io/library/web:1"
NAMED = {"org.opencontainers.image.ref.name": "web:1"}
LAYERS = [layer("one"), layer("two"), layer("one")]


class Finder:
    """Looks for an image in archives; what was staged is kept as bytes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.staged: dict[str, bytes] = {}
        self.warnings: list[str] = []

    def __call__(self, *paths: Path, name: str = WEB, platform: str = "linux/amd64") -> ContainerImage | None:
        with self._store.stage() as staging:
            found = ImageArchives(paths, staging, self.warnings.append).find(name, platform)
            self.staged = {path.name: path.read_bytes() for path in staging.blobs.iterdir()}
        return found

    def document(self, digest: str) -> dict[str, object]:
        value = json.loads(self.staged[digest.removeprefix("sha256:")])
        assert isinstance(value, dict)
        return value


@pytest.fixture
def find(store: Store) -> Finder:
    return Finder(store)


def test_an_archive_of_docker(find: Finder, tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "x.tar", docker_members(["web:1", "r.io/other:2"], LAYERS))
    found = find(archive)
    assert found
    assert (found.reference, found.platform, found.converted, found.index) == (
        WEB,
        "linux/amd64",
        "docker-archive",
        None,
    )
    assert found.manifest.media_type == DOCKER_MANIFEST
    document = find.document(found.manifest.digest)
    parts = document["layers"]
    assert isinstance(parts, list)
    assert [gzip.decompress(find.staged[part["digest"][7:]]) for part in parts] == LAYERS
    assert document["config"]["digest"] == f"sha256:{sha256(config(LAYERS))}"  # type: ignore[index]
    assert find.staged[sha256(config(LAYERS))] == config(LAYERS)
    again = find(archive, name="r.io/other:2")
    assert again
    assert again.manifest == found.manifest


def test_a_zipped_layer_stays_as_it_is(find: Finder, tmp_path: Path) -> None:
    found = find(write_tar(tmp_path / "x.tar", docker_members(["web:1"], LAYERS, zipped=True)))
    assert found
    assert gzip.compress(LAYERS[0], mtime=0) in find.staged.values()


def test_what_docker_writes_since_25_is_read_as_oci(find: Finder, tmp_path: Path) -> None:
    image = oci_image("web")
    names = {"io.containerd.image.name": "docker.io/library/web:1", "org.opencontainers.image.ref.name": "1"}
    beside = json.dumps([{"Config": "blobs/sha256/" + "0" * 64, "RepoTags": ["web:1"], "Layers": []}]).encode()
    members = oci_members([(image, names)], [("manifest.json", beside)])
    found = find(write_tar(tmp_path / "x.tar", members))
    assert found
    assert (found.manifest.digest, found.converted) == (image.root, "")
    assert set(find.staged) == set(image.blobs)


def test_names_beside_an_index(find: Finder, tmp_path: Path) -> None:
    image = oci_image("web")
    settings = next(name for name, content in image.blobs.items() if content.startswith(b'{\n "arch'))
    beside = json.dumps([{"Config": f"blobs/sha256/{settings}", "RepoTags": ["web:1"], "Layers": []}]).encode()
    found = find(write_tar(tmp_path / "x.tar", oci_members([(image, {})], [("manifest.json", beside)])))
    assert found
    assert found.manifest.digest == image.root


@pytest.mark.parametrize("write", [write_tar, write_directory])
def test_an_oci_archive_or_layout(find: Finder, tmp_path: Path, write: Callable[..., Path]) -> None:
    image = oci_image("web", ["amd64", "arm64"])
    archive = write(tmp_path / "x", oci_members([(oci_image("other"), {}), (image, NAMED)]))
    found = find(archive, platform="linux/arm64")
    assert found
    assert (found.manifest.digest, found.manifest.media_type) == (image.manifests["arm64"], MANIFEST)
    assert found.index is None
    assert image.root.removeprefix("sha256:") not in find.staged
    assert len(find.staged) == 3
    assert find(archive, platform="linux/s390x") is None


def test_by_the_digest_of_an_index(find: Finder, tmp_path: Path) -> None:
    image = oci_image("web", ["amd64", "arm64"])
    archive = write_tar(tmp_path / "x.tar", oci_members([(image, {})]))
    found = find(archive, name=f"r.io/web:7@{image.root}")
    assert found
    assert found.index
    assert (found.index.digest, found.index.media_type) == (image.root, INDEX)
    assert found.manifest.digest == image.manifests["amd64"]
    assert find.staged[image.root[7:]] == image.blobs[image.root[7:]]


def wrapped(image: OciImage, entries: list[dict[str, object]]) -> OciImage:
    """The image with one more index around it."""
    content = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
    entry = {"mediaType": INDEX, "digest": f"sha256:{sha256(content)}", "size": len(content)}
    return OciImage(str(entry["digest"]), image.manifests, {**image.blobs, sha256(content): content}, entry)


def test_indexes_within_a_pinned_index_are_kept(find: Finder, tmp_path: Path) -> None:
    innermost = oci_image("web", ["amd64", "arm64"])
    middle = wrapped(innermost, [dict(innermost.entry)])
    outer = wrapped(middle, [dict(middle.entry), dict(innermost.entry)])
    archive = write_tar(tmp_path / "x.tar", oci_members([(outer, NAMED)]))
    found = find(archive, name=f"r.io/web@{outer.root}")
    assert found
    assert [index.digest for index in found.indexes] == [innermost.root, middle.root, outer.root]
    assert {digest: outer.blobs[digest] for digest in (one.root[7:] for one in (innermost, middle, outer))}.items() <= (
        find.staged.items()
    )
    by_name = find(archive)
    assert by_name
    assert by_name.indexes == ()
    assert not {one.root[7:] for one in (innermost, middle, outer)} & set(find.staged)


def test_an_index_with_too_many_indexes_is_refused(find: Finder, tmp_path: Path) -> None:
    image = oci_image("web", indexed=True)
    entries = [dict(image.entry)]
    for number in range(100):
        image = OciImage(image.root, image.manifests, wrapped(image, [{**entries[0], "urls": [number]}]).blobs, {})
        content = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [{**entries[0], "urls": [number]}]})
        entries.append({"mediaType": INDEX, "digest": f"sha256:{sha256(content.encode())}", "size": len(content)})
    many = wrapped(image, entries)
    with pytest.raises(ImageError, match="too many indexes in it"):
        find(write_tar(tmp_path / "x.tar", oci_members([(many, NAMED)])))


def test_by_the_digest_of_a_manifest_within_an_index(find: Finder, tmp_path: Path) -> None:
    image = oci_image("web", ["amd64", "arm64"])
    archive = write_tar(tmp_path / "x.tar", oci_members([(image, {})]))
    found = find(archive, name=f"r.io/web@{image.manifests['amd64']}")
    assert found
    assert (found.manifest.digest, found.index) == (image.manifests["amd64"], None)
    assert find(archive, name=f"r.io/web@{image.manifests['amd64']}", platform="linux/arm64") is None


def test_a_docker_archive_has_no_digests(find: Finder, tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "x.tar", docker_members(["web:1"], LAYERS))
    assert find(archive, name=f"{WEB}@sha256:{'0' * 64}") is None


def test_an_index_of_which_the_archive_has_a_part(find: Finder, tmp_path: Path) -> None:
    image = oci_image("web", ["amd64", "arm64"])
    members = [member for member in oci_members([(image, NAMED)]) if image.manifests["arm64"][7:] not in member[0]]
    archive = write_tar(tmp_path / "x.tar", members)
    assert find(archive)
    assert find(archive, platform="linux/arm64") is None


@pytest.mark.parametrize("architecture", ["arm64", "amd64"])
def test_another_platform_is_another_image(find: Finder, tmp_path: Path, architecture: str) -> None:
    docker = write_tar(tmp_path / "d.tar", docker_members(["web:1"], LAYERS, architecture=architecture))
    oci = write_tar(tmp_path / "o.tar", oci_members([(oci_image("web", [architecture]), NAMED)]))
    for archive in (docker, oci):
        assert (find(archive) is not None) == (architecture == "amd64")


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_a_compressed_archive(find: Finder, tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    plain = write_tar(tmp_path / "x.tar", docker_members(["web:1"], LAYERS))
    (tmp_path / "x.tar.z").write_bytes(compress(plain.read_bytes()))
    one, other = find(plain), find(tmp_path / "x.tar.z")
    assert one
    assert one == other


def test_a_folder_of_archives_and_layouts(find: Finder, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "README").write_text("not an archive")
    write_tar(folder / "a.tar", docker_members(["db:1"], LAYERS))
    write_directory(folder / "b", oci_members([(oci_image("web"), NAMED)]))
    (folder / "c.tgz").write_bytes(
        gzip.compress(write_tar(tmp_path / "c", docker_members(["x:1"], LAYERS)).read_bytes())
    )
    for name in ("db", "web", "x"):
        assert find(folder, name=f"docker.io/library/{name}:1")
    assert find(folder, name="docker.io/library/none:1") is None
    assert find.warnings[0] == f"{folder / 'README'}: it is no image archive, and is passed over"


def test_the_first_archive_counts(find: Finder, tmp_path: Path) -> None:
    first = write_tar(tmp_path / "1.tar", oci_members([(oci_image("web one"), NAMED)]))
    second = write_tar(tmp_path / "2.tar", oci_members([(oci_image("web two"), NAMED)]))
    one, other = find(first, second), find(second, first)
    assert one
    assert other
    assert one.manifest != other.manifest


@pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed (apt-get install skopeo)")
@pytest.mark.parametrize("form", ["docker-archive", "oci-archive", "oci"])
def test_what_skopeo_writes(find: Finder, tmp_path: Path, form: str) -> None:
    image = oci_image("web")
    source = write_directory(tmp_path / "source", oci_members([(image, NAMED)]))
    name = "docker.io/library/web:1" if form == "docker-archive" else "web:1"
    skopeo("copy", "--preserve-digests" if form != "docker-archive" else "--all",
           f"oci:{source}:web:1", f"{form}:{tmp_path / 'x'}:{name}")  # fmt: skip
    found = find(tmp_path / "x")
    assert found
    assert found.converted == ("docker-archive" if form == "docker-archive" else "")
    if not found.converted:
        assert found.manifest.digest == image.root
    copied = write_directory(tmp_path / "copied", [
        *((f"blobs/sha256/{name}", content) for name, content in find.staged.items()),
        ("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'),
        ("index.json", json.dumps({"schemaVersion": 2, "manifests": [found.manifest.as_json()]}).encode()),
    ])  # fmt: skip
    skopeo("copy", f"oci:{copied}", f"dir:{tmp_path / 'unpacked'}")  # checks every digest and diff id


# What must not get in


def docker(*change: Member, without: str = "") -> list[Member]:
    kept = [member for member in docker_members(["web:1"], LAYERS) if not without or without not in member[0]]
    names = {name for name, _ in change}
    return [*(member for member in kept if member[0] not in names), *change]


def manifest(**changed: object) -> Member:
    entry = {"Config": f"{sha256(config(LAYERS))}.json", "RepoTags": ["web:1"], "Layers": [], **changed}
    return ("manifest.json", json.dumps([entry]).encode())


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (docker(("../x", b"")), "a path with '..'"),
        (docker(("/x", b"")), "an absolute path"),
        (docker(("x", "/etc/passwd")), "a link that leads out"),
        (docker(("x", "../../etc/passwd")), "a link that leads out"),
        (docker(("a", "b"), ("b", "a"), manifest(Layers=["a"])), "links without an end"),
        ([*docker(), ("manifest.json", b"[]")], "a second member of that name"),
        (docker(manifest(Layers=["../../etc/passwd"])), "this layer is missing"),
        (docker(manifest(Config="/etc/passwd")), "this config is missing"),
        (docker(manifest(Layers=[])), "not what the config says"),
        (docker((f"{1:064x}/layer.tar", layer("another"))), "not what the config says"),
        (docker((f"{1:064x}/layer.tar", b"\x1f\x8bno gzip at all")), "cannot be read"),
        (docker(without="layer.tar"), "this layer is missing"),
        (docker((f"{sha256(config(LAYERS))}.json", b"[1]")), "not a JSON object"),
        (docker(("manifest.json", b"{}")), "no list of images"),
        (docker(("manifest.json", b"[" * 100_000)), "not a JSON document"),
        (docker(("manifest.json", b"[1]")), "no list of images"),
        (docker(without="manifest.json"), "neither index.json and oci-layout nor manifest.json"),
        ([], "neither index.json"),
    ],
)
def test_a_hostile_docker_archive(find: Finder, tmp_path: Path, members: list[Member], message: str) -> None:
    archive = write_tar(tmp_path / "x.tar", members)
    with pytest.raises(ImageError, match=message) as caught:
        find(archive)
    assert caught.value.where == str(archive)


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE])
def test_devices_and_sparse_files_are_refused(find: Finder, tmp_path: Path, kind: bytes) -> None:
    archive = write_tar(tmp_path / "x.tar", docker())
    with tarfile.open(archive, "a") as tar:
        info = tarfile.TarInfo("x")
        info.type = kind
        tar.addfile(info)
    with pytest.raises(ImageError, match="refused"):
        find(archive)


IMAGE = oci_image("web")


@pytest.mark.parametrize("blob", sorted(IMAGE.blobs))
@pytest.mark.parametrize("wrong", ["flipped", "cut"])
def test_every_blob_of_a_layout_is_checked(find: Finder, tmp_path: Path, blob: str, wrong: str) -> None:
    content = IMAGE.blobs[blob]
    bad = content[:-1] + (bytes([content[-1] ^ 1]) if wrong == "flipped" else b"")
    members = [(path, bad if path.endswith(blob) else old) for path, old in oci_members([(IMAGE, NAMED)])]
    with pytest.raises(ImageError, match="is not what it should be"):
        find(write_tar(tmp_path / "x.tar", members))
    assert blob not in find.staged


@pytest.mark.parametrize("blob", sorted(IMAGE.blobs))
def test_a_layout_that_lacks_a_blob_does_not_have_the_image(find: Finder, tmp_path: Path, blob: str) -> None:
    members = [member for member in oci_members([(IMAGE, NAMED)]) if not member[0].endswith(blob)]
    assert find(write_tar(tmp_path / "x.tar", members)) is None


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (b"[]", "not a JSON object"),
        (b'{"manifests": [{"digest": "sha256:../../x", "size": 1}]}', "no usable digest"),
        (b'{"manifests": [{"digest": "' + b"x" * 17_000_000 + b'"}]}', "too large"),
    ],
)
def test_a_hostile_index(find: Finder, tmp_path: Path, index: bytes, message: str) -> None:
    members = [(path, index if path == "index.json" else old) for path, old in oci_members([(IMAGE, NAMED)])]
    with pytest.raises(ImageError, match=message):
        find(write_tar(tmp_path / "x.tar", members))


def test_indexes_in_indexes_end(find: Finder, tmp_path: Path) -> None:
    image = oci_image("web", indexed=True)
    blobs, inner = dict(image.blobs), dict(image.entry)
    for _ in range(4):
        content = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [inner]}).encode()
        blobs[sha256(content)] = content
        inner = {"mediaType": INDEX, "digest": f"sha256:{sha256(content)}", "size": len(content)}
    deep = OciImage(str(inner["digest"]), {}, blobs, inner)
    with pytest.raises(ImageError, match="too deep in other indexes"):
        find(write_tar(tmp_path / "x.tar", oci_members([(deep, NAMED)])))


def test_symlinks_of_a_layout_are_no_blobs(find: Finder, tmp_path: Path) -> None:
    source = write_directory(tmp_path / "x", oci_members([(IMAGE, NAMED)]))
    blob = source / "blobs/sha256" / IMAGE.root[7:]
    blob.rename(tmp_path / "outside")
    blob.symlink_to(tmp_path / "outside")
    assert find(source) is None


def test_a_cut_archive(find: Finder, tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "x.tar", docker_members(["web:1"], LAYERS))
    whole = archive.read_bytes()
    for length in (700, 3 * 512 + 10, len(whole) // 2):
        archive.write_bytes(whole[:length])
        with pytest.raises(ImageError):
            find(archive)


def test_what_is_no_archive(find: Finder, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("words, " * 300)
    with pytest.raises(ImageError, match="not a tar archive"):
        find(tmp_path / "x")
    with pytest.raises(InputError, match="no such image archive"):
        find(tmp_path / "none")


def test_the_names_that_archives_have(store: Store, tmp_path: Path) -> None:
    write_tar(tmp_path / "docker.tar", docker_members(["web:1", "quay.io/a/b:2"], LAYERS))
    write_tar(tmp_path / "oci.tar", oci_members([(oci_image("c"), {"org.opencontainers.image.ref.name": "c.io/d:3"})]))
    with store.stage() as staging:
        names = ImageArchives([tmp_path], staging, lambda text: None).references
    assert names == {WEB, "quay.io/a/b:2", "c.io/d:3"}
