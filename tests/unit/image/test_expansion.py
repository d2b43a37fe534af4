"""A few bytes that unpack to very many end in an error, early, wherever they are read."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from image_archives import docker_members, layer, write_tar
from small_disk import MIB, needs_root, small_disk

from sealer.errors import ImageError
from sealer.image import compressed, expansion
from sealer.image.archive import load
from sealer.image.files import lay_over
from sealer.image.gathering.archives import ImageArchives
from sealer.image.model import ClusterImage, Layer
from sealer.image.store import Store
from sealer.image.tarstream import BLOCK
from sealer.image.unpack import Unpacked

COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": compressed._zstd().compress,
}
MakeLayer = Callable[..., Layer]
Build = Callable[..., ClusterImage]


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def archive_of(name: str, size: int) -> bytes:
    """A tar with one file of so many zeros."""
    return header(name, size) + bytes(size + -size % BLOCK + 2 * BLOCK)


def plain(content: bytes, path: Path) -> Path:
    path.write_bytes(content)
    return path


@pytest.fixture
def small_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expansion, "ALWAYS", 8 * MIB)


def refuse(store: Store, archive: Path, said: str) -> None:
    """Neither loaded nor taken as an archive of container images; nothing of it stays."""
    with pytest.raises(ImageError, match=said) as caught:
        load(store, archive)
    assert caught.value.where == str(archive)
    assert caught.value.remedy
    with store.stage() as staging, pytest.raises(ImageError, match=said):
        ImageArchives([archive], staging, lambda message: None).find("docker.io/library/web:1", "linux/amd64")
    assert not list(store.blobs.iterdir())
    assert not list((store.root / "tmp").iterdir())


@pytest.mark.parametrize("kind", COMPRESSIONS)
@pytest.mark.parametrize("name", ["blobs/sha256/" + "0" * 64, "layer.tar"])
@pytest.mark.usefixtures("small_bound")
def test_a_compressed_archive_that_unpacks_to_too_much(store: Store, tmp_path: Path, kind: str, name: str) -> None:
    bomb = plain(COMPRESSIONS[kind](archive_of(name, 16 * MIB)), tmp_path / "x.tar")
    assert bomb.stat().st_size < MIB // 4
    refuse(store, bomb, "it unpacks to too much")


@pytest.mark.parametrize("kind", COMPRESSIONS)
def test_what_unpacks_to_less_is_taken(store: Store, tmp_path: Path, kind: str) -> None:
    members = write_tar(tmp_path / "plain.tar", docker_members(["web:1"], [layer("a")]))
    archive = plain(COMPRESSIONS[kind](members.read_bytes()), tmp_path / "x.tar")
    assert [name for name, _ in load(store, archive)] == ["web:1"]


@pytest.mark.parametrize("kind", COMPRESSIONS)
@pytest.mark.parametrize("length", [7, 60, -3])
def test_a_compressed_archive_that_is_cut_off(store: Store, tmp_path: Path, kind: str, length: int) -> None:
    members = write_tar(tmp_path / "plain.tar", docker_members(["web:1"], [layer(os.urandom(5000).hex())]))
    archive = plain(COMPRESSIONS[kind](members.read_bytes())[:length], tmp_path / "x.tar")
    with pytest.raises(ImageError):
        load(store, archive)
    assert not store.list()


def test_several_streams_of_xz_are_one(tmp_path: Path) -> None:
    content = lzma.compress(b"one ") + bytes(8) + lzma.compress(b"two")
    with compressed.opened(plain(content, tmp_path / "x")) as stream:
        assert b"".join(iter(lambda: stream.read(2), b"")) == b"one two"


def test_an_xz_file_may_not_ask_for_much_memory(store: Store, tmp_path: Path) -> None:
    greedy = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1024 * MIB}]
    archive = plain(lzma.compress(archive_of("a", 10), filters=greedy), tmp_path / "x.tar")
    refuse(store, archive, "Memory usage limit")


@pytest.mark.usefixtures("small_bound")
def test_a_layer_that_unpacks_to_too_much(make_layer: MakeLayer, store: Store, tmp_path: Path) -> None:
    """In the store, and zipped in a docker-archive; plain there, sealer does not make one of it."""
    content = archive_of("a", 16 * MIB)
    path = plain(gzip.compress(content), tmp_path / "layer")
    bomb = Layer("sha256:" + hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size, "", path)
    with pytest.raises(ImageError, match="it unpacks to too much"):
        lay_over([bomb])
    with pytest.raises(ImageError, match="it unpacks to too much"):
        Unpacked(tmp_path / "rootfs").apply(bomb)
    for number, zipped in enumerate((True, False)):
        archive = write_tar(tmp_path / f"{number}.tar", docker_members(["web:1"], [content], zipped=zipped))
        refuse(store, archive, "it unpacks to too much")


@pytest.mark.usefixtures("small_bound")
def test_no_layer_is_built_that_could_not_be_loaded(build_image: Build, context: Path, store: Store) -> None:
    with (context / "sparse").open("wb") as file:
        file.truncate(16 * MIB)
    with pytest.raises(ImageError, match="it unpacks to too much"):
        build_image("FROM scratch\nCOPY sparse .")
    assert not store.list()


def test_a_header_that_says_a_terabyte(make_layer: MakeLayer, store: Store, tmp_path: Path) -> None:
    """Of an archive and of a layer: as much is read as is there, and nothing is made of that size."""
    said = header("blobs/sha256/" + "0" * 64, 1 << 40) + bytes(4 * BLOCK)
    refuse_cut(store, plain(said, tmp_path / "a.tar"))
    refuse_cut(store, plain(gzip.compress(said), tmp_path / "b.tar"))
    refuse_cut(store, write_tar(tmp_path / "c.tar", docker_members(["web:1"], [header("a", 1 << 40) + bytes(BLOCK)])))


def refuse_cut(store: Store, archive: Path) -> None:
    with pytest.raises(ImageError, match=r"cut off|it unpacks to too much"):
        load(store, archive)
    assert not list(store.blobs.iterdir())


def test_a_sparse_file_that_says_a_terabyte(store: Store, tmp_path: Path) -> None:
    """GNU's old form, and the one of pax headers."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("a")
        info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(1 << 40)}
        tar.addfile(info)
    old = header("a", 0, tarfile.GNUTYPE_SPARSE) + bytes(2 * BLOCK)
    for number, content in enumerate((old, raw.getvalue())):
        refuse(store, plain(content, tmp_path / f"{number}.tar"), "a GNU sparse file")
        inner = write_tar(tmp_path / f"layer-{number}.tar", docker_members(["web:1"], [content]))
        with pytest.raises(ImageError, match="a GNU sparse file"):
            load(store, inner)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 80 * MIB) as place:
        yield place


@needs_root
def test_unpacking_leaves_room_for_others(disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expansion, "SPARE_PART", 2)
    store = Store(disk / "images")
    bomb = plain(gzip.compress(archive_of("layer.tar", 100 * MIB)), tmp_path / "x.tar")
    least = []

    def watched(place: Path) -> None:
        status = os.statvfs(place)
        least.append(status.f_bavail * status.f_frsize)
        real(place)

    real = expansion.require_space
    monkeypatch.setattr(expansion, "require_space", watched)
    with store.stage() as staging, pytest.raises(ImageError, match="no space left on the disk") as caught:
        ImageArchives([bomb], staging, lambda message: None).find("docker.io/library/web:1", "linux/amd64")
    assert caught.value.remedy
    assert min(least) > 16 * MIB
