"""Layers laid over each other: the merged view, what hosts have to delete, and what is refused."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealer.errors import ImageError
from sealer.image.files import RootfsFiles, lay_over
from sealer.image.model import Layer, Rootfs
from sealer.image.tarstream import members
from sealer.image.tree import Tree
from sealer.image.unpack import Unpacked

MakeLayer = Callable[..., Layer]


def info(
    name: str, kind: bytes = tarfile.REGTYPE, link: str = "", headers: dict[str, str] | None = None
) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.pax_headers = kind, link, headers or {}
    return made


LAYERS: dict[str, tuple[list[list[str]], list[str], list[tuple[str, ...]]]] = {
    "a file replaced": ([["a=1"], ["a=2"]], ["a=2"], [(), ()]),
    "a deletion": ([["d/", "d/a=1", "d/b=2"], ["d/.wh.a"]], ["d/b=2"], [(), ("d/a",)]),
    "a deletion of nothing": ([["a=1"], [".wh.b"]], ["a=1"], [(), ()]),
    "a deleted directory": ([["d/", "d/a=1"], [".wh.d"]], [], [(), ("d",)]),
    "an opaque directory": (
        [["d/", "d/a=1", "d/b=1"], ["d/", "d/.wh..wh..opq", "d/b=2"]],
        ["d/b=2"],
        [(), ("d/a", "d/b")],
    ),
    "an opaque mark after the files": ([["d/", "d/a=1"], ["d/", "d/c=2", "d/.wh..wh..opq"]], ["d/c=2"], [(), ("d/a",)]),
    "a directory that became a file": ([["d/", "d/a=1"], ["d=2"]], ["d=2"], [(), ("d",)]),
    "a file that became a directory": ([["d=1"], ["d/", "d/a=2"]], ["d/a=2"], [(), ("d",)]),
    "the same without an entry of its own": ([["d=1"], ["d/a=2"]], ["d/a=2"], [(), ("d",)]),
    "a link that became a directory": ([["e/", "d -> e"], ["d/", "d/a=2"]], ["d/a=2"], [(), ("d",)]),
    "written through a link": ([["e/", "d -> e"], ["d/a=2"]], ["e/a=2"], [(), ()]),
    "a deletion through a link": ([["e/", "e/a=1", "d -> e"], ["d/.wh.a"]], [], [(), ("e/a",)]),
    "a file that became a link": ([["a=1", "b=2"], ["a -> b"]], ["b=2"], [(), ("a",)]),
    "a hard link": ([["a=1"], ["b => a"], ["a=2"]], ["a=2", "b=1"], [(), (), ()]),
    "a deletion and a new file of that name": ([["a=1"], [".wh.a", "a=2"]], ["a=2"], [(), ("a",)]),
    "a long name": ([["x" * 90 + "/" + "y" * 90 + "=1"]], ["x" * 90 + "/" + "y" * 90 + "=1"], [()]),
}


@pytest.mark.parametrize("name", LAYERS)
def test_merged_files_and_removals(name: str, make_layer: MakeLayer) -> None:
    contents, expected, removals = LAYERS[name]
    files = RootfsFiles(Rootfs("linux/amd64", "", tuple(make_layer(*members) for members in contents)))
    assert [f"{path}={files.read(path).decode()}" for path in files.paths()] == expected
    assert list(files.removals) == removals


@pytest.mark.parametrize("name", LAYERS)
def test_a_host_gets_the_same_with_a_plain_tar(name: str, make_layer: MakeLayer, tmp_path: Path) -> None:
    """What hosts do: delete the removals, untar without whiteouts. The result is what we unpack ourselves."""
    layers = [make_layer(*members) for members in LAYERS[name][0]]
    removals = RootfsFiles(Rootfs("linux/amd64", "", tuple(layers))).removals
    ours, hosts = Unpacked(tmp_path / "ours"), tmp_path / "hosts"
    hosts.mkdir()
    for layer, gone in zip(layers, removals, strict=True):
        ours.apply(layer)
        subprocess.run(["rm", "-rf", "--", *gone], cwd=hosts, check=True)
        subprocess.run(["tar", "-xzf", layer.path, "--exclude=.wh.*"], cwd=hosts, check=True)
    assert listing(ours.directory) == listing(hosts)


def listing(root: Path) -> list[tuple[str, str]]:
    def content(path: Path) -> str:
        if path.is_symlink():
            return f"-> {path.readlink()}"
        return "/" if path.is_dir() else path.read_text()

    return sorted((str(path.relative_to(root)), content(path)) for path in root.rglob("*"))


HOSTILE: dict[str, list[list[str | tarfile.TarInfo]]] = {
    "an absolute path": [[info("/etc/passwd")]],
    "a path that climbs": [["a/../../x"]],
    "a path that climbs back in": [["a/../x"]],
    "an absolute symlink": [["a -> /etc"]],
    "a symlink that climbs": [["a -> ../x"]],
    "a symlink that climbs late": [["a/b -> c/../../../x"]],
    "a file through a symlink that leads out": [["a/", "a/b/", "a/l -> b/../..", "s -> a/b", "s/../../../x"]],
    "a symlink that leads out through another": [
        ["p/", "q/", "p/q/", "t/", "p/q/s -> ../../t", "p/q/l -> s/../../x", "p/q/l/f"]
    ],
    "a circle of symlinks": [["a -> b", "b -> a", "a/x"]],
    "a hard link out": [[info("a", tarfile.LNKTYPE, "../../etc/passwd")]],
    "an absolute hard link": [[info("a", tarfile.LNKTYPE, "/etc/passwd")]],
    "a hard link to nothing": [["a => b"]],
    "a hard link to a symlink": [["b -> c", "a => b"]],
    "a hard link to a directory": [["b/", "a => b"]],
    "a hard link to itself": [["a => a"]],
    "a character device": [[info("a", tarfile.CHRTYPE)]],
    "a block device": [[info("a", tarfile.BLKTYPE)]],
    "a pipe": [[info("a", tarfile.FIFOTYPE)]],
    "an unknown type": [[info("a", b"Z")]],
    "a sparse file": [[info("a", tarfile.GNUTYPE_SPARSE)]],
    "a sparse file of pax": [[info("a", headers={"GNU.sparse.major": "1"})]],
    "two things in one layer": [["a/", "a=1"]],
    "a file as a directory in one layer": [["a=1", "a/b=2"]],
    "a whiteout of nothing": [[".wh."]],
    "a whiteout of the parent": [["d/.wh..."]],
    "an absolute path in a pax header": [[info("a", headers={"path": "/etc/passwd"})]],
    "below a whiteout": [[".wh.d/", ".wh.d/x"]],
    "through a link of its own layer": [["t/", "s -> t", "s/x=1"]],
    "a hard link through a link of its own layer": [["t/", "t/x=1", "s -> t", "h => s/x"]],
    "through a link to nothing": [["s -> t"], ["s/x=1"]],
    "through a link that it removes": [["t/", "s -> t"], ["s/x=1", ".wh.s"]],
    "through a link that becomes a directory": [["t/", "s -> t"], ["s/x=1", "s/"]],
    "below what becomes a file": [["d/"], ["d/x=1", "d=2"]],
    "a hard link to what it removes": [["a=1"], ["h => a", ".wh.a"]],
    "a link twice": [["s -> a", "s -> b"]],
    "a linked file twice": [["a=1", "h => a", "a=2"]],
    "a NUL in a pax header": [[info("a", headers={"path": "x\0y"})]],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_layers_are_refused(name: str, make_layer: MakeLayer, tmp_path: Path) -> None:
    layers = [make_layer(*members) for members in HOSTILE[name]]
    with pytest.raises(ImageError):
        lay_over(layers)
    (tmp_path / "deep").mkdir()
    unpacked = Unpacked(tmp_path / "deep" / "rootfs")
    with pytest.raises(ImageError):
        for layer in layers:
            unpacked.apply(layer)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["rootfs"]


def test_a_layer_that_is_cut_off_or_changed_is_refused(make_layer: MakeLayer) -> None:
    layer = make_layer("a=" + "x" * 5000, "b=" + "y" * 5000)
    whole = layer.path.read_bytes()
    flipped = whole[:40] + bytes([whole[40] ^ 255]) + whole[41:]
    for broken in (whole[:-4], whole[:-20], whole[: len(whole) // 2], b"", flipped, b"no gzip at all"):
        layer.path.write_bytes(broken)
        with pytest.raises(ImageError):
            lay_over([layer])


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_damaged_tar_ends_in_a_traceback(data: st.DataObject) -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for entry in (info("a"), info("d", tarfile.DIRTYPE), info("\xe4" * 120), info("l", tarfile.SYMTYPE, "a")):
            tar.addfile(entry)
    content = bytearray(raw.getvalue()[: 8 * 512])
    for _ in range(data.draw(st.integers(1, 4))):
        block = 512 * data.draw(st.integers(0, 7))
        content[block + data.draw(st.integers(0, 511))] = data.draw(st.integers(0, 255))
        if data.draw(st.booleans()):  # with its checksum put right, a header's fields are looked at
            header = content[block : block + 148] + b" " * 8 + content[block + 156 : block + 512]
            content[block + 148 : block + 156] = b"%06o\0 " % sum(header)
    tree = Tree()
    tree.begin()
    try:
        for member, _ in members(io.BytesIO(bytes(content))):
            tree.add(member)
    except ImageError as error:
        assert error.what


def test_reading_a_file(make_layer: MakeLayer) -> None:
    large = "z" * 100_000
    layer = make_layer("etc/", f"etc/large={large}", "etc/small=s", "link -> etc/small", "dead -> none")
    files = RootfsFiles(Rootfs("linux/amd64", "", (layer,)))
    assert files.paths() == ["etc/large", "etc/small"]
    assert files.read("etc/large") == large.encode()
    assert files.read("link") == b"s"
    for missing in ("none", "etc", "dead", "../etc/passwd", ""):
        with pytest.raises(ImageError, match="no such file"):
            files.read(missing)
    with pytest.raises(ImageError, match="too large"):
        files.read("etc/large", limit=1000)


def test_nothing_outside_is_touched_when_times_are_set(make_layer: MakeLayer, tmp_path: Path) -> None:
    """A directory in which something was removed becomes a link, whose way out only other links make."""
    outside = tmp_path / "deep" / "out"
    outside.mkdir(parents=True)
    os.utime(outside, (7, 7))
    unpacked = Unpacked(tmp_path / "deep" / "rootfs")
    unpacked.apply(make_layer("t/", "p/", "p/q/", "p/q/s -> ../../t", "p/q/d/", "p/q/d/x=1"))
    unpacked.apply(make_layer("p/q/d/.wh.x", "p/q/d -> s/../../out"))
    assert (unpacked.directory / "p" / "q" / "d").resolve() == outside
    assert outside.stat().st_mtime == 7
