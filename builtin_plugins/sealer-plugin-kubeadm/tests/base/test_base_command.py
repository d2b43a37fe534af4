from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from publishers import IMAGES, payload, program, publish

from sealer.image.files import RootfsFiles
from sealer.image.store import Store
from sealer_plugin_kubeadm.base.releases import releases
from sealer_plugin_kubeadm.base.versions import versions_of


class Shell:
    """Runs sealer, which finds no way out: whatever asks the network is an error at once."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.home = directory / "home"

    def __call__(self, *arguments: str, status: int = 0) -> tuple[str, str]:
        proxies = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
        done = subprocess.run(
            [sys.executable, "-m", "sealer", *arguments],
            cwd=self.directory,
            env={**os.environ, **proxies, "no_proxy": "127.0.0.1", "SEALER_HOME": str(self.home)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout, done.stderr

    def base(self, *arguments: str) -> dict[str, Any]:
        answer = json.loads(self("kubernetes", "base", "--output", "json", *arguments)[0].splitlines()[-1])
        assert answer["apiVersion"] == "sealer.io/cli/v1"
        return dict(answer)


@pytest.fixture
def sealer(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_from_a_directory_without_any_network(sealer: Shell, tmp_path: Path) -> None:
    answer = sealer.base("--version", "v1.20.2", "--from", str(payload(tmp_path / "payload")), "--arch", "amd64")
    assert answer["image"]["names"] == ["kubernetes:v1.20.2"]
    assert answer["kubernetes"] == {
        "version": "v1.20.2",
        "architectures": ["amd64"],
        "network": "bridge",
        "lacking": ["coredns"],
    }
    image = Store(sealer.home / "images").find("kubernetes:v1.20.2")
    labels = image.first.labels
    assert image.first.runtime == "kubeadm"
    assert (labels["io.sealer.registry"], labels["io.sealer.kubernetes.version"]) == ("registry", "v1.20.2")
    assert {one.reference for one in image.containers} == {*IMAGES[:-1], "docker.io/library/haproxy:2.6"}
    again = sealer.base("--version", "1.20.2", "--from", str(tmp_path / "payload"), "-t", "k8s:mine")
    assert again["image"] == {"names": ["k8s:mine"], "digest": image.digest}


def test_several_architectures(sealer: Shell, tmp_path: Path) -> None:
    source = payload(tmp_path / "payload", ("amd64", "arm64"))
    answer = sealer.base("--version", "v1.20.2", "--from", str(source), "--cni", "none")
    assert answer["kubernetes"]["architectures"] == ["amd64", "arm64"]
    image = Store(sealer.home / "images").find("kubernetes:v1.20.2")
    assert [rootfs.platform for rootfs in image.rootfs] == ["linux/amd64", "linux/arm64"]
    assert {one.platform for one in image.containers} == {"linux/amd64", "linux/arm64"}


def test_from_the_publishers_by_a_mirror(sealer: Shell, tmp_path: Path, mirror: Any) -> None:
    for architecture in ("amd64", "arm64"):
        publish(
            mirror.directory,
            releases(versions_of("v1.20.2", {"runc": "1.1.9"}), architecture, mirror.url),
            mirror.url,
            architecture,
        )
    words = ("--version", "v1.20.2", "--arch", "arm64", "--mirror", mirror.url, "--runc-version", "1.1.9")
    answer = sealer.base(*words, "--output-context", "context")
    assert answer["context"] == "context"
    context = tmp_path / "context"
    assert (context / "bin/arm64/ctr").read_bytes() == program("arm64", "ctr")
    assert (context / "cni/arm64/bridge").read_bytes() == program("arm64", "bridge")
    assert {path.name for path in (context / "bin/arm64").iterdir()} == {
        *("kubeadm", "kubelet", "kubectl", "containerd", "containerd-shim-runc-v2", "ctr", "runc", "crictl", "registry")
    }
    first = len(mirror.asked)
    sealer.base(*words, "--output-context", "other")
    again = mirror.asked[first:]
    assert all("sha256" in path for path in again), "only the checksums are asked for again"


def test_a_context_is_built_by_the_ordinary_build(sealer: Shell, tmp_path: Path) -> None:
    source = payload(tmp_path / "payload")
    words = ("--version", "v1.20.2", "--from", str(source))
    sealer.base(*words, "--output-context", "context")
    kubefile = (tmp_path / "context" / "Kubefile").read_text()
    assert (
        f"sealer build -t kubernetes:v1.20.2 --platform linux/amd64 --image-archive {source / 'images'} ." in kubefile
    )
    assert "@" not in kubefile
    built = ("build", "-t", "mine:1", "--platform", "linux/amd64", "--image-archive", f"{source / 'images'}", "context")
    sealer(*built)
    sealer.base(*words)
    store = Store(sealer.home / "images")
    assert store.find("mine:1").digest == store.find("kubernetes:v1.20.2").digest


def test_the_tree_is_one_for_people(sealer: Shell, tmp_path: Path) -> None:
    source = payload(tmp_path / "payload")
    for network in ("bridge", "none"):
        sealer.base(
            "--version", "v1.20.2", "--from", str(source), "--output-context", network, "--cni", network
        )  # fmt: skip
    own = tmp_path / "bridge"
    assert {path.name for path in own.iterdir()} == {"Kubefile", "bin", "cni", "scripts", "etc", "manifests"}
    assert 'sandbox_image = "k8s.gcr.io/pause:3.2"' in (own / "etc/containerd.toml").read_text()
    assert (own / "manifests/imageList").read_text().splitlines()[-1].startswith("# lacking: k8s.gcr.io/coredns:1.7.0")
    assert (own / "scripts/init.sh").stat().st_mode & 0o777 == 0o755
    assert (own / "etc/kubelet.service").stat().st_mode & 0o777 == 0o644
    below = {path.relative_to(own) for path in own.rglob("*")} - {
        path.relative_to(tmp_path / "none") for path in (tmp_path / "none").rglob("*")
    }
    assert {str(path) for path in below} == {
        *("scripts/network.sh", "scripts/pod-network.sh"),
        *("etc/sealer-pod-network.service", "etc/10-sealer-bridge.conflist"),
    }


def test_packages_of_distributions_are_in_the_image(sealer: Shell, tmp_path: Path) -> None:
    source = payload(tmp_path / "payload")
    (tmp_path / "debs/debian-12").mkdir(parents=True)
    (tmp_path / "debs/debian-12/iptables_1.8.9-2_amd64.deb").write_bytes(b"!<arch>\n")
    words = ("--version", "v1.20.2", "--from", str(source), "--packages", "debs")
    sealer.base(*words, "--output-context", "context")
    assert "COPY packages/$ARCH packages" in (tmp_path / "context/Kubefile").read_text().splitlines()
    digest = sealer.base(*words)["image"]["digest"]
    sealer("build", "-t", "mine:1", "--platform", "linux/amd64", "--image-archive", f"{source / 'images'}", "context")
    image = Store(sealer.home / "images").find("mine:1")
    assert image.digest == digest
    assert "packages/debian-12/iptables_1.8.9-2_amd64.deb" in set(RootfsFiles(image.first).paths())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--version", "v1.20.2", "--from", "nowhere"], "the directory bin is missing"),
        (["--from", "payload"], "add --version"),
        (["--version", "1.20", "--from", "payload"], "not a full version of Kubernetes"),
        (["--version", "v1.20.2", "--from", "payload", "--arch", "arm64"], "payload has programs of amd64"),
        (["--version", "v1.20.2", "--from", "payload", "--arch", "mips"], "there are programs for amd64, arm64"),
        (["--version", "v1.21.0", "--from", "payload"], "the image archives lack k8s.gcr.io/kube-apiserver:v1.21.0"),
        ([], "add --version v1.30.4"),
        (["--version", "v1.20.2", "--from", "payload", "--output-context", "payload"], "it is there, and not empty"),
        (["--version", "v1.20.2", "--from", "payload", "-t", "A B"], "A B"),
        (["--version", "v1.20.2", "--from", "payload", "--packages", "payload"], "is no package by its name"),
        (["--version", "v1.20.2", "--packages", "nowhere"], "--packages nowhere: it is no directory"),
        (["--version", "v1.20.2", "--from", "payload", "--image-list", "more"], "with --from no registry is asked"),
    ],
)
def test_what_cannot_be_right(sealer: Shell, tmp_path: Path, words: list[str], says: str) -> None:
    payload(tmp_path / "payload")
    (tmp_path / "more").write_text("docker.io/library/nginx:1.25\n")
    before = sorted(path for path in tmp_path.rglob("*") if "home" not in path.parts)
    _, said = sealer("kubernetes", "base", *words, status=2)
    assert says in said
    assert sorted(path for path in tmp_path.rglob("*") if "home" not in path.parts) == before


def test_a_program_of_another_machine_is_refused(sealer: Shell, tmp_path: Path) -> None:
    source = payload(tmp_path / "payload")
    (source / "bin" / "runc").write_bytes(program("arm64", "runc"))
    _, said = sealer("kubernetes", "base", "--version", "v1.20.2", "--from", str(source), status=2)
    assert "runc is a program of arm64, not of amd64" in said
    (source / "bin" / "runc").write_text("#!/bin/sh\n")
    _, said = sealer("kubernetes", "base", "--version", "v1.20.2", "--from", str(source), status=2)
    assert "runc is no program" in said
    (source / "bin" / "runc").unlink()
    _, said = sealer("kubernetes", "base", "--version", "v1.20.2", "--from", str(source), status=2)
    assert "lacks runc" in said
