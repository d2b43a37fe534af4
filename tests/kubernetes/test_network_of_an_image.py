"""A base image without a pod network, an application image that brings one, and a Clusterfile of the first form.

The tests of this file are one life of one host, in their order.
"""

from __future__ import annotations

import ipaddress
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from host_state import differences, state_of
from kubernetes_site import SANS, Kubernetes, eventually, home_of_its_own

from sealer_plugin_nspawn.machines import Machines
from sealer_plugin_nspawn.testing import real_machines

pytestmark = [pytest.mark.lab, pytest.mark.story, pytest.mark.timeout(600)]

NAME = "master-0"
PODS, SERVICES = "100.64.0.0/10", "10.96.0.0/22"
CONFLIST = "/etc/cni/net.d/20-ours.conflist"
KUBEFILE = "FROM kubernetes:bare\nCOPY plugins plugins\nCOPY web.yaml web.yaml\nCMD kubectl apply -f web.yaml\n"
# Each host asks for its own pods' addresses, by its kubelet's right, and gives them out.
NETWORK = """\
node() { kubectl --kubeconfig /etc/kubernetes/kubelet.conf get node "$(hostname)" -o "jsonpath=$1"; }
node '{.status.conditions[?(@.type=="Ready")].status}' >/root/before
for _ in $(seq 60); do
    cidr=$(node '{.spec.podCIDR}')
    [ -z "$cidr" ] || break
    sleep 1
done
cat >CONFLIST <<END
{"cniVersion": "0.4.0", "name": "ours", "plugins": [{"type": "ptp", "ipam": {"type": "host-local",
 "subnet": "$cidr", "routes": [{"dst": "0.0.0.0/0"}]}}]}
END
"""
UNTAINT = "kubectl taint nodes --all node-role.kubernetes.io/master-\n"


def document(kind: str, name: str, **spec: object) -> dict[str, object]:
    """A document of the first form."""
    return {"apiVersion": "sealer.aliyun.com/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


class FirstForm(Kubernetes):
    """One host, its image and its Clusterfile."""

    masters = 1

    def build(self, payload: Path) -> None:
        """The base without a network, and what brings one."""
        self.sealer("kubernetes", "base", "--from", str(payload), "--cni", "none", "-t", "kubernetes:bare")
        context = self.home / "context"
        (context / "plugins").mkdir(parents=True)
        network = NETWORK.replace("CONFLIST", CONFLIST)
        plugin = document("Plugin", "network", type="SHELL", action="PreGuest|PostJoin", data=network)
        (context / "plugins/network.yaml").write_text(yaml.safe_dump(plugin))
        containers = [{"name": "web", "image": "k8s.gcr.io/pause:3.2", "imagePullPolicy": "Always"}]
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": {"containers": containers}}
        (context / "web.yaml").write_text(yaml.safe_dump(pod))
        (context / "Kubefile").write_text(KUBEFILE)
        self.sealer("build", "-t", "networked:1", str(context))

    def events(self) -> list[dict[str, Any]]:
        """The events of the last run."""
        *_, path = sorted((self.home / "clusters" / self.name / "runs").glob("*/events.jsonl"))
        return [json.loads(line) for line in path.read_text().splitlines()]

    def write_first_form(self) -> None:
        """As users of the first form have it."""
        address = self.hosts[0].address
        cluster = document(
            *("Cluster", self.name),
            image="networked:1",
            provider="BAREMETAL",
            ssh={"pk": self.hosts[0].ssh.private_key, "user": "root"},
            network={"podCIDR": PODS, "svcCIDR": SERVICES},
            certSANS=SANS,
            masters={"ipList": [address]},
        )
        plugins = [
            document("Plugin", "hostname", type="HOSTNAME", data=f"{address} {NAME}\n"),
            document("Plugin", "stable", type="CLUSTERCHECK", action="PreGuest"),
            document(
                *("Plugin", "taint"),
                **{"type": "SHELL", "action": "PostInstall", "on": "node-role.kubernetes.io/master=", "data": UNTAINT},
            ),
        ]
        self.clusterfile.write_text(yaml.safe_dump_all([cluster, *plugins], sort_keys=False))


FLAG = "no-flag-of-the-kubelet"
# kubeadm waits for the API server for four minutes by default.
WRONG_FLAG = [
    {
        "apiVersion": "kubeadm.k8s.io/v1beta2",
        "kind": "InitConfiguration",
        "nodeRegistration": {"kubeletExtraArgs": {FLAG: "1"}},
    },
    {
        "apiVersion": "kubeadm.k8s.io/v1beta2",
        "kind": "ClusterConfiguration",
        "apiServer": {"timeoutForControlPlane": "15s"},
    },
]


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    with real_machines(1, "sealer-first-form") as made:
        yield made


@pytest.fixture(scope="module")
def site(machines: Machines, base_home: Path, payload: Path, tmp_path_factory: pytest.TempPathFactory) -> FirstForm:
    home = home_of_its_own(tmp_path_factory.mktemp("first-form"), base_home)
    site = FirstForm(home, [state.host for state in machines.list()], name="first-form")
    site.build(payload)
    return site


@pytest.fixture(scope="module")
def before(site: FirstForm) -> dict[str, list[str]]:
    return state_of(site.hosts[0])


def test_a_kubelet_that_does_not_start_says_why(site: FirstForm, before: dict[str, list[str]]) -> None:
    """Its reason is in the failure and in the run's events; when the Clusterfile is corrected, the install goes on."""
    assert before
    site.write_first_form()
    correct = site.clusterfile.read_text()
    site.clusterfile.write_text(f"{correct}---\n{yaml.safe_dump_all(WRONG_FLAG)}")
    said = site.run(status=1)
    failure = said[said.index("sealer: error:") :]
    assert "Initialize the first master" in failure
    assert f"logs on {site.hosts[0].address}:" in failure
    assert f"unknown flag: --{FLAG}" in failure
    assert "goroutine" not in failure.partition("logs on")[2]
    [failed] = [event for event in site.events() if event["state"] == "failed" and event["host"]]
    assert any(FLAG in line for line in failed["data"]["diagnosis"])
    assert "add --abandon" in failure
    site.clusterfile.write_text(correct)


def test_the_node_gets_ready_with_the_network_of_the_image(site: FirstForm) -> None:
    log = site.run("apply", "-f", str(site.clusterfile), "--abandon")
    assert site.on(0, "cat /root/before") == "False"
    assert site.on(0, "ls /etc/cni/net.d") == CONFLIST.rpartition("/")[2]
    assert "Wait until the cluster is stable: done" in log
    assert site.ready() == site.addresses(0)


def test_pods_have_addresses_of_the_first_forms_network(site: FirstForm) -> None:
    def status() -> dict[str, str]:
        found: dict[str, str] = next(it["status"] for it in site.items("pods") if it["metadata"]["name"] == "web")
        return found

    eventually(lambda: status()["phase"] == "Running", 60)
    [node] = site.items("nodes")
    assert ipaddress.ip_address(status()["podIP"]) in ipaddress.ip_network(node["spec"]["podCIDR"])
    assert ipaddress.ip_network(node["spec"]["podCIDR"]).subnet_of(ipaddress.ip_network(PODS))  # type: ignore[arg-type]  # both are of IPv4
    assert site.kubectl("get", "service", "kubernetes", "-o", "jsonpath={.spec.clusterIP}").strip() == "10.96.0.1"


def test_the_rest_of_the_first_form(site: FirstForm) -> None:
    [node] = site.items("nodes")
    assert node["metadata"]["name"] == site.on(0, "hostname") == NAME
    assert "taints" not in node["spec"]
    served = x509.load_pem_x509_certificate(ssl.get_server_certificate((site.hosts[0].address, 6443)).encode())
    names = served.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert SANS[0] in names.get_values_for_type(x509.DNSName)
    assert ipaddress.ip_address(SANS[1]) in names.get_values_for_type(x509.IPAddress)


def test_deleting_leaves_the_host_as_it_was_found(site: FirstForm, before: dict[str, list[str]]) -> None:
    site.run("delete", "--all", "--name", site.name)
    site.on(0, "rm /root/before")
    assert "\n".join(differences(before, state_of(site.hosts[0]))) == ""
