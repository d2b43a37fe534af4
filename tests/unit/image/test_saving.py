"""The forms that images are saved in, and what is left where that fails."""

from __future__ import annotations

import errno
import fcntl
import io
import json
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sample_images import container, skopeo
from small_disk import MIB, needs_root, resize, small_disk

from sealer.errors import ImageError, InputError, LockHeldError
from sealer.image.archive import FORMATS, ArchiveFormat, load, save
from sealer.image.containers import stage_containers
from sealer.image.files import RootfsFiles
from sealer.image.model import ClusterImage, ContainerImage
from sealer.image.oci_image import RootfsParts, stage_index, stage_rootfs
from sealer.image.store import Store

Build = Callable[..., ClusterImage]


@pytest.fixture
def image(build_image: Build, context: Path) -> ClusterImage:
    (context / "a").write_text("a" * 5000)
    (context / "noise").write_bytes(os.urandom(3_000_000))
    return build_image("FROM scratch\nENV A=b\nCOPY a .\nCOPY a noise b/\nCMD true", names=("app:v1", "other"))


def files(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_a_directory_has_what_the_archive_has(store: Store, image: ClusterImage, tmp_path: Path) -> None:
    save(store, ["app:v1", "other"], tmp_path / "x.tar")
    save(store, ["app:v1", "other"], tmp_path / "oci", "oci-dir")
    with tarfile.open(tmp_path / "x.tar") as tar:
        content = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    assert files(tmp_path / "oci") == content
    other = Store(tmp_path / "other")
    assert load(other, tmp_path / "oci") == (("app:v1", image.digest), ("other:latest", image.digest))
    assert other.find("app:v1").first.cmds == ("true",)


@pytest.mark.parametrize("form", ["oci-archive", "docker-archive"])
def test_a_stream_gets_the_same_bytes(store: Store, image: ClusterImage, tmp_path: Path, form: ArchiveFormat) -> None:
    save(store, ["app:v1"], tmp_path / "x.tar", form)
    stream = io.BytesIO()
    save(store, ["app:v1"], stream, form)
    assert stream.getvalue() == (tmp_path / "x.tar").read_bytes()
    other = Store(tmp_path / "other")
    ((name, digest),) = load(other, io.BytesIO(stream.getvalue()))
    assert name == "app:v1"
    assert not list((other.root / "tmp").iterdir())
    with pytest.raises(ImageError, match=r"^standard input: ") as caught:
        load(other, io.BytesIO(stream.getvalue()[:50_000]))
    assert caught.value.remedy
    assert [one.digest for one in other.list()] == [digest]


def test_a_docker_archive(store: Store, image: ClusterImage, tmp_path: Path) -> None:
    save(store, ["app:v1", "other"], tmp_path / "x.tar", "docker-archive")
    with tarfile.open(tmp_path / "x.tar") as tar:
        (entry,) = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
        assert entry["RepoTags"] == ["app:v1", "other:latest"]
        assert len(entry["Layers"]) == 2
        settings = json.load(tar.extractfile(entry["Config"]))  # type: ignore[arg-type]
    assert settings["config"]["Env"] == ["A=b"]
    other = Store(tmp_path / "other")
    load(other, tmp_path / "x.tar")
    found = other.find("app:v1").first
    assert (found.env, found.cmds) == ({"A": "b"}, ("true",))
    assert RootfsFiles(found).paths() == RootfsFiles(image.first).paths()


@pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed (apt-get install skopeo)")
def test_skopeo_reads_every_form(store: Store, image: ClusterImage, tmp_path: Path) -> None:
    transports = {"oci-archive": "oci-archive", "oci-dir": "oci", "docker-archive": "docker-archive"}
    for form in FORMATS:
        save(store, ["app:v1"], tmp_path / form, form)
        name = "docker.io/library/app:v1" if form == "docker-archive" else "app:v1"
        skopeo("copy", f"{transports[form]}:{tmp_path / form}:{name}", f"oci:{tmp_path / 'copied'}:{form}")
    other = Store(tmp_path / "other")
    assert len(load(other, tmp_path / "copied")) == 3


@pytest.mark.parametrize("why", ["container images", "platforms"])
def test_what_a_docker_archive_cannot_hold_is_refused(store: Store, tmp_path: Path, why: str) -> None:
    with store.stage() as staging:
        platforms = ["linux/amd64", *(["linux/arm64"] if why == "platforms" else [])]
        rootfs = [stage_rootfs(staging, RootfsParts(platform)) for platform in platforms]
        web = ContainerImage("docker.io/library/web:1", "linux/amd64", container(staging, 1))
        inside = stage_containers(staging, [web] if why == "container images" else [])
        store.commit(staging, stage_index(staging, [*rootfs, *inside]), ["app:v1"])
    with pytest.raises(InputError, match="app:v1 cannot be saved as docker-archive") as caught:
        save(store, ["app:v1"], tmp_path / "x.tar", "docker-archive")
    assert why in caught.value.why
    assert "oci-archive" in caught.value.remedy
    assert not (tmp_path / "x.tar").exists()


def test_what_is_there_is_not_written_over_by_a_directory(store: Store, image: ClusterImage, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    save(store, ["app:v1"], tmp_path / "empty", "oci-dir")
    (tmp_path / "file").write_text("as before")
    for taken in ("empty", "file"):
        with pytest.raises(InputError, match="something is there already"):
            save(store, ["app:v1"], tmp_path / taken, "oci-dir")
    assert (tmp_path / "file").read_text() == "as before"
    with pytest.raises(InputError, match="a directory is there"):
        save(store, ["app:v1"], tmp_path / "empty")
    with pytest.raises(InputError, match="cannot be written to a stream"):
        save(store, ["app:v1"], io.BytesIO(), "oci-dir")


def test_a_link_stays_one_and_its_file_is_replaced(store: Store, image: ClusterImage, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link.tar").symlink_to("real/x.tar")
    for _ in range(2):
        save(store, ["app:v1"], tmp_path / "link.tar")
    assert (tmp_path / "link.tar").is_symlink()
    assert [path.name for path in (tmp_path / "real").iterdir()] == ["x.tar"]
    assert load(Store(tmp_path / "other"), tmp_path / "link.tar")


def test_a_pipe_is_written_to_and_not_replaced(store: Store, image: ClusterImage, tmp_path: Path) -> None:
    """Nor is /dev/null, which root could replace."""
    os.mkfifo(tmp_path / "pipe")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    save(store, ["app:v1"], tmp_path / "pipe")
    reader.join()
    assert stat.S_ISFIFO((tmp_path / "pipe").lstat().st_mode)
    assert load(Store(tmp_path / "other"), io.BytesIO(read[0]))
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb") as end:
        reader = threading.Thread(target=lambda: read.append(end.read()))
        reader.start()
        save(store, ["app:v1"], Path(f"/proc/self/fd/{theirs}"))  # where /dev/stdout leads to
        os.close(theirs)
        reader.join()
    assert read[1] == read[0]
    save(store, ["app:v1"], Path("/dev/null"))
    assert stat.S_ISCHR(Path("/dev/null").lstat().st_mode)


def test_a_pipe_is_loaded_from(store: Store, image: ClusterImage, tmp_path: Path) -> None:
    """As the shell's `-i <(zstd -dc x.tar.zst)` is one."""
    save(store, ["app:v1"], tmp_path / "x.tar")
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes((tmp_path / "x.tar").read_bytes()))
    writer.start()
    assert load(Store(tmp_path / "other"), tmp_path / "pipe") == (("app:v1", image.digest),)
    writer.join()
    with pytest.raises(ImageError, match=r"^/dev/null: not a tar archive"):
        load(store, Path("/dev/null"))


def test_two_at_once(store: Store, image: ClusterImage, tmp_path: Path) -> None:
    with (tmp_path / ".x.tar.partial").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(LockHeldError, match="another sealer is writing it") as caught:
            save(store, ["app:v1"], tmp_path / "x.tar")
        assert caught.value.where == str(tmp_path / "x.tar")
    save(store, ["app:v1"], tmp_path / "x.tar")


KILLED = textwrap.dedent("""
    import os, signal, sys
    from pathlib import Path
    from sealer.image import saving
    from sealer.image.archive import save
    from sealer.image.store import Store
    verified = saving.verified
    def dying(path):
        yield from verified(path)
        os.kill(os.getpid(), signal.SIGKILL)
    saving.verified = dying
    save(Store(Path(sys.argv[1])), ["app:v1"], Path(sys.argv[2]), sys.argv[3])
""")


@pytest.mark.parametrize("form", ["oci-archive", "oci-dir"])
def test_what_a_killed_one_left_is_in_nobodys_way(
    store: Store, image: ClusterImage, tmp_path: Path, form: ArchiveFormat
) -> None:
    target = tmp_path / "out" / "x"
    target.parent.mkdir()
    command = [sys.executable, "-c", KILLED, str(store.root), str(target), form]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert [path.name for path in target.parent.iterdir()] == [".x.partial"]
    save(store, ["app:v1"], target, form)
    assert [path.name for path in target.parent.iterdir()] == ["x"]
    assert load(Store(tmp_path / "other"), target) == (("app:v1", image.digest),)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", MIB) as place:
        yield place


@needs_root
@pytest.mark.parametrize("form", FORMATS)
def test_a_full_disk(store: Store, image: ClusterImage, disk: Path, form: ArchiveFormat) -> None:
    """The error names what the user asked for; nothing is left; what was there is still there."""
    target = disk / "x.tar"
    if form != "oci-dir":
        target.write_text("as before")
    with pytest.raises(ImageError, match="could not be written: no space left on the disk") as caught:
        save(store, ["app:v1"], target, form)
    assert caught.value.where == str(target)
    assert "another disk" in caught.value.remedy
    assert files(disk) == ({} if form == "oci-dir" else {"x.tar": b"as before"})
    resize(disk, 16 * MIB)
    save(store, ["app:v1"], target, form)
    assert load(Store(disk.parent / "other"), target)[0][0] == "app:v1"


def test_a_file_that_may_not_grow(store: Store, image: ClusterImage, tmp_path: Path) -> None:
    """As on a disk that takes no larger files; Python ignores the signal that goes with it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        with pytest.raises(ImageError, match=r"x\.tar: the archive could not be written: File too large") as caught:
            save(store, ["app:v1"], tmp_path / "x.tar")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "split" in caught.value.remedy
    assert not list(tmp_path.glob("*x.tar*"))


@pytest.mark.parametrize("form", FORMATS)
def test_a_damaged_blob_is_not_saved(store: Store, image: ClusterImage, tmp_path: Path, form: ArchiveFormat) -> None:
    path = image.first.layers[1].path
    path.write_bytes(path.read_bytes()[:-12] + bytes(12))
    with pytest.raises(ImageError) as caught:
        save(store, ["app:v1"], tmp_path / "x", form)
    assert path.name in caught.value.where
    assert "again" in caught.value.remedy
    assert not list(tmp_path.glob("*x*partial")) + list(tmp_path.glob("x"))
    path.unlink()
    with pytest.raises(ImageError) as caught:
        save(store, ["app:v1"], tmp_path / "x", form)
    assert caught.value.remedy


def test_a_reader_that_ends(store: Store, image: ClusterImage) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    stream = os.fdopen(theirs, "wb")
    with pytest.raises(ImageError, match=f"standard output.*{os.strerror(errno.EPIPE)}"):
        save(store, ["app:v1"], stream)
    with suppress(BrokenPipeError):
        stream.close()
