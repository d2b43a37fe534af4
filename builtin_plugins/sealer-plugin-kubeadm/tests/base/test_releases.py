from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from publishers import program, publish

from sealer.errors import BuildError, ImageError, LockHeldError
from sealer.image.download import Limits
from sealer.image.downloads import Downloads
from sealer_plugin_kubeadm.base.releases import Fetcher, Release, checksum, releases, unpack
from sealer_plugin_kubeadm.base.versions import versions_of

A, B = "a" * 64, "b" * 64


@pytest.mark.parametrize(
    "text",
    [
        A,
        f"{A}\n",
        f"{A}  runc.amd64\n",
        f"{B}  runc.arm64\n{A} *runc.amd64\n",
        f"{B}  ./x/runc.arm64\n{A}  ./x/runc.amd64\n",
        f"SHA256 (runc.amd64) = {A}\n",
        f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{B}  runc.arm64\r\n{A}  runc.amd64\r\n"
        "-----BEGIN PGP SIGNATURE-----\n\nabc\n",
    ],
)
def test_checksums_as_publishers_write_them(text: str) -> None:
    assert checksum(text, "runc.amd64") == A


@pytest.mark.parametrize("text", ["", "<html>404</html>", f"{A}  runc.arm64\n", f"{A}\n{B}\n", A[:-1], A + "0"])
def test_what_has_no_checksum_of_the_file(text: str) -> None:
    assert checksum(text, "runc.amd64") == ""


@pytest.fixture
def kubelet(mirror: Any) -> Release:
    found = releases(versions_of("v1.30.4", {}), "amd64", mirror.url)
    publish(mirror.directory, found, mirror.url, "amd64")
    return next(one for one in found if one.name == "kubelet")


@pytest.fixture
def fetcher(tmp_path: Path) -> Fetcher:
    (tmp_path / "scratch").mkdir()
    return Fetcher(tmp_path / "downloads", tmp_path / "scratch", Limits(pause=0))


def test_it_is_downloaded_once(fetcher: Fetcher, kubelet: Release, mirror: Any) -> None:
    path, known = fetcher.fetch(kubelet)
    assert (path.read_bytes(), known) == (program("amd64", "kubelet"), False)
    assert fetcher.fetch(kubelet) == (path, True)
    assert [one.endswith("/kubelet") for one in mirror.asked] == [False, True, False]


def test_what_rotted_is_downloaded_again(fetcher: Fetcher, kubelet: Release) -> None:
    path, _ = fetcher.fetch(kubelet)
    path.write_bytes(b"rotten")
    assert fetcher.fetch(kubelet) == (path, False)
    assert path.read_bytes() == program("amd64", "kubelet")


def test_a_file_that_is_not_what_its_checksum_says(fetcher: Fetcher, kubelet: Release, mirror: Any) -> None:
    (mirror.directory / kubelet.url.removeprefix(f"{mirror.url}/")).write_bytes(b"evil")
    with pytest.raises(ImageError, match="is not what it should be") as caught:
        fetcher.fetch(kubelet)
    assert hashlib.sha256(b"evil").hexdigest() in caught.value.why
    with pytest.raises(ImageError, match="is not what it should be"):
        fetcher.fetch(kubelet)


def test_a_version_that_was_never_published(fetcher: Fetcher, mirror: Any) -> None:
    [release] = [one for one in releases(versions_of("v1.30.99", {}), "amd64", mirror.url) if one.name == "kubelet"]
    with pytest.raises(BuildError) as caught:
        fetcher.fetch(release)
    assert caught.value.why == "the server answered 404 File not found"
    assert not caught.value.remedy


def test_without_internet_the_ways_around_are_named(fetcher: Fetcher) -> None:
    """Nobody listens there, as where no name is resolved."""
    [release] = [
        one for one in releases(versions_of("v1.30.4", {}), "amd64", "http://127.0.0.1:1") if one.name == "kubelet"
    ]
    with pytest.raises(BuildError) as caught:
        fetcher.fetch(release)
    assert "--from" in caught.value.remedy
    assert "--mirror" in caught.value.remedy


def test_two_at_once(fetcher: Fetcher, kubelet: Release, tmp_path: Path) -> None:
    digest = hashlib.sha256(program("amd64", "kubelet")).hexdigest()
    with Downloads(tmp_path / "downloads").partial(digest), pytest.raises(LockHeldError, match="another process"):
        fetcher.fetch(kubelet)


def test_a_partial_file_that_is_whole_already(fetcher: Fetcher, kubelet: Release, tmp_path: Path, mirror: Any) -> None:
    content = program("amd64", "kubelet")
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / f"{hashlib.sha256(content).hexdigest()}.partial").write_bytes(content)
    fetcher.fetch(kubelet)
    assert len(mirror.asked) == 1


def test_an_archive_that_lacks_a_program(fetcher: Fetcher, kubelet: Release, mirror: Any, tmp_path: Path) -> None:
    [found] = [one for one in releases(versions_of("v1.30.4", {}), "amd64", mirror.url) if one.name == "crictl"]
    path, _ = fetcher.fetch(found)
    (tmp_path / "bin").mkdir()
    assert [one.name for one in unpack(found, path, tmp_path / "bin")] == ["crictl"]
    other = Release("containerd", found.url, found.sums, ("crictl", "ctr"))
    with pytest.raises(ImageError, match="lacks ctr"):
        unpack(other, path, tmp_path / "bin")
