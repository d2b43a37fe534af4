"""Kubernetes on real hosts, from the command line: three masters, whoever dies, comes and goes, and nothing stays.

The tests of this file are one life of one cluster, in their order; each leaves it whole.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import yaml
from host_state import differences, state_of
from kubernetes_site import SANS, Kubernetes, eventually, home_of_its_own, names_of, years_of

from sealer.errors import CommandError
from sealer_plugin_nspawn.machines import Machines
from sealer_plugin_nspawn.testing import on_host, real_machines

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

FAIL_OVER = 10.0  # seconds, of the balancer


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    with real_machines(5, "sealer-kubernetes", masters=3) as made:
        yield made


@pytest.fixture(scope="module")
def site(machines: Machines, base_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Kubernetes:
    home = home_of_its_own(tmp_path_factory.mktemp("clusters"), base_home)
    return Kubernetes(home, [state.host for state in machines.list()])


@pytest.fixture(scope="module")
def before(site: Kubernetes) -> dict[int, dict[str, list[str]]]:
    return {number: state_of(host) for number, host in enumerate(site.hosts)}


def test_three_masters_and_a_node(site: Kubernetes, before: dict[int, dict[str, list[str]]]) -> None:
    assert before
    site.spec(0, 1, 2, 3)
    log = site.run()
    assert site.ready() == site.addresses(0, 1, 2, 3)
    assert "token=" not in log
    assert not re.search(r"[a-z0-9]{6}\.[a-z0-9]{16}", log)
    assert "brings no CoreDNS" in log


def test_all_pods_run_from_the_private_registry(site: Kubernetes) -> None:
    phases = {item["metadata"]["name"]: item["status"]["phase"] for item in site.items("pods")}
    assert set(phases.values()) == {"Running"}
    for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        assert len([pod for pod in phases if pod.startswith(name)]) == 3
    assert len([pod for pod in phases if pod.startswith("kube-proxy")]) == 4


def test_the_balancer_is_seen_by_the_api(site: Kubernetes) -> None:
    """It runs before there is an API to tell: the kubelet does that when it looks at its pods the next time."""
    eventually(lambda: any(it["metadata"]["name"].startswith("sealer-balancer") for it in site.items("pods")), 120)


def test_no_secret_lies_about(site: Kubernetes) -> None:
    """Tokens of kubeadm have run out, nothing of the certificates was uploaded, and keys are root's alone."""
    secrets = [item["metadata"]["name"] for item in site.items("secrets")]
    assert "kubeadm-certs" not in secrets
    for number in range(4):
        assert site.on(number, "ls /etc/kubernetes/sealer") == "\n".join(
            ["balancer.cfg", "joined"] if number == 3 else ["joined"]
        )
        keys = site.on(number, r"find /etc/kubernetes \( -name '*.key' -o -name '*.conf' \) -perm /077")
        assert keys == ""
        assert site.on(number, "grep -rl 'PRIVATE KEY' /var/lib/sealer/data/*/receipts || true") == ""


def test_labels_and_taints_of_hosts(site: Kubernetes) -> None:
    node = next(it for it in site.items("nodes") if it["metadata"]["labels"].get("disk") == "ssd")
    taints = [taint for taint in node["spec"]["taints"] if taint["key"] == "my-key"]
    assert [(taint["value"], taint["effect"]) for taint in taints] == [("a-b", "NoSchedule")]


def test_certificates_have_all_names_and_live_for_a_century(site: Kubernetes) -> None:
    served = site.served(1)
    addresses = {host.address for host in site.hosts[:3]}
    assert {*addresses, *SANS, "127.0.0.1", "apiserver.cluster.local"} <= names_of(served)
    assert years_of(served) >= 99


def test_kubeconfigs_on_the_operators_machine(site: Kubernetes) -> None:
    kept = site.credentials / "kubeconfig"
    assert kept.stat().st_mode & 0o777 == 0o600
    for path in (kept, site.home / "kubeconfig"):
        content = yaml.safe_load(path.read_text())
        assert content["clusters"][0]["cluster"]["server"] == f"https://{site.hosts[0].address}:6443"
        assert content["current-context"] == f"sealer-{site.name}"


def test_kubectl_passes_on_what_it_is_given_and_what_comes_of_it(site: Kubernetes) -> None:
    missing = site.sealer("kubectl", "--name", site.name, "--", "get", "pod", "nobody", status=1)
    assert 'pods "nobody" not found' in missing
    process = site.start("kubectl", "--name", site.name, "--", "get", "nodes", "--output", "name")
    output, _ = process.communicate(timeout=60)
    assert sorted(output.split()) == sorted(f"node/{item['metadata']['name']}" for item in site.items("nodes"))


def test_applying_the_same_again_changes_nothing(site: Kubernetes) -> None:
    look = "find /etc /var/lib/kubelet -xdev -type f -newermt @{} | grep -v '/pods/\\|/device-plugins/' || true"
    restarts = {item["metadata"]["uid"] for item in site.items("pods")}
    now = int(time.time())
    site.run()
    assert [site.on(number, look.format(now)) for number in range(4)] == [""] * 4
    assert {item["metadata"]["uid"] for item in site.items("pods")} == restarts


def test_a_node_comes_and_one_goes(site: Kubernetes, before: dict[int, dict[str, list[str]]]) -> None:
    site.spec(0, 1, 2, 3, 4)
    site.run()
    assert site.ready() == site.addresses(0, 1, 2, 3, 4)
    routes = "ip route show proto 155 | wc -l"
    assert [site.on(number, routes) for number in range(5)] == ["4"] * 5
    site.spec(0, 1, 2, 3)
    site.run()
    assert site.ready() == site.addresses(0, 1, 2, 3)
    assert [site.on(number, routes) for number in range(4)] == ["3"] * 4
    assert "\n".join(differences(before[4], state_of(site.hosts[4]))) == ""


def test_a_master_goes_and_comes_back(site: Kubernetes, before: dict[int, dict[str, list[str]]]) -> None:
    balancer = "grep -c 'server master' /etc/kubernetes/sealer/balancer.cfg"
    site.spec(0, 1, 3)
    site.run()
    assert site.ready() == site.addresses(0, 1, 3)
    assert site.on(3, balancer) == "2"
    assert "\n".join(differences(before[2], state_of(site.hosts[2]))) == ""
    site.spec(0, 1, 2, 3)
    site.run()
    assert site.ready() == site.addresses(0, 1, 2, 3)
    assert site.on(3, balancer) == "3"


def test_a_worker_goes_on_when_any_master_dies(site: Kubernetes, machines: Machines) -> None:
    """It asks the API through its balancer, with the kubelet's own right, while one master after the other dies."""
    ask = "kubectl --kubeconfig /etc/kubernetes/kubelet.conf --request-timeout=2s get node $(hostname) -o name"
    for number in range(3):
        address = site.hosts[number].address
        machines.kill(address)
        began = time.monotonic()
        answered = 0
        while answered < 3:  # three in a row: no one of them went to a master that was dead
            try:
                on_host(site.hosts[3], ask)
                answered += 1
            except CommandError:
                answered = 0
            assert time.monotonic() - began < FAIL_OVER, (
                f"the API did not answer for {FAIL_OVER} s after {address} died"
            )
        machines.boot(address)
        eventually(lambda: site.ready() == site.addresses(0, 1, 2, 3), 240)
        eventually(partial(site.healthy, number), 120)  # etcd is whole before the next dies


def test_the_majority_of_etcd_is_not_given_away(site: Kubernetes, machines: Machines) -> None:
    """A master is down; to take out one of the two that are left is refused before anything is changed."""
    machines.kill(site.hosts[2].address)
    site.spec(0, 2, 3)
    refused = site.run(status=3)
    assert "etcd would lose its majority" in refused
    # The dead one may go.
    site.spec(0, 1, 3)
    site.run("apply", "-f", str(site.clusterfile), "--force", "--abandon")
    assert site.ready() == site.addresses(0, 1, 3)


def test_deleting_leaves_hosts_as_they_were_found(site: Kubernetes, before: dict[int, dict[str, list[str]]]) -> None:
    site.run("delete", "--all", "--name", site.name)
    assert "\n".join(differences(before[3], state_of(site.hosts[3]))) == ""
    for number in (0, 1):  # they have been booted since, by which what systemd makes at a boot became other
        left = differences(before[number], state_of(site.hosts[number]))
        of_boot = ("/systemd-private-", "interfaces:", "fusectl")
        ours = [line for line in left if not any(word in line for word in of_boot)]
        assert "\n".join(ours) == ""
    assert not (site.home / "kubeconfig").exists()
