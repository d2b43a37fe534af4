"""A Kubernetes that runs, and operators who do not know of each other: nothing of it is changed from elsewhere."""

from __future__ import annotations

import datetime
import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from host_state import left_on, state_of
from kubernetes_site import Kubernetes, home_of_its_own

from sealer.hosts import MASTER, Host
from sealer_plugin_kubeadm.pki import authorities
from sealer_plugin_nspawn.machines import Machines
from sealer_plugin_nspawn.testing import on_host, real_machines

pytestmark = pytest.mark.lab

SECONDS = 2400  # of the first test: it boots the hosts and makes the cluster
# All that an operation could have put on a host, but what Kubernetes itself changes all the time.
LOOK = """
find /etc /root/.ssh /var/lib/sealer /usr/local -xdev -type f -exec sha256sum {} + | sort -k2
find /etc /root /var/lib/sealer /usr/local -xdev -printf '%p %y %m %U\\n' | sort
systemctl show kubelet containerd --property MainPID
"""
# What `kubeadm` wants of a host that nobody but a person prepares.
BY_HAND = """
set -e
mkdir -p /etc/containerd /opt/cni/bin
cp /root/p/bin/* /usr/bin/; cp /root/p/cni/* /opt/cni/bin/
cat > /etc/containerd/config.toml <<'T'
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "k8s.gcr.io/pause:3.2"
  restrict_oom_score_adj = true
T
printf '[Service]\\nExecStart=/usr/bin/containerd\\nRestart=always\\nDelegate=yes\\nKillMode=process\\n' \
    > /etc/systemd/system/containerd.service
cat > /etc/systemd/system/kubelet.service <<'U'
[Service]
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
Environment="FILES=--kubeconfig=/etc/kubernetes/kubelet.conf --config=/var/lib/kubelet/config.yaml"
ExecStart=/usr/bin/kubelet $FILES $KUBELET_KUBEADM_ARGS
Restart=always
RestartSec=3
U
systemctl daemon-reload; systemctl start containerd; sysctl -qw net.ipv4.ip_forward=1
for image in /root/p/images/*.tar; do ctr -n k8s.io images import "$image" > /dev/null; done
cat > /root/kubeadm.yaml <<X
apiVersion: kubeadm.k8s.io/v1beta2
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: $ADDRESS}
nodeRegistration: {criSocket: /run/containerd/containerd.sock}
---
apiVersion: kubeadm.k8s.io/v1beta2
kind: ClusterConfiguration
kubernetesVersion: v1.20.2
networking: {podSubnet: 100.64.0.0/16, serviceSubnet: 10.96.0.0/22}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: cgroupfs
failSwapOn: false
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
conntrack: {maxPerCore: 0}
X
kubeadm init --config /root/kubeadm.yaml --skip-phases=preflight,addon/coredns > /root/init.log 2>&1 ||
    { tail -n 20 /root/init.log; exit 1; }
"""
NEEDED = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "pause", "etcd")
API = "kubectl --kubeconfig /etc/kubernetes/admin.conf --request-timeout=5s get --raw /readyz"


@pytest.fixture(scope="module")
def machines(payload: Path) -> Iterator[Machines]:
    with real_machines(2, "sealer-operators", masters=1) as made:
        yield made


@pytest.fixture(scope="module")
def untouched(machines: Machines) -> list[dict[str, list[str]]]:
    """The hosts before anything of Kubernetes was on them."""
    return [state_of(state.host) for state in machines.list()]


@pytest.fixture(scope="module")
def site(
    machines: Machines, untouched: object, base_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Kubernetes:
    """A cluster of one master."""
    home = home_of_its_own(tmp_path_factory.mktemp("operators"), base_home)
    made = Kubernetes(home, [state.host for state in machines.list()])
    made.spec(0)
    made.run()
    return made


def elsewhere(site: Kubernetes, directory: Path, name: str, *members: int, **spec: object) -> Kubernetes:
    """Another home with the same images, and a Clusterfile for some of the hosts, the first of them a master."""
    directory.mkdir(exist_ok=True)
    home = home_of_its_own(directory, site.home)
    first, *others = (site.hosts[number] for number in members)
    other = Kubernetes(home, [replace(first, roles=(MASTER,)), *others], name)
    other.masters = 1
    other.spec(*range(len(members)), **spec)
    return other


def look(host: Host) -> str:
    return on_host(host, LOOK)


def identifier(site: Kubernetes) -> str:
    shown = json.loads(site.sealer("status", "--output", "json", "--recorded", "--name", site.name))
    return str(shown["id"])


@pytest.mark.timeout(SECONDS)
def test_a_cluster_that_runs_is_refused_to_every_other_home(site: Kubernetes, tmp_path: Path) -> None:
    """By the id on the host, whatever the name; and where sealer's files lie elsewhere, by that in /etc/kubernetes."""
    ours, before = identifier(site), look(site.hosts[0])
    for name, spec in ((site.name, {}), ("another", {}), (site.name, {"dataRoot": "/srv/sealer"})):
        other = elsewhere(site, tmp_path / f"{name}{len(spec)}", name, 0, 1, **spec)
        said = other.run("apply", "-f", str(other.clusterfile), "--force", status=3)
        assert f"id {ours}" in said
        assert f"--cluster-id {ours} -m" in said
        assert "There is no cluster" in other.sealer("status")
    assert look(site.hosts[0]) == before
    assert on_host(site.hosts[1], "ls -d /var/lib/sealer /srv/sealer 2>/dev/null || true") == ""
    assert site.healthy(0)


@pytest.mark.timeout(SECONDS)
def test_a_kubernetes_that_another_tool_made_is_refused(site: Kubernetes, payload: Path, tmp_path: Path) -> None:
    """Made with kubeadm by hand; then neither a new cluster takes its host, nor one that runs."""
    host = site.hosts[1]
    files = [*(f"images/{name}.tar" for name in NEEDED), "bin", "cni"]
    send = f"tar -C {payload} -c {' '.join(files)} | ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
    key = f"-o LogLevel=ERROR -i {host.ssh.private_key} root@{host.address}"
    subprocess.run(f"{send} {key} 'mkdir -p /root/p && tar -x -C /root/p'", shell=True, check=True, timeout=300)
    script = tmp_path / "by-hand"
    script.write_text(f"ADDRESS={host.address}\n{BY_HAND}")
    ssh = f"ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null {key}"
    subprocess.run(f"{ssh} sh -s < {script}", shell=True, check=True, timeout=600)
    assert on_host(host, API) == "ok"
    before = look(host)
    other = elsewhere(site, tmp_path / "other", "another", 1)
    said = other.run(status=3)
    assert "This host is a node of a cluster already: kubelet.service runs" in said
    assert "There is no cluster" in other.sealer("status")
    said = site.run("scale-up", "--name", site.name, "-n", host.address, "--pk", host.ssh.private_key, status=3)
    assert "This host is a node of a cluster already" in said
    on_host(host, "systemctl stop kubelet")  # it is one all the same
    said = other.run(status=3)
    assert "/etc/kubernetes/kubelet.conf is there" in said
    on_host(host, "systemctl start kubelet")
    without_processes = [line for line in before.splitlines() if not line.startswith("MainPID")]
    assert [line for line in look(host).splitlines() if not line.startswith("MainPID")] == without_processes
    assert "already up to date" in site.run("apply", "-f", str(site.clusterfile))


@pytest.mark.timeout(SECONDS)
def test_no_certificate_is_replaced_by_one_of_another_authority(site: Kubernetes) -> None:
    """Somebody made the keys on the operator's machine anew, say: the cluster is not torn apart for that."""
    before = look(site.hosts[0])
    pki, aside = site.credentials / "pki", site.credentials / "pki-aside"
    pki.rename(aside)
    site.spec(0, certSANS=["late.example.org"])
    said = site.run(status=1)
    assert "The keys of the cluster's certificates cannot be read" in said
    authorities.make(site.credentials, datetime.timedelta(days=365))
    said = site.run(status=3)
    assert "/etc/kubernetes on this host is of another cluster" in said
    assert "/etc/kubernetes/pki/ca.crt" in said
    pki.rename(site.credentials / "pki-wrong")
    aside.rename(pki)
    after = look(site.hosts[0])
    certificates = [line for line in before.splitlines() if "/etc/kubernetes/" in line]
    assert [line for line in after.splitlines() if "/etc/kubernetes/" in line] == certificates
    assert site.healthy(0)
    site.run()


@pytest.mark.timeout(SECONDS)
def test_what_is_deleted_stops_only_its_own(
    site: Kubernetes, untouched: list[dict[str, list[str]]], tmp_path: Path
) -> None:
    """A delete leaves a Kubernetes alone that took the host since; that of a lost record leaves nothing of its own."""
    host, mark = site.hosts[0], "/etc/kubernetes/sealer/cluster"
    ours = on_host(host, f"cat {mark}")
    assert ours == identifier(site)
    rescue = elsewhere(site, tmp_path / "rescue", site.name, 0)
    words = ("delete", "--all", "--cluster-id", ours, "-m", host.address, "--pk", host.ssh.private_key)
    said = rescue.run(*words)
    assert "plugins of its Clusterfile do not run" in said
    assert left_on(host, untouched[0]) == ""
    assert on_host(site.hosts[1], API) == "ok"
