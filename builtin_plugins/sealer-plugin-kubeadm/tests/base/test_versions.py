from __future__ import annotations

import pytest

from sealer.errors import InputError
from sealer_plugin_kubeadm.base.control_plane import available, name_of, table_images
from sealer_plugin_kubeadm.base.releases import releases
from sealer_plugin_kubeadm.base.versions import OVERRIDABLE, downloads, versions_of


def test_what_goes_with_a_version() -> None:
    versions = versions_of("1.30.4", {"containerd": "v1.7.20"})
    assert (versions.kubernetes, versions.known) == ("v1.30.4", True)
    assert (versions.parts["containerd"], versions.parts["crictl"], versions.parts["pause"]) == (
        "1.7.20",
        "1.30.1",
        "3.9",
    )


def test_a_version_that_is_newer_than_the_table_takes_the_newest_line() -> None:
    versions = versions_of("v1.99.0", {})
    assert not versions.known
    assert versions.parts["crictl"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1.30", "not a full version"),
        ("latest", "not a full version"),
        ("v1.19.8", "oldest is 1.20"),
        ("v2.0.0", "not a full"),
    ],
)
def test_versions_that_are_none(text: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        versions_of(text, {})


def test_a_part_whose_version_is_none() -> None:
    with pytest.raises(InputError, match="--runc-version main"):
        versions_of("v1.30.4", {"runc": "main"})


def test_every_download_has_a_version_that_can_be_overridden() -> None:
    names = [entry["name"] for entry in downloads()]
    assert names == ["kubeadm", "kubelet", "kubectl", *(name for name in names if name in OVERRIDABLE)]
    assert set(OVERRIDABLE) <= set(names)
    for minor in range(20, 36):
        for release in releases(versions_of(f"v1.{minor}.0", {}), "arm64"):
            assert "{" not in release.url + release.sums
            assert release.url.startswith(("https://dl.k8s.io/release/v1.", "https://github.com/"))


def test_below_a_mirror_the_publishers_keep_their_names() -> None:
    found = {one.name: one for one in releases(versions_of("v1.30.4", {}), "arm64", "http://mirror.example/k8s/")}
    assert found["kubelet"].url == "http://mirror.example/k8s/dl.k8s.io/release/v1.30.4/bin/linux/arm64/kubelet"
    assert found["runc"].sums.startswith("http://mirror.example/k8s/github.com/opencontainers/runc/releases/download/v")


@pytest.mark.parametrize(
    ("version", "images"),
    [
        ("v1.20.2", ["k8s.gcr.io/coredns:1.7.0", "k8s.gcr.io/pause:3.2", "k8s.gcr.io/etcd:3.4.13-0"]),
        ("v1.22.0", ["k8s.gcr.io/coredns/coredns:v1.8.4", "k8s.gcr.io/pause:3.5", "k8s.gcr.io/etcd:3.5.0-0"]),
        ("v1.25.0", ["registry.k8s.io/coredns/coredns:v1.9.3", "registry.k8s.io/pause:3.8"]),
    ],
)
def test_images_by_the_table(version: str, images: list[str]) -> None:
    found = table_images(versions_of(version, {}))
    assert set(images) < set(found)
    assert f"{images[0].partition('/')[0]}/kube-apiserver:{version}" in found


class TestOffline:
    wanted = table_images(versions_of("v1.20.2", {}))

    def test_what_is_there_is_taken(self) -> None:
        found = available(self.wanted, "docker.io/library/haproxy:2.8", {*self.wanted, "docker.io/library/haproxy:2.6"})
        assert found.references == (*self.wanted, "docker.io/library/haproxy:2.6")
        assert (found.lacking, found.pause) == ((), "k8s.gcr.io/pause:3.2")

    def test_what_a_cluster_can_do_without_is_named(self) -> None:
        found = available(self.wanted, "docker.io/library/haproxy:2.8", set(self.wanted) - {"k8s.gcr.io/coredns:1.7.0"})
        assert [name for name, _ in found.lacking] == ["coredns", "haproxy"]
        assert "k8s.gcr.io/coredns:1.7.0" not in found.references

    def test_without_the_rest_there_is_no_cluster(self) -> None:
        with pytest.raises(InputError, match=r"lack k8s.gcr.io/etcd:3.4.13-0"):
            available(self.wanted, "h.io/haproxy:1", {one for one in self.wanted if name_of(one) != "etcd"})
