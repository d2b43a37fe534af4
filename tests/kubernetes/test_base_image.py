"""The base image of a real Kubernetes: its kubeadm is asked, and what publishers have is downloaded from a mirror."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sealer.image.store import Store
from sealer_plugin_kubeadm.base.releases import releases
from sealer_plugin_kubeadm.base.versions import versions_of


def base(home: Path, *arguments: str, status: int = 0) -> tuple[dict[str, Any], str]:
    """Call sealer, which finds no way out; gives its answer and what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "sealer", "kubernetes", "base", "--output", "json", *arguments],
        env={**os.environ, "SEALER_HOME": str(home), "https_proxy": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stdout + done.stderr


def test_kubeadm_says_version_and_images(base_home: Path, payload: Path) -> None:
    image = Store(base_home / "images").find("kubernetes:base")
    said = subprocess.run(
        [payload / "bin/kubeadm", "version", "-o", "short"], capture_output=True, text=True, check=True
    )
    version = said.stdout.strip()
    assert image.first.labels["io.sealer.kubernetes.version"] == version
    names = {one.reference.rpartition("/")[2].partition(":")[0] for one in image.containers}
    assert {"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "pause", "etcd"} <= names


def test_a_version_that_is_not_that_of_the_programs_is_refused(payload: Path, tmp_path: Path) -> None:
    _, said = base(tmp_path, "--version", "v1.30.4", "--from", str(payload), status=2)
    assert "the kubeadm in --from is of v1." in said


@pytest.fixture
def mirror(payload: Path, tmp_path: Path) -> Iterator[str]:
    """The payload's programs as their publishers lay them out, on loopback."""
    site = tmp_path / "site"
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(site))) as server:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        for release in releases(versions_of("v1.20.2", {}), "amd64", url):
            _publish(payload, site, url, release)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield url
        finally:
            server.shutdown()
            thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def _publish(payload: Path, site: Path, url: str, release: Any) -> None:
    place = site / release.url.removeprefix(f"{url}/")
    place.parent.mkdir(parents=True, exist_ok=True)
    sources = [payload / release.into / name for name in release.programs or (release.name,)]
    if release.programs:
        with tarfile.open(place, "w:gz", compresslevel=1) as tar:
            for source in sources:  # there is no crictl in the payload: any program stands for it
                tar.add(source if source.exists() else payload / "bin/runc", f"bin/{source.name}")
    else:
        place.symlink_to(sources[0])
    digest = hashlib.sha256(place.read_bytes()).hexdigest()
    (site / release.sums.removeprefix(f"{url}/")).write_text(f"{digest}  {place.name}\n")


def test_the_programs_of_publishers_and_the_images_of_archives(mirror: str, payload: Path, tmp_path: Path) -> None:
    # CoreDNS is not in the payload, and no registry can be reached: the command that downloads everything says so.
    _, said = base(
        tmp_path / "home", "--version", "v1.20.2", "--mirror", mirror, "--arch", "amd64",
        "--image-archive", str(payload / "images"), "--haproxy-image", "haproxy:2.6", status=1,
    )  # fmt: skip
    assert "k8s.gcr.io/coredns:1.7.0" in said
    answer, _ = base(
        tmp_path / "home", "--version", "v1.20.2", "--mirror", mirror, "--arch", "amd64",
        "--output-context", str(tmp_path / "context"),
    )  # fmt: skip
    assert answer["kubernetes"]["version"] == "v1.20.2"
    listed = (tmp_path / "context/manifests/imageList").read_text()
    assert "k8s.gcr.io/etcd:3.4.13-0\n" in listed
    assert (tmp_path / "context/bin/amd64/kubelet").read_bytes() == (payload / "bin/kubelet").read_bytes()
