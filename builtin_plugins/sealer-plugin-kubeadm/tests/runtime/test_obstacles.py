"""What a host may lack, and what it may not; and how it is found, where a test machine can have it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from sealer.clusterfile.model import Cluster, DriverChoice, KubeadmDocument
from sealer.errors import HostError, RefusedError
from sealer.extension import Operation
from sealer.image.model import RUNTIME_LABEL
from sealer.testing import Answers, Reply, make_operation, run_steps
from sealer_plugin_kubeadm import hooks
from sealer_plugin_kubeadm.documents.phases import wrong_check
from sealer_plugin_kubeadm.obstacles import obstacles
from sealer_plugin_kubeadm.scripts import script


def operation(*ignored: str, masters: int = 1, nodes: int = 0) -> Operation:
    """A cluster whose `spec.runtime` lets some checks fail."""
    options = {"ignorePreflightErrors": list(ignored)}
    made = make_operation(
        "create",
        masters=masters,
        nodes=nodes,
        spec=Cluster(name="c", image="testing:v1", runtime=DriverChoice("kubeadm", options)),
    )
    assert made.image
    rootfs = replace(made.image.first, labels={**made.image.first.labels, RUNTIME_LABEL: "kubeadm"})
    return replace(made, image=replace(made.image, rootfs=(rootfs,)))


def looked(ours: Operation, printed: str) -> list[str]:
    """The warnings, where hosts say this."""
    answers = Answers().on("MemTotal", Reply(printed))
    return run_steps(hooks.preflight_checks(ours), ours, answers=answers).messages()


SMALL = "name=a\nmemory=1740799\nprocessors=1\n"


def test_a_master_has_the_memory_and_the_processors_that_kubeadm_demands() -> None:
    with pytest.raises(HostError, match="This host has 1699 MiB of memory: a master needs 1700 MiB") as caught:
        looked(operation(), SMALL)
    assert caught.value.why.endswith("; This host has 1 processor: a master needs 2")
    assert "`ignorePreflightErrors: [Mem, NumCPU]` goes on all the same." in caught.value.remedy
    assert looked(operation(), "name=a\nmemory=1740800\nprocessors=2\n") == []


@pytest.mark.parametrize("names", [("Mem", "NumCPU"), ("mem", "NUMCPU"), ("all",)])
def test_what_may_fail_is_a_warning(names: tuple[str, ...]) -> None:
    assert looked(operation(*names), SMALL) == [
        "This host has 1699 MiB of memory: a master needs 1700 MiB; ignored, as Mem is named to be",
        "This host has 1 processor: a master needs 2; ignored, as NumCPU is named to be",
    ]


def test_one_that_may_fail_does_not_excuse_the_others() -> None:
    with pytest.raises(HostError, match="1 processor") as caught:
        looked(operation("Mem", "Port-10250"), f"{SMALL}busy=10250 6443\n")
    assert "memory" not in str(caught.value)
    assert "10250" not in str(caught.value)
    assert "6443" in str(caught.value)


def test_a_document_of_kubeadm_may_name_them_too() -> None:
    ours = operation()
    content = {"nodeRegistration": {"ignorePreflightErrors": ["Mem", "NumCPU"]}}
    document = KubeadmDocument("kubeadm.k8s.io/v1beta2", "InitConfiguration", content)
    assert len(looked(replace(ours, desired=replace(ours.desired, kubeadm=(document,))), SMALL)) == 2


def test_of_a_node_kubeadm_demands_neither() -> None:
    two = operation(nodes=1)
    node = two.nodes[0].id
    roomy = Reply("name=a\nmemory=9000000\nprocessors=4\n")

    def said(memory: int) -> list[str]:
        small = Reply(f"name=b\nmemory={memory}\nprocessors=1\n")
        answers = Answers().on("MemTotal", small, host=node).on("MemTotal", roomy)
        return run_steps(hooks.preflight_checks(two), two, answers=answers).messages()

    assert said(1048576) == []
    assert said(600 * 1024) == ["600 MiB of memory: a node with less than 700 MiB has hardly any for pods"]


@pytest.mark.parametrize(
    ("disks", "said"),
    [
        ("images_disk=40000 100000\npods_disk=40000 100000\n", []),
        ("images_disk=15000 100000\npods_disk=10000 100000\n", []),
        ("images_disk=14999 100000\npods_disk=14999 100000\n", ["14999 of 100000 MiB are free for /var/lib/cont"]),
        ("images_disk=40000 100000\npods_disk=9999 100000\n", ["9999 of 100000 MiB are free for /var/lib/kubelet"]),
        ("images_disk=2047 8000\npods_disk=2048 8000\n", ["2047 MiB are free for /var/lib/containerd"]),
        ("images_disk=\npods_disk=0 0\n", []),
    ],
)  # fmt: skip
def test_disks_that_are_full_are_warned_of(disks: str, said: list[str]) -> None:
    found = looked(operation(), f"name=a\n{disks}")
    assert len(found) == len(said)
    assert all(line.startswith(start) for line, start in zip(found, said, strict=True))


@pytest.mark.parametrize(
    ("line", "says", "check"),
    [
        ("runtime=/run/crio/crio.sock", "something listens on /run/crio/crio.sock", "CRI"),
        (
            "fixed=net/ipv4/ip_forward",
            "net.ipv4.ip_forward is not 1 on this host, and cannot be set",
            "FileContent--proc-sys-net-ipv4-ip_forward",
        ),
        ("busy=6443", "Port 6443 of this host is taken", "Port-6443"),
    ],
)
def test_other_obstacles_have_kubeadms_names(line: str, says: str, check: str) -> None:
    printed = f"name=a\n{line}\n"
    with pytest.raises(HostError) as caught:
        looked(operation(), printed)
    assert says in str(caught.value)
    assert looked(operation(check), printed)[0].endswith(f"; ignored, as {check} is named to be")
    assert wrong_check(check) == "", "the user can name it"


def test_a_node_of_another_cluster_cannot_be_ignored() -> None:
    for of in ("node=kubelet.service runs", "left=/var/lib/rancher/k3s/server is there"):
        with pytest.raises(RefusedError, match="already") as caught:
            looked(operation("all"), f"{SMALL}{of}\nbusy=10250\n")
        assert "10250" not in str(caught.value), "it follows from the first"


def test_a_node_of_another_cluster_of_sealers_is_told_with_its_id_and_how_to_delete_that() -> None:
    with pytest.raises(RefusedError, match="another cluster that sealer made, id 11-22") as caught:
        looked(operation("all"), f"{SMALL}left=/etc/kubernetes/kubelet.conf is there\ncluster=11-22\n")
    assert "sealer delete --all --cluster-id 11-22 -m" in caught.value.remedy
    assert looked(operation("all"), "name=a\nmemory=9000000\nprocessors=2\ncluster=11-22\n") == [], "it has left"


def check(text: str = "", **environment: str) -> Mapping[str, str]:
    """What `check.sh` prints here."""
    env = {"PATH": os.environ["PATH"], "SEALER_IDENTITY": "/nowhere/cluster", "SEALER_CLUSTER_ID": "our-id"}
    env |= {"SEALER_DATA": "/nowhere", "SEALER_PORTS": ""}
    done = subprocess.run(
        ["sh", "-c", text or script("check")], env={**env, **environment}, capture_output=True, text=True, check=True
    )
    return dict(line.partition("=")[::2] for line in done.stdout.splitlines())


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_port_is_taken_when_somebody_listens(family: socket.AddressFamily) -> None:
    with socket.socket(family) as listening:
        listening.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
        port = str(listening.getsockname()[1])
        assert "busy" not in check(SEALER_PORTS=port), "it is bound, and nobody listens"
        listening.listen()
        assert check(SEALER_PORTS=f"1 {port}")["busy"] == port


def test_memory_processors_and_disks_of_this_machine() -> None:
    found = check()
    assert int(found["processors"]) >= 1
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1024
    assert abs(int(found["memory"]) - pages) <= 1
    free, size = map(int, found["images_disk"].split())
    disk = os.statvfs(next(path for path in map(Path, ("/var/lib/containerd", "/var/lib")) if path.is_dir()))
    assert size == disk.f_blocks * disk.f_frsize // 1048576
    assert 0 < free <= size
    assert [each.check for each in obstacles({**found, "runtime": "", "node": ""}, master=False)] == []


def test_a_host_that_an_earlier_run_came_to_is_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / "before/kubelet").mkdir(parents=True)
    assert check(SEALER_DATA=str(tmp_path))["ours"] == "yes"


@pytest.mark.parametrize(
    ("there", "says"),
    [
        ({"kubernetes/sealer/cluster": "our-id\n", "kubernetes/kubelet.conf": ""}, {"ours": "yes"}),
        (
            {"kubernetes/sealer/cluster": "their-id\n", "kubernetes/kubelet.conf": ""},
            {"cluster": "their-id", "left": "kubernetes/kubelet.conf is there"},
        ),
        # The id counts, whatever the cluster's own directory says.
        (
            {"kubernetes/sealer/cluster": "their-id\n", "data/before/kubelet/changes": "", "kubernetes/pki/ca.crt": ""},
            {"cluster": "their-id", "left": "kubernetes/pki/ca.crt is there"},
        ),
        ({"kubernetes/sealer/joined": "", "kubernetes/pki/ca.crt": ""}, {"left": "kubernetes/pki/ca.crt is there"}),
        ({"kubernetes/sealer/joined": "", "data/rootfs/bin/kubeadm": ""}, {"ours": "yes"}),
        ({"data/before/kubelet/changes": "", "kubernetes/kubelet.conf": ""}, {"ours": "yes"}),
        ({"rancher/k3s/server/token": ""}, {"left": "rancher/k3s/server is there"}),
        ({"rancher/rke2/agent/kubelet": ""}, {"left": "rancher/rke2/agent is there"}),
        ({"k0s/pki/ca.crt": ""}, {"left": "k0s/pki is there"}),
        ({"k0s/kubelet.conf": ""}, {"left": "k0s/kubelet.conf is there"}),
        ({"snap/microk8s/current": ""}, {"left": "snap/microk8s/current is there"}),
        ({"snap/lxd/current": "", "k0s/README": ""}, {}),
    ],
)
def test_whose_kubernetes_is_there(there: Mapping[str, str], says: Mapping[str, str], tmp_path: Path) -> None:
    for name, content in there.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    text = script("check").replace("/etc/kubernetes", f"{tmp_path}/kubernetes")
    text = text.replace("/var/lib/rancher", f"{tmp_path}/rancher")
    text = text.replace("/var/lib/k0s", f"{tmp_path}/k0s").replace("/var/snap", f"{tmp_path}/snap")
    identity = str(tmp_path / "kubernetes/sealer/cluster")
    found = check(text, SEALER_IDENTITY=identity, SEALER_DATA=str(tmp_path / "data"))
    told = {key: found[key].replace(f"{tmp_path}/", "") for key in ("ours", "cluster", "left") if key in found}
    assert told == says


@pytest.mark.parametrize("unit", ["kubelet", "k3s-agent", "rke2-server", "k0sworker", "snap.microk8s.daemon-kubelite"])
def test_a_unit_of_another_kubernetes_that_runs(unit: str, tmp_path: Path) -> None:
    """As systemctl says it."""
    program = tmp_path / "systemctl"
    program.write_text(f'#!/bin/sh\n[ "$1 $2 $3" = "is-active --quiet {unit}" ]\n')
    program.chmod(0o755)
    assert check(PATH=f"{tmp_path}:{os.environ['PATH']}")["node"] == f"{unit}.service runs"


def check_alone(directory: Path, text: str = "", before: str = ":") -> Mapping[str, str]:
    """What `check.sh` prints where no other process runs, and systemd does not answer.

    :param before: a line for the shell that runs it.
    """
    if os.geteuid() != 0:
        pytest.skip("only root can make a namespace for processes")
    systemctl = directory / "no-systemd" / "systemctl"
    systemctl.parent.mkdir(exist_ok=True)
    systemctl.write_text("#!/bin/sh\nexit 1\n")
    systemctl.chmod(0o755)
    (directory / "check").write_text(text or script("check"))
    line = f"unshare --pid --fork --kill-child --mount-proc sh -c '{before}\nsh {directory}/check'"
    return check(line, PATH=f"{systemctl.parent}:{os.environ['PATH']}")


@pytest.mark.parametrize("name", ["k0s", "k3s-server", "rke2", "kubelite", "kubelet"])
def test_a_process_of_another_kubernetes_is_seen_without_systemd(name: str, tmp_path: Path) -> None:
    program = tmp_path / name
    shutil.copy(shutil.which("sleep") or "", program)
    started = f"{program} 60 & until grep -qx {name} /proc/$!/comm; do sleep 0.02; done"
    assert check_alone(tmp_path, before=started)["node"].startswith(f"{name} runs, process ")
    in_container = f"unshare --pid --fork {program} 60 & until grep -qsx {name} /proc/[0-9]*/comm; do sleep 0.02; done"
    assert "node" not in check_alone(tmp_path, before=in_container)
    assert "node" not in check_alone(tmp_path)


@pytest.mark.parametrize("place", ["run/k3s/containerd/containerd.sock", "run/k0s/status.sock"])
def test_a_socket_of_another_kubernetes(place: str, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as listening:
        path = Path(short, place)
        path.parent.mkdir(parents=True)
        text = script("check").replace("^(/var)?/run/(k3s", f"^{short}/run/(k3s")
        listening.bind(str(path))
        assert "node" not in check_alone(tmp_path, text), "nobody listens"
        listening.listen()
        assert check_alone(tmp_path, text)["node"] == f"something listens on {path}"


def test_another_kubernetes_is_refused_whatever_may_fail() -> None:
    for of in ("k0s runs, process 7", "something listens on /run/k0s/status.sock", "snap.k8s.kubelet.service runs"):
        with pytest.raises(RefusedError, match="already") as caught:
            looked(operation("all"), f"{SMALL}node={of}\n")
        assert of in caught.value.why
