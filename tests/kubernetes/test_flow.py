"""The whole way of an application as a user types it: built on Kubernetes, pushed, and run by its name elsewhere.

The hosts have no route out, and the names of the container images lead nowhere: all that runs came with the image.
The tests of this file are one story, in their order.
"""

from __future__ import annotations

import http.server
import shutil
import tarfile
import threading
from collections.abc import Iterator, Sequence
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

pytestmark = [pytest.mark.lab, pytest.mark.story, pytest.mark.timeout(900)]

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
  data: echo "PreGuest in $(basename "$PWD")" >>"${Marks:-/root/marks}"
---
apiVersion: sealer.io/v2
kind: Plugin
metadata: {name: after}
spec:
  type: SHELL
  action: PostInstall
  on: master
  data: echo "PostInstall in $(basename "$PWD")" >>"${Marks:-/root/marks}"
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


@dataclass(frozen=True)
class Stranger:
    """A home of sealer that has no record of the site's cluster, and the kubeconfig of that."""

    home: Kubernetes
    kubeconfig: Path
    data_root: Path
    marks: Path
    images: Sequence[str]

    def words(self, image: str, *more: str) -> tuple[str, ...]:
        file = ("-f", str(self.home.clusterfile))
        return ("run", image, "--kubeconfig", str(self.kubeconfig), *file, "-e", f"Marks={self.marks}", *more)

    def done(self) -> list[str]:
        """What was marked since the last call."""
        found = self.marks.read_text().splitlines() if self.marks.exists() else []
        self.marks.unlink(missing_ok=True)
        return found


@pytest.fixture(scope="module")
def stranger(
    workshop: Workshop,
    site: Kubernetes,
    registry: DockerRegistry,
    payload: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Stranger:
    """Its application brings kubectl along: whether the machine has one does not matter."""
    directory = tmp_path_factory.mktemp("stranger")
    home = Kubernetes(tmp_path_factory.mktemp("home-of-stranger"), site.hosts, name="far")
    spec: dict[str, object] = {"dataRoot": str(directory / "data")}
    document = {"apiVersion": "sealer.io/v2", "kind": "Cluster", "metadata": {"name": "far"}, "spec": spec}
    home.clusterfile.write_text(yaml.safe_dump(document))
    images = [f"{registry.address}/ns/far:{number}" for number in (1, 2)]
    for name, reference in zip(images, SHOP, strict=True):
        kubefile = 'FROM scratch\nKUBEVERSION ">= 1.20, < 1.21"\nCOPY far.yaml .\nCOPY marks.yaml plugins\n'
        kubefile += 'COPY kubectl bin/\nCMD kubectl --cache-dir "$Marks-cache" apply -f far.yaml\n'
        kubefile += 'CMD command -v kubectl >>"$Marks"\n'
        context = workshop.directory / "far"
        context.mkdir(exist_ok=True)
        shutil.copy2(payload / "bin/kubectl", context / "kubectl")
        files = {"far.yaml": deployment("far", reference), "marks.yaml": MARKS}
        workshop.build(name, kubefile, "--type", "app-installer", **files)
        workshop.builder.sealer("push", name)
    kubeconfig = directory / "kubeconfig"
    shutil.copy2(site.home / "clusters" / site.name / "credentials" / "kubeconfig", kubeconfig)
    return Stranger(home, kubeconfig, directory / "data", directory / "marks", images)


def refused(stranger: Stranger, *words: str) -> str:
    process = stranger.home.start(*words)
    said, _ = process.communicate(timeout=120)
    assert process.returncode in (1, 2, 3), said
    return said


def test_an_application_onto_a_cluster_without_a_record_is_refused_before_anything_is_changed(
    stranger: Stranger, site: Kubernetes, registry: DockerRegistry
) -> None:
    image = stranger.images[0]
    assert SHOP[0] in refused(stranger, *stranger.words(image))  # nobody knows how its hosts get the image
    said = refused(stranger, *stranger.words(f"{registry.address}/ns/modern:1"))
    assert "it needs >= 1.28, and the cluster is v1.20.2" in said or "There is no kubectl here" in said
    elsewhere = stranger.kubeconfig.with_name("elsewhere")
    elsewhere.write_text(stranger.kubeconfig.read_text().replace(":6443", ":1"))
    words = ("run", image, "--kubeconfig", str(elsewhere), "--no-publish", "--name", "gone")
    assert f"https://{site.hosts[0].address}:1 does not tell its version" in refused(stranger, *words)
    stranger.home.sealer("delete", "--all", "--yes", "--name", "gone", status=None)  # where only the image has kubectl
    assert "There is no cluster" in stranger.home.sealer("status")
    assert not stranger.data_root.exists()
    assert "far" not in site.kubectl("get", "deployments", "-o", "name")


def test_an_application_onto_a_cluster_without_a_record(stranger: Stranger, site: Kubernetes) -> None:
    """Killed and continued, it is there once; its plugins and CMDs ran on the operator's machine."""
    words = stranger.words(stranger.images[0], "--no-publish", "--yes")
    process = stranger.home.start(*words)
    assert process.stdout
    for line in process.stdout:
        if "Unpack the layers: done" in line:
            break
    process.kill()
    process.communicate(timeout=30)
    assert "interrupted" in stranger.home.sealer("status", "--name", "far", "--recorded")
    assert "continuing the application" in stranger.home.sealer(*words)
    kubectl = str(stranger.data_root / "data/far/apps/far/bin/kubectl")
    assert stranger.done() == ["PreGuest in far", kubectl, "PostInstall in far"]
    rolled_out(site, "far")
    eventually(partial(says, site, "far", SHOP[0]), 60)


def test_it_is_upgraded_by_the_same_command(stranger: Stranger, site: Kubernetes, registry: DockerRegistry) -> None:
    """Its images go to a registry that is named; the record knows the kubeconfig."""
    document = yaml.safe_load(stranger.home.clusterfile.read_text())
    domain, _, port = registry.address.partition(":")
    document["spec"]["registry"] = {"externalRegistry": {"domain": domain, "port": int(port)}}
    stranger.home.clusterfile.write_text(yaml.safe_dump(document))
    again = ("run", stranger.images[1], "--name", "far", "-e", f"Marks={stranger.marks}", "--yes")
    said = stranger.home.sealer(*again, "-f", str(stranger.home.clusterfile))
    assert "set up the hosts of" in said
    assert len(stranger.done()) == 3
    rolled_out(site, "far")
    eventually(partial(says, site, "far", SHOP[1]), 60)
    assert (registry.storage / "docker/registry/v2/repositories/registry.example.com_5443/shop/_manifests").is_dir()
    # Once without publishing, and the registry is known all the same.
    for words in ((*again, "--no-publish"), again, stranger.words(stranger.images[1], "--yes")):
        stranger.home.sealer(*words)
        assert len(stranger.done()) == 3


def test_what_is_said_of_such_a_cluster_is_true(stranger: Stranger, site: Kubernetes) -> None:
    shown = stranger.home.sealer("status", "--name", "far")
    assert "(not made by sealer)" in shown
    assert "127.0.0.1  -" in shown
    assert "answers" in shown
    checked = stranger.home.sealer("check", "--name", "far")
    assert "The cluster's API answers" in checked
    assert site.hosts[0].address not in checked
    assert site.hosts[1].address in stranger.home.kubectl("get", "nodes", "-o", "wide")
    for words in (
        ("apply", "-f", str(stranger.home.clusterfile)),
        ("scale-up", "-n", site.hosts[1].address, "--name", "far"),
        ("delete", "-m", "127.0.0.1", "--name", "far"),
    ):
        assert "is not one that sealer made" in refused(stranger, *words)
    uid = stranger.data_root / "data/far/cluster"
    known = uid.read_text()
    uid.write_text("of another cluster")
    assert "This is not the cluster that 'far' was" in refused(stranger, *stranger.words(stranger.images[1]))
    uid.write_text(known)
    stranger.home.sealer("check", "--name", "far")  # nothing is unfinished


def test_it_is_forgotten_and_stays_as_it_is(stranger: Stranger, site: Kubernetes) -> None:
    """Reached from one of its masters it is the same, and the cluster's own files beside it stay."""
    stranger.home.sealer("delete", "--all", "--yes", "--name", "far")
    assert not stranger.data_root.exists()
    near = ("-m", site.hosts[0].address, "--pk", site.hosts[0].ssh.private_key)
    words = ("run", stranger.images[1], "--kubeconfig", str(stranger.kubeconfig), "--no-publish", "--name", site.name)
    said = refused(stranger, *words, *near)
    assert f"This host belongs to another cluster: '{site.name}'" in said
    login = ("-m", site.hosts[0].address, "--pk", site.hosts[0].ssh.private_key, "-e", "Marks=/root/near")
    words = ("run", stranger.images[1], "--kubeconfig", str(stranger.kubeconfig), "--no-publish", "--name", "near")
    before = site.on(0, "ls /var/lib/sealer/data /root/.ssh; md5sum /root/.ssh/authorized_keys /etc/hosts")
    stranger.home.sealer(*words, *login, "--yes")
    kubectl = "/var/lib/sealer/data/near/apps/far/bin/kubectl"
    assert site.on(0, "cat /root/near").splitlines() == ["PreGuest in far", kubectl, "PostInstall in far"]
    stranger.home.sealer("check", "--name", "near")
    stranger.home.sealer("delete", "--all", "--yes", "--name", "near")
    assert site.on(0, "ls /var/lib/sealer/data /root/.ssh; md5sum /root/.ssh/authorized_keys /etc/hosts") == before
    assert "There is no cluster" in stranger.home.sealer("status")
    assert says(site, "far", SHOP[1])
    assert site.ready() == site.addresses(0, 1)


def test_the_image_with_a_plugin_on_one_host(site: Kubernetes, registry: DockerRegistry) -> None:
    site.run("delete", "--all", "--name", site.name)
    key = ("--pk", site.hosts[0].ssh.private_key)
    run(site, f"{registry.address}/ns/kubernetes-iscsi:v1.20.2", "-m", site.hosts[0].address, *key)
    assert site.ready() == site.addresses(0)
    assert "Ready" in site.on(0, "cat /root/nodes")
    assert site.on(0, "cat /root/iscsi") == "apt-get"
    site.run("delete", "--all", "--name", site.name)
