"""What `sealer run --kubeconfig` refuses, as a person meets it; what it does is shown on a real Kubernetes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from image_archives import docker_members, layer, write_tar

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="a cluster of this machine is made by root: run the tests as root"
)
NGINX = "registry.example.com/team/nginx:1"
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web"},
    "spec": {"containers": [{"name": "web", "image": NGINX}]},
}
# Nobody listens at port 1.
KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
    "contexts": [{"name": "a", "context": {"cluster": "c", "user": "u"}}],
    "users": [{"name": "u", "user": {"token": "given-by-test-foreign"}}],
    "current-context": "a",
}


class Site:
    """A home with a cluster image, two applications, and a recorded cluster of this machine."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.file("kubeconfig", yaml.safe_dump(KUBECONFIG))
        self.file("Clusterfile", self.cluster("far"))
        for name in ("cluster", "app", "web"):
            (work / name).mkdir()
            self.file(f"{name}/Kubefile", 'FROM scratch\nCOPY . .\nCMD echo "installed"\n')
        self.file("web/pod.yaml", yaml.safe_dump(POD))
        write_tar(work / "nginx.tar", docker_members([NGINX], [layer("nginx")]))
        self.done("build", "-q", "-t", "cluster:1", str(work / "cluster"))
        self.done("build", "-q", "-t", "app:1", "--type", "app-installer", str(work / "app"))
        more = ("--type", "app-installer", "--image-archive", str(work / "nginx.tar"))
        self.done("build", "-q", "-t", "web:1", *more, str(work / "web"))
        self.file("Clusterfile.own", self.cluster("own", image="cluster:1", hosts=[{"ips": ["127.0.0.1"]}]))

    def cluster(self, name: str, **spec: object) -> str:
        spec = {"dataRoot": str(self.work / "data"), **spec}
        for host in spec.get("hosts", []):  # type: ignore[attr-defined]  # it is a list where it is there
            host["roles"] = ["master"]
        return yaml.safe_dump(
            {"apiVersion": "sealer.io/v2", "kind": "Cluster", "metadata": {"name": name}, "spec": spec}
        )

    def file(self, name: str, content: str) -> str:
        path = self.work / name
        path.write_text(content)
        return str(path)

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "sealer", *words],
            env={**os.environ, "SEALER_HOME": str(self.work / "home")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def done(self, *words: str) -> str:
        result = self.call(*words)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def run(self, image: str, *words: str, kubeconfig: str = "", clusterfile: str = "") -> tuple[int, str]:
        """`sealer run --kubeconfig`: its status, and what it said; nothing is recorded and nothing is left."""
        before = self.done("--output", "json", "status")
        file = ("--kubeconfig", kubeconfig or str(self.work / "kubeconfig"))
        result = self.call("run", image, *file, "-f", clusterfile or str(self.work / "Clusterfile"), *words)
        assert self.done("--output", "json", "status") == before
        assert not (self.work / "data" / "data" / "far").exists()
        assert "given-by-test-foreign" not in result.stderr + result.stdout
        return result.returncode, result.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("foreign"))


def test_a_file_that_is_no_kubeconfig(site: Site) -> None:
    status, said = site.run("app:1", kubeconfig=str(site.work / "gone"))
    assert (status, "there is no such kubeconfig" in said) == (2, True)
    status, said = site.run("app:1", kubeconfig=site.file("bad", "kind: Pod\n"))
    assert (status, "the file is no kubeconfig" in said) == (2, True)
    assert site.call("run", "app:1", "--kubeconfig", "").returncode == 2


def test_a_cluster_image(site: Site) -> None:
    status, said = site.run("cluster:1")
    assert (status, "cluster:1 is a cluster image" in said) == (2, True)


def test_hosts_that_a_provider_is_to_make(site: Site) -> None:
    status, said = site.run("app:1", "--provider", "nspawn", "-m", "1")
    assert (status, "makes hosts for a new cluster" in said) == (2, True)


def test_images_that_the_hosts_cannot_get(site: Site) -> None:
    status, said = site.run("web:1")
    assert (status, NGINX in said, "--no-publish" in said) == (3, True, True)
    local = site.file("Clusterfile.local", site.cluster("far", registry={"localRegistry": {"port": 5001}}))
    status, said = site.run("web:1", clusterfile=local)
    assert (status, "spec.registry.localRegistry" in said) == (2, True)


def test_a_dry_run_shows_where_what_is_done(site: Site) -> None:
    words = ("--no-publish", "--dry-run", "--output", "json", "-f", str(site.work / "Clusterfile"))
    shown = site.done("run", "web:1", "--kubeconfig", str(site.work / "kubeconfig"), *words)
    steps = [(step["phase"], step["hosts"]) for step in json.loads(shown)["steps"]]
    phases = ["Preflight", "Access", *["Distribute"] * 2, "Receive", "Guest"]
    assert steps == [(phase, ["127.0.0.1"]) for phase in phases]
    external = {"externalRegistry": {"domain": "registry.example.org"}}
    file = site.file("Clusterfile.external", site.cluster("far", registry=external))
    more = ("--dry-run", "--output", "json", "-f", file)
    shown = site.done("run", "web:1", "--kubeconfig", str(site.work / "kubeconfig"), *more)
    registry = [(step["title"], step["hosts"]) for step in json.loads(shown)["steps"] if step["phase"] == "Registry"]
    assert registry == [("Publish 1 container images to registry.example.org", ["operator"])]


def test_a_name_that_is_a_recorded_cluster_s(site: Site) -> None:
    site.done("apply", "-q", "-f", str(site.work / "Clusterfile.own"))
    status, said = site.run("app:1", clusterfile=str(site.work / "Clusterfile.own"))
    assert (status, "The cluster 'own' is one that sealer made" in said) == (3, True)
    result = site.call("run", "app:1", "--name", "own", "--no-publish")
    assert (result.returncode, "--no-publish" in result.stderr) == (2, True)
    site.done("delete", "-q", "--all", "--yes", "--name", "own")


def test_a_server_that_gives_no_answer(site: Site) -> None:
    if not shutil.which("kubectl", path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"):
        pytest.skip("this machine has no kubectl")
    status, said = site.run("app:1")
    assert (status, "The cluster's API at https://127.0.0.1:1 does not tell its version" in said) == (1, True)
