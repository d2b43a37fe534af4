"""The whole way of an application as a user types it: built on Kubernetes, pushed, and run by its name elsewhere.

The hosts have no route out, and the names of the container images lead nowhere: all that runs came with the image.
The tests of this file are one story, in their order.
"""

from __future__ import annotations

import http.server
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import yaml
from docker_registry import DockerRegistry
from image_archives import docker_members, layer, write_tar
from kubernetes_site import Kubernetes, eventually

from sealer.image.store import Store
from sealer.redaction import Secret
from sealer_plugin_nspawn.machines import Machines
from sealer_plugin_nspawn.options import Options
from sealer_plugin_nspawn.testing import real_machines

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

PASSWORD = "Flow of a test 1"
HERE, THERE = "quay.example.org/team/web:1.0", "ghcr.example.net/team/web:1.0"  # they differ in the domain alone
SHOP = ("registry.example.com:5443/shop:1", "registry.example.com:5443/shop:2")

DASHBOARD = """\
FROM kubernetes:v1.20.2
RUN wget http://{address}/recommended.yaml
CMD kubectl apply -f recommended.yaml
"""
ISCSI = """\
FROM kubernetes:v1.20.2
COPY shell.yaml plugin
"""
SHELL = """\
apiVersion: sealer.aliyun.com/v1alpha1
kind: Plugin
metadata:
name: taint
spec:
type: SHELL
action: PostInstall
on: node-role.kubernetes.io/master=
data: |
  kubectl get nodes >/root/nodes
---
apiVersion: sealer.aliyun.com/v1alpha1
kind: Plugin
metadata:
  name: SHELL
spec:
  action: PostInstall
  data: |
    if type yum >/dev/null 2>&1;then
    echo yum >/root/iscsi
    elif type apt-get >/dev/null 2>&1;then
    echo apt-get >/root/iscsi
    fi
"""
# Of an application: before its CMDs on every host, after them on masters.
MARKS = """\
apiVersion: sealer.io/v2
kind: Plugin
metadata: {name: before}
spec:
  type: SHELL
  action: PreGuest
  data: echo "PreGuest in $(basename "$PWD")" >>/root/marks
---
apiVersion: sealer.io/v2
kind: Plugin
metadata: {name: after}
spec:
  type: SHELL
  action: PostInstall
  on: master
  data: echo "PostInstall in $(basename "$PWD")" >>/root/marks
"""


def deployment(name: str, image: str) -> str:
    """A Deployment whose one pod says what is in its image, and stays; it may run anywhere."""
    labels = {"app": name}
    container = {
        "name": name,
        "image": image,
        "imagePullPolicy": "Always",  # what is on the host by chance does not count
        "command": ["/bin/sh", "-c", "cat /file; echo; exec sleep 100000"],
    }
    spec = {"containers": [container], "tolerations": [{"operator": "Exists"}], "terminationGracePeriodSeconds": 0}
    pod = {"metadata": {"labels": labels}, "spec": spec}
    return yaml.safe_dump(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {"selector": {"matchLabels": labels}, "template": pod},
        }
    )


@dataclass(frozen=True)
class Workshop:
    """Where images are built: a home with the base image, and archives of container images."""

    builder: Kubernetes
    archives: Path
    directory: Path

    def build(self, name: str, kubefile: str, *more: str, **files: str) -> None:
        context = self.directory / name.rpartition("/")[2].partition(":")[0]
        context.mkdir(exist_ok=True)
        for path, content in {"Kubefile": kubefile, **files}.items():
            (context / path).write_text(content)
        options = ("--image-archive", str(self.archives), "--strict", *more)
        self.builder.sealer("build", "-t", name, *options, str(context))


@pytest.fixture(scope="module")
def workshop(base_home: Path, payload: Path, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    directory = tmp_path_factory.mktemp("workshop")
    archives = directory / "archives"
    archives.mkdir()
    with tarfile.open(payload / "images/busybox.tar") as tar:
        file = tar.extractfile(next(member for member in tar if member.name.endswith("layer.tar")))
        assert file
        busybox = file.read()
    for number, reference in enumerate((HERE, THERE, *SHOP)):
        write_tar(archives / f"{number}.tar", docker_members([reference], [busybox, layer(f"of {reference}")]))
    builder = Kubernetes(base_home, [], name="none")
    builder.sealer("tag", "kubernetes:base", "kubernetes:v1.20.2")
    return Workshop(builder, archives, directory)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with DockerRegistry(tmp_path_factory.mktemp("registry")) as started:
        yield started


@pytest.fixture(scope="module")
def web_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that has the application's manifest."""
    directory = tmp_path_factory.mktemp("web")
    manifests = [deployment("here", HERE), deployment("there", THERE)]
    (directory / "recommended.yaml").write_text("\n---\n".join(manifests))
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    with real_machines(2, "sealer-flow", options=Options(password=Secret(PASSWORD))) as made:
        yield made


@pytest.fixture(scope="module")
def site(machines: Machines, tmp_path_factory: pytest.TempPathFactory) -> Kubernetes:
    """Where images are run: a home that has none."""
    return Kubernetes(tmp_path_factory.mktemp("home"), [state.host for state in machines.list()], name="my-cluster")


def run(site: Kubernetes, *words: str, status: int = 0) -> str:
    log = site.run("run", *words, status=status)
    assert PASSWORD not in log
    return log


def logs(site: Kubernetes, name: str) -> str:
    return site.kubectl("logs", f"deployment/{name}").strip()


def says(site: Kubernetes, name: str, reference: str) -> bool:
    return logs(site, name) == f"of {reference}"


def rolled_out(site: Kubernetes, *names: str) -> None:
    for name in names:
        site.kubectl("rollout", "status", f"deployment/{name}", "--timeout=60s")


def test_build_push_and_remove(workshop: Workshop, registry: DockerRegistry, web_server: str) -> None:
    dashboard, iscsi = f"{registry.address}/ns/dashboard:latest", f"{registry.address}/ns/kubernetes-iscsi:v1.20.2"
    workshop.build(dashboard, DASHBOARD.format(address=web_server))
    workshop.build(iscsi, ISCSI, **{"shell.yaml": SHELL})
    store = Store(workshop.builder.home / "images")
    images = {image.reference for image in store.find(dashboard).containers}
    assert {HERE, THERE} <= images
    for name in (dashboard, iscsi):
        workshop.builder.sealer("push", name)
        workshop.builder.sealer("rmi", name)
    workshop.builder.sealer("prune")
    assert not {dashboard, iscsi} & {image.reference for image in store.list()}


def test_run_by_name_on_bare_hosts(site: Kubernetes, registry: DockerRegistry, machines: Machines) -> None:
    assert not machines.options.nat  # nothing leads out
    master, node = site.hosts
    words = ("--masters", master.address, "--nodes", node.address, "--passwd", PASSWORD)
    log = run(site, f"{registry.address}/ns/dashboard:latest", *words)
    assert f"Pull {registry.address}/ns/dashboard:latest" in log
    assert site.ready() == site.addresses(0, 1)


def test_pods_run_from_images_under_their_public_names(site: Kubernetes) -> None:
    rolled_out(site, "here", "there")
    pods = {item["spec"]["containers"][0]["image"]: item["status"] for item in site.items("pods")}
    for name in (HERE, THERE):
        assert pods[name]["phase"] == "Running"
        assert pods[name]["containerStatuses"][0]["image"] == name
    assert (logs(site, "here"), logs(site, "there")) == (f"of {HERE}", f"of {THERE}")


def test_an_application_that_comes_later(workshop: Workshop, site: Kubernetes, registry: DockerRegistry) -> None:
    """Its domain is new to the hosts. The same command again, and a newer version, bring it up to date.

    Its plugins run each time, around its CMDs: they are the application's, not the cluster's.
    """
    for number, reference in enumerate(SHOP, 1):
        name = f"{registry.address}/ns/shop:{number}"
        kubefile = 'FROM scratch\nKUBEVERSION ">= 1.20, < 1.21"\nCOPY shop.yaml .\nCOPY marks.yaml plugins\n'
        kubefile += "CMD kubectl apply -f shop.yaml\nCMD echo CMD >>/root/marks\n"
        files = {"shop.yaml": deployment("shop", reference), "marks.yaml": MARKS}
        workshop.build(name, kubefile, "--type", "app-installer", **files)
        workshop.builder.sealer("push", name)
        for _ in range(2):
            run(site, name)
            rolled_out(site, "shop")
            eventually(partial(says, site, "shop", reference), 60)
    installed = ["PreGuest in shop", "CMD", "PostInstall in shop"]
    assert site.on(0, "cat /root/marks").splitlines() == installed * 4
    assert site.on(1, "cat /root/marks").splitlines() == installed[:1] * 4
    before = (logs(site, "here"), logs(site, "there"))
    assert before == (f"of {HERE}", f"of {THERE}")


def test_an_application_for_another_kubernetes_is_refused(
    workshop: Workshop, site: Kubernetes, registry: DockerRegistry
) -> None:
    name = f"{registry.address}/ns/modern:1"
    kubefile = 'FROM scratch\nKUBEVERSION ">= 1.28"\nCMD kubectl create namespace modern\n'
    workshop.build(name, kubefile, "--type", "app-installer")
    workshop.builder.sealer("push", name)
    process = site.start("run", name, "--yes")
    said, _ = process.communicate(timeout=120)
    assert process.returncode not in (0, -9)
    assert ">= 1.28" in said
    assert "1.20.2" in said
    assert "modern" not in site.kubectl("get", "namespaces", "-o", "name")


def test_the_image_with_a_plugin_on_one_host(site: Kubernetes, registry: DockerRegistry) -> None:
    site.run("delete", "--all", "--name", site.name)
    key = ("--pk", site.hosts[0].ssh.private_key)
    run(site, f"{registry.address}/ns/kubernetes-iscsi:v1.20.2", "-m", site.hosts[0].address, *key)
    assert site.ready() == site.addresses(0)
    assert "Ready" in site.on(0, "cat /root/nodes")
    assert site.on(0, "cat /root/iscsi") == "apt-get"
    site.run("delete", "--all", "--name", site.name)
