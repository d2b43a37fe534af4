"""A Clusterfile with everything a user may write, on a real Kubernetes.

The tests of this file are one life of one cluster, in their order.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_site import SANS, Kubernetes, eventually, home_of_its_own, names_of

from sealer_plugin_nspawn.machines import Machines
from sealer_plugin_nspawn.testing import real_machines

pytestmark = [pytest.mark.lab, pytest.mark.story, pytest.mark.timeout(900)]

NAMES = ("control-0", "worker-0", "worker-1")
PHASES = ("PreInit", "PreJoin", "PostJoin", "PreGuest", "PostInstall", "PreClean", "PostClean")
COMING = "PreGuest|PostJoin"
MARK = 'echo "$(date +%s%N) {}" >>/root/marks\n'
PODS, SERVICES = "100.100.0.0/16", "10.200.0.0/22"
KUBEFILE = "FROM kubernetes:base\nCOPY etc etc\nCOPY plugins plugins\nCMD " + MARK.format("CMD")
FLAGS = {"event-ttl": "2h30m0s", "default-not-ready-toleration-seconds": "17"}
PATIENCE = "stable: 3s\ntimeout: 20s"
SCHEDULERS = ("get", "pods", "-n", "kube-system", "-l", "component=kube-scheduler")
SCHEDULER = "/etc/kubernetes/manifests/kube-scheduler.yaml"
CLUSTER_INFO = ("get", "configmap", "cluster-info", "-n", "kube-public")
METRICS = "127.0.0.1:10299"
IMAGE = {
    "etc/docker.conf.tmpl": '{{ index . "docker-dir" }} {{ .docker_dir }} {{ .Port | default "5000" }}\n',
    "etc/chart.yaml": "server:\n  tag: '1'\n  kind: web\nreplicas: 2\n",
    "etc/secret.yaml": "apiVersion: v1\nkind: Secret\nmetadata:\n  name: mysql\ndata:\n  kept: a2VwdA==\n",
    "etc/plain.yaml": "old: true\n",
}


def plugin(name: str, kind: str, data: str = "", **spec: str) -> dict[str, Any]:
    head = {"apiVersion": "sealer.aliyun.com/v1alpha1", "kind": "Plugin", "metadata": {"name": name}}
    return {**head, "spec": {"type": kind, **spec, **({"data": data} if data else {})}}


def kubeadm(kind: str, group: str = "kubeadm.k8s.io/v1beta4", **fields: object) -> dict[str, Any]:
    return {"apiVersion": group, "kind": kind, **fields}


# What a user wants of Kubernetes itself; its kubeadm speaks v1beta2.
KUBEADM = [
    kubeadm(
        "ClusterConfiguration",
        apiServer={"extraArgs": [{"name": name, "value": value} for name, value in FLAGS.items()]},
    ),
    kubeadm("KubeletConfiguration", "kubelet.config.k8s.io/v1beta1", maxPods=42),
    kubeadm("KubeProxyConfiguration", "kubeproxy.config.k8s.io/v1alpha1", metricsBindAddress=METRICS),
]


def config(path: str, data: object, **spec: str) -> dict[str, Any]:
    head = {"apiVersion": "sealer.aliyun.com/v1alpha1", "kind": "Config", "metadata": {"name": path.rpartition("/")[2]}}
    return {**head, "spec": {"path": path, "data": data, **spec}}


class Everything(Kubernetes):
    """The site, its image and its Clusterfile."""

    masters = 1

    def build(self) -> None:
        context = self.home / "everything"
        carried = plugin("carried", "SHELL", MARK.format("carried"), action="PreGuest")
        for path, content in {**IMAGE, "Kubefile": KUBEFILE, "plugins/carried.yaml": yaml.safe_dump(carried)}.items():
            (context / path).parent.mkdir(parents=True, exist_ok=True)
            (context / path).write_text(content)
        self.sealer("build", "-t", "everything:1", str(context))

    def write_all(self, *members: int, patience: str = "") -> None:
        a, b, c = (host.address for host in self.hosts)
        hosts: list[dict[str, Any]] = [self.described(number) for number in members]
        hosts[1] |= {"env": {"docker-dir": "/data/docker"}, "roles": ["node", "gpu"]}
        spec = {
            "image": "everything:1",
            "env": {"docker-dir": "/var/lib/docker"},
            "ssh": {"pk": self.hosts[0].ssh.private_key},
            "network": {"podCIDR": PODS, "svcCIDR": SERVICES},
            "certSANS": SANS,
            "runtime": {
                "name": "kubeadm",
                "skipPhases": ["bootstrap-token"],
                "ignorePreflightErrors": ["NumCPU"],
            },
            "hosts": hosts,
        }
        cluster = {"apiVersion": "sealer.cloud/v2", "kind": "Cluster", "metadata": {"name": self.name}, "spec": spec}
        taints = [
            f"{a} key1=value1:NoSchedule",
            f"{b} key2=value2:NoSchedule-",
            f"{a}-{b} key3:NoSchedule",
            f"{a},{b} key4:NoSchedule",
            f"{a} key5=:NoSchedule",
            f"{a} key6:NoSchedule-",
            f"{b} key7:NoSchedule-",
            f"{b} key-8=a-b:PreferNoSchedule",
            f"{b} key9:NoExecute",
            f"{c} late:NoSchedule",
        ]
        removed = [f"{a}-{b} key4:NoSchedule-", f"{b} key9-"]
        documents = [
            cluster,
            plugin("hostname", "HOSTNAME", "\n".join(map(" ".join, zip((a, b, c), NAMES, strict=True)))),
            *(plugin(phase.lower(), "SHELL", MARK.format(phase), action=phase) for phase in PHASES),
            plugin("environment", "SHELL", "tr '\\0' '\\n' </proc/$$/environ >/root/environment\n", action="PreInit"),
            plugin("label", "LABEL", f"{a} ssd=true\n{b} ssd=false,hdd=true\n{c} ssd=false\n", action=COMING),
            plugin("checkCluster", "CLUSTERCHECK", patience, action=f"{COMING}|PreClean"),
            plugin("taint", "TAINT", "\n".join(taints), action=COMING),
            plugin("untaint", "TAINT", "\n".join(removed), action="PostInstall"),
            plugin("selected", "SHELL", "pwd >/root/selected\n", action="PostInstall|PostJoin", on="ssd=false"),
            plugin(
                *("masters", "SHELL", "kubectl get nodes >/root/nodes\n"),
                **{"action": "PostInstall", "on": "node-role.kubernetes.io/master="},
            ),
            plugin("leaving", "LABEL", f"{a}-{c} leaving=yes", action="PreClean"),
            plugin("closed", "TAINT", f"{a}-{c} leaving:NoSchedule", action="PreClean"),
            plugin("left", "SHELL", MARK.format("left"), action="PreClean", on="leaving=yes"),
            plugin("last", "SHELL", "kubectl get nodes -o json >/root/last\n", action="PreClean", on="master0"),
            config("etc/plain.yaml", {"mysql-user": "root"}),
            config("etc/chart.yaml", {"server": {"tag": "2"}, "extra": ""}, strategy="merge"),
            config(
                *("etc/secret.yaml", {"user": "root", "passwd": "of a test"}),
                **{"strategy": "merge", "process": "value|toBase64|toSecret"},
            ),
            *KUBEADM,
        ]
        self.clusterfile.write_text(yaml.safe_dump_all(documents, sort_keys=False))

    def phases(self, number: int) -> list[tuple[int, str]]:
        lines = self.on(number, "cat /root/marks 2>/dev/null || true").splitlines()
        return [(int(line.split()[0]), line.split()[1]) for line in lines]

    def names_of_phases(self, number: int) -> list[str]:
        return [phase for _, phase in self.phases(number)]

    def rootfs(self, number: int, path: str) -> str:
        return self.on(number, f"cat /var/lib/sealer/data/{self.name}/rootfs/{path}")

    def node(self, number: int) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kubectl("get", "node", NAMES[number], "-o", "json"))
        return found

    def last_seen(self) -> set[str]:
        """The nodes with the label and the taint of those that leave, when they last were looked at."""
        return {
            item["metadata"]["name"]
            for item in json.loads(self.on(0, "cat /root/last"))["items"]
            if item["metadata"]["labels"].get("leaving") == "yes"
            and any((it["key"], it["effect"]) == ("leaving", "NoSchedule") for it in item["spec"].get("taints", []))
        }

    def not_well(self, status: int) -> list[str]:
        """What `sealer check` says is not well."""
        said = self.sealer("check", "--name", self.name, "--output", "json", status=status)
        [found] = [json.loads(line) for line in said.splitlines() if '"checks"' in line]
        return [json.dumps(one) for one in found["checks"] if one["state"] not in ("well", "warning")]

    def now(self) -> list[str]:
        """What the table of `sealer status` says of how each host is, in the order of hosts."""
        lines = self.sealer("status", "--name", self.name).splitlines()
        head = next(number for number, line in enumerate(lines) if line.startswith("HOST"))
        column = lines[head].index("NOW")
        said = {line.split()[0]: line[column:] for line in lines[head + 1 :]}
        return [said[host.address] for host in self.hosts if host.address in said]


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    with real_machines(3, "sealer-everything") as made:
        yield made


@pytest.fixture(scope="module")
def site(machines: Machines, base_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Everything:
    home = home_of_its_own(tmp_path_factory.mktemp("everything"), base_home)
    site = Everything(home, [state.host for state in machines.list()], name="everything")
    site.build()
    return site


def test_phases_come_in_their_order_on_their_hosts(site: Everything) -> None:
    site.write_all(0, 1)
    log = site.run()
    assert "Wait until the cluster is stable: done" in log
    assert site.ready() == site.addresses(0, 1)
    assert site.names_of_phases(0) == ["PreInit", "carried", "PreGuest", "CMD", "PostInstall"]
    assert site.names_of_phases(1) == ["PreInit", "carried", "PreGuest", "PostInstall"]
    times: dict[str, list[int]] = {}
    for at, phase in site.phases(0) + site.phases(1):
        times.setdefault(phase, []).append(at)
    for first, second in pairwise(["PreInit", "PreGuest", "CMD", "PostInstall"]):
        assert max(times[first]) < min(times[second])


def test_nodes_have_their_names_labels_and_taints(site: Everything) -> None:
    for number, labels in enumerate(({"ssd": "true"}, {"ssd": "false", "hdd": "true"})):
        node = site.node(number)
        assert labels.items() <= node["metadata"]["labels"].items()
        assert site.on(number, "hostname") == NAMES[number]
    assert site.node(1)["metadata"]["labels"]["node-role.kubernetes.io/gpu"] == ""
    taints = [
        {(it["key"], it.get("value", ""), it["effect"]) for it in site.node(number)["spec"]["taints"]}
        for number in (0, 1)
    ]
    assert taints[0] == {
        ("node-role.kubernetes.io/master", "", "NoSchedule"),
        ("key1", "value1", "NoSchedule"),
        ("key3", "", "NoSchedule"),
        ("key5", "", "NoSchedule"),
    }
    assert taints[1] == {("key3", "", "NoSchedule"), ("key-8", "a-b", "PreferNoSchedule")}


def test_scripts_on_the_hosts_that_a_label_selects(site: Everything) -> None:
    rootfs = f"/var/lib/sealer/data/{site.name}/rootfs"
    assert site.on(0, "ls /root/selected 2>/dev/null || true") == ""
    assert site.on(1, "cat /root/selected") == rootfs
    assert all(name in site.on(0, "cat /root/nodes") for name in NAMES[:2])
    assert site.on(1, "ls /root/nodes 2>/dev/null || true") == ""


def test_environment_and_templates_by_host(site: Everything) -> None:
    for number, directory in enumerate(("/var/lib/docker", "/data/docker")):
        assert site.rootfs(number, "etc/docker.conf") == f"{directory} {directory} 5000"
        lines = site.on(number, "cat /root/environment").splitlines()
        assert {f"docker-dir={directory}", f"docker_dir={directory}"} <= set(lines)


def test_config_documents(site: Everything) -> None:
    for number in (0, 1):
        assert yaml.safe_load(site.rootfs(number, "etc/plain.yaml")) == {"mysql-user": "root"}
        assert yaml.safe_load(site.rootfs(number, "etc/chart.yaml")) == {
            "server": {"tag": "2", "kind": "web"},
            "replicas": 2,
            "extra": "",
        }
        secret = yaml.safe_load(site.rootfs(number, "etc/secret.yaml"))["data"]
        decoded = {key: base64.b64decode(value).decode() for key, value in secret.items()}
        assert decoded == {"kept": "kept", "user": "root", "passwd": "of a test"}


def test_networks_and_certificates(site: Everything) -> None:
    for number in (0, 1):
        assert site.node(number)["spec"]["podCIDR"].startswith("100.100.")
    assert site.kubectl("get", "service", "kubernetes", "-o", "jsonpath={.spec.clusterIP}").strip() == "10.200.0.1"
    assert {*SANS, "10.200.0.1"} <= names_of(site.served(0))


def test_kubernetes_is_as_the_users_documents_have_it(site: Everything) -> None:
    served = site.on(0, "tr '\\0' '\\n' </proc/$(pidof kube-apiserver)/cmdline").splitlines()
    assert {f"--{name}={value}" for name, value in FLAGS.items()} <= set(served)
    for number in (0, 1):
        config = json.loads(site.kubectl("get", "--raw", f"/api/v1/nodes/{NAMES[number]}/proxy/configz"))
        assert config["kubeletconfig"]["maxPods"] == 42
        assert site.node(number)["status"]["capacity"]["pods"] == "42"
        assert "kube-proxy" in site.on(number, f"ss -ltnpH src {METRICS}")
    # The phase that was to be left out makes it.
    missing = site.sealer(*("kubectl", "--name", site.name, "--", *CLUSTER_INFO), status=1)
    assert 'configmaps "cluster-info" not found' in missing
    # And that kubelets may renew their certificates, which they can all the same.
    approved = site.kubectl("get", "clusterrolebinding", "kubeadm:node-autoapprove-certificate-rotation", "-o", "json")
    assert json.loads(approved)["subjects"][0]["name"] == "system:nodes"


def test_applying_the_same_again_changes_nothing(site: Everything) -> None:
    look = (
        "find /etc /root /usr/local /var/lib/kubelet /var/lib/sealer -xdev -newermt @{} ! -type d"
        " | grep -v '/pods/\\|/device-plugins/' || true"
    )

    def pods() -> dict[str, list[int]]:
        return {
            item["metadata"]["uid"]: [it["restartCount"] for it in item["status"].get("containerStatuses", [])]
            for item in site.items("pods")
        }

    def complete() -> bool:
        """Whether the API knows of each static pod, and of the containers of all pods: kubelets report them late."""
        manifests = sum(len(site.on(number, "ls /etc/kubernetes/manifests").split()) for number in (0, 1))
        kept = [item["metadata"].get("annotations", {}) for item in site.items("pods")]
        return sum("kubernetes.io/config.mirror" in one for one in kept) == manifests and all(pods().values())

    eventually(complete, 120)
    before, now = pods(), time.time()
    assert "already up to date" in site.run()
    assert [site.on(number, look.format(now)) for number in (0, 1)] == ["", ""]
    assert pods() == before


def test_check_and_status_tell_of_a_kubelet_that_was_stopped(site: Everything) -> None:
    assert site.not_well(0) == []
    assert site.now() == ["ready", "ready"]
    site.on(1, "systemctl stop kubelet")
    [at_once] = site.not_well(1)  # the API goes on saying for a while that the node is ready
    assert "The kubelet on this host is not running" in at_once
    eventually(lambda: not site.ready()[site.hosts[1].address], 90)
    found = site.not_well(1)
    assert found
    assert any(NAMES[1] in line or site.hosts[1].address in line for line in found)
    assert site.now() == ["ready", "not ready: Kubelet stopped posting node status."]
    site.on(1, "systemctl start kubelet")
    eventually(lambda: site.ready() == site.addresses(0, 1), 60)
    assert site.not_well(0) == []
    assert site.now() == ["ready", "ready"]


def test_check_tells_of_a_stopped_containerd_and_of_files_that_are_gone(site: Everything) -> None:
    """At once: what runs already goes on without them, and the node stays ready for a while."""
    site.on(1, "systemctl stop containerd")
    found = site.not_well(1)
    site.on(1, "systemctl start containerd")
    assert any("The container runtime on this host is not running" in line for line in found)
    site.on(1, "mv /etc/kubernetes /root/etc-kubernetes")
    found = site.not_well(1)
    site.on(1, "mv /root/etc-kubernetes /etc/kubernetes")
    assert any("Files of Kubernetes are missing on this host" in line for line in found)
    eventually(lambda: site.ready() == site.addresses(0, 1), 60)
    assert site.not_well(0) == []


def test_what_is_not_stable_in_time_is_told_with_why(site: Everything) -> None:
    """The host that comes is in, but a pod's image is nowhere, and the control plane lacks its scheduler."""
    absent = {"spec": {"nodeName": NAMES[1]}}
    options = ("-n", "kube-system", "--image=sea.hub:5000/absent:1", f"--overrides={json.dumps(absent)}")
    site.kubectl("run", "absent", *options)
    site.on(0, f"mv {SCHEDULER} /root/")
    eventually(lambda: "kube-scheduler" not in site.kubectl(*SCHEDULERS, "-o", "name"), 60)
    site.write_all(0, 1, 2, patience=PATIENCE)
    log = site.run(status=1)
    assert "The cluster is not stable after 20 s" in log
    assert f"kube-scheduler of {NAMES[0]}: the API knows no such pod on this master" in log
    assert re.search(r"pod/absent: container absent: (ErrImagePull|ImagePullBackOff): \S+", log)
    site.on(0, f"mv /root/kube-scheduler.yaml {SCHEDULER}")
    site.kubectl("delete", "pod", "absent", "-n", "kube-system", "--force", "--grace-period=0")
    started = "jsonpath={.items[*].status.containerStatuses[0].started}"
    eventually(lambda: site.kubectl(*SCHEDULERS, "-o", started).strip() == "true", 60)


def test_hosts_that_come_have_phases_of_their_own(site: Everything) -> None:
    before = [site.names_of_phases(number) for number in (0, 1)]
    site.write_all(0, 1, 2, patience=PATIENCE)  # as before: what was begun is finished
    assert "Wait until the cluster is stable: done" in site.run()
    assert site.ready() == site.addresses(0, 1, 2)
    assert site.names_of_phases(2) == ["PreJoin", "PostJoin"]
    assert [site.names_of_phases(number) for number in (0, 1)] == before
    node = site.node(2)
    assert node["metadata"]["name"] == site.on(2, "hostname") == NAMES[2]
    assert node["status"]["capacity"]["pods"] == "42"
    assert node["metadata"]["labels"]["ssd"] == "false"
    assert [(it["key"], it["effect"]) for it in node["spec"]["taints"]] == [("late", "NoSchedule")]
    assert site.on(2, "cat /root/selected") == f"/var/lib/sealer/data/{site.name}/rootfs"


def test_phases_of_a_host_that_goes(site: Everything) -> None:
    before = [site.names_of_phases(number) for number in (0, 1)]
    site.write_all(0, 1)
    assert "Wait until the cluster is stable: done" in site.run()
    assert site.names_of_phases(2) == ["PreJoin", "PostJoin", "PreClean", "left", "PostClean"]
    assert [site.names_of_phases(number) for number in (0, 1)] == before
    assert site.last_seen() == {NAMES[2]}


def test_phases_of_leaving(site: Everything) -> None:
    before = [site.names_of_phases(number) for number in (0, 1)]
    site.run("delete", "--all", "--name", site.name)
    for number in (0, 1):
        assert site.names_of_phases(number) == [*before[number], "PreClean", "left", "PostClean"]
    latest = max(at for number in (0, 1) for at, phase in site.phases(number) if phase == "left")
    assert latest < min(at for number in (0, 1) for at, phase in site.phases(number) if phase == "PostClean")
    assert site.last_seen() == set(NAMES[:2])
