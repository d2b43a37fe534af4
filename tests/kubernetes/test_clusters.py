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
from host_state import differences, left_on, state_of
from kubernetes_site import SANS, Kubernetes, eventually, home_of_its_own, names_of, years_of
from secrets_about import SECRET, CommandLines, secrets_below, secrets_on

from sealer.errors import CommandError
from sealer.hosts import MASTER
from sealer_plugin_kubeadm.scripts import script
from sealer_plugin_nspawn.machines import Machines, Wanted
from sealer_plugin_nspawn.testing import on_host, real_machines

pytestmark = [pytest.mark.lab, pytest.mark.story, pytest.mark.timeout(900)]

FAIL_OVER = 10.0  # seconds, of the balancer
ROUTES = "ip route show proto 155 | wc -l"
BALANCED = "grep -c 'server master' /etc/kubernetes/sealer/balancer.cfg"


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
    with CommandLines(site.home, site.hosts) as seen:
        log = site.run()
    assert site.ready() == site.addresses(0, 1, 2, 3)
    assert seen.showing("kubeadm init ")
    assert seen.showing("kubeadm join ")
    assert seen.showing(f"{SECRET}|--token|--certificate-key") == []
    assert not re.search(SECRET, log)
    assert "brings no CoreDNS" in log


def test_all_pods_run_from_the_private_registry(site: Kubernetes) -> None:
    """Of static pods the API is told when the kubelet looks at them the next time, which takes it a minute or more."""
    wanted = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"] * 3 + ["kube-proxy"] * 4

    def all_run() -> bool:
        pods = {item["metadata"]["name"]: item["status"]["phase"] for item in site.items("pods")}
        kinds = [next((it for it in wanted if name.startswith(it)), "") for name in pods]
        return set(pods.values()) == {"Running"} and sorted(filter(None, kinds)) == sorted(wanted)

    eventually(all_run, 150)


def test_the_balancer_is_seen_by_the_api(site: Kubernetes) -> None:
    """It runs before there is an API to tell: the kubelet does that when it looks at its pods the next time."""
    eventually(lambda: any(it["metadata"]["name"].startswith("sealer-balancer") for it in site.items("pods")), 120)


def test_no_secret_lies_about(site: Kubernetes) -> None:
    """Nothing of the certificates was uploaded, no record or log has a key or a token, and keys are root's alone."""
    assert "kubeadm-certs" not in [item["metadata"]["name"] for item in site.items("secrets")]
    assert secrets_below(site.home / "clusters" / site.name, "credentials") == []
    registry = f"/var/lib/sealer/data/{site.name}/registry/tls.key"
    for number in range(4):
        assert site.on(number, "ls /etc/kubernetes/sealer") == "\n".join(
            ["balancer.cfg", "cluster", "joined"] if number == 3 else ["apiserver", "cluster", "joined"]
        )
        assert secrets_on(site.hosts[number]) == ([registry] if number == 0 else [])
        keys = rf"find /etc/kubernetes {registry} \( -name '*.key' -o -name '*.conf' \) -perm /077 2>/dev/null || true"
        assert site.on(number, keys) == ""


def test_labels_and_taints_of_hosts(site: Kubernetes) -> None:
    node = next(it for it in site.items("nodes") if it["metadata"]["labels"].get("disk") == "ssd")
    taints = [taint for taint in node["spec"]["taints"] if taint["key"] == "my-key"]
    assert [(taint["value"], taint["effect"]) for taint in taints] == [("a-b", "NoSchedule")]
    assert node["metadata"]["labels"]["node-role.kubernetes.io/gpu"] == ""


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


def test_the_first_master_goes_and_a_node_still_joins(
    site: Kubernetes, before: dict[int, dict[str, list[str]]]
) -> None:
    """The private registry has run on it until now, and the user's kubeconfig has asked it."""
    site.run("delete", "-m", site.hosts[0].address, "--name", site.name)
    assert site.ready() == site.addresses(1, 2, 3)
    assert site.on(3, BALANCED) == "2"
    assert site.asked() == {site.hosts[1].address}
    assert left_on(site.hosts[0], before[0]) == ""
    key = site.hosts[0].ssh.private_key
    site.run("scale-up", "-n", site.hosts[4].address, "--name", site.name, "--pk", key)
    assert site.ready() == site.addresses(1, 2, 3, 4)
    assert [site.on(number, ROUTES) for number in (1, 2, 3, 4)] == ["3"] * 4
    site.run_a_pod_on("first-gone", 1, 2, 3, 4)


def test_a_master_comes_while_a_node_goes(site: Kubernetes, before: dict[int, dict[str, list[str]]]) -> None:
    site.spec(0, 1, 2, 3)
    site.run()
    assert site.ready() == site.addresses(0, 1, 2, 3)
    assert site.on(3, BALANCED) == "3"
    assert [site.on(number, ROUTES) for number in range(4)] == ["3"] * 4
    assert left_on(site.hosts[4], before[4]) == ""


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


def test_no_token_of_kubeadm_is_left(site: Kubernetes) -> None:
    """What `kubeadm init` made for joining was good for two minutes."""
    assert [it["metadata"]["name"] for it in site.items("secrets") if "bootstrap" in it["type"]] == []


def test_the_first_master_is_lost(site: Kubernetes, machines: Machines) -> None:
    """To take out one of the two that are left is refused before anything is changed; the dead one may go.

    By then another machine stands at its address: it is forgotten through a master that lives, and nothing is done to
    the machine that is there now.
    """
    [lost] = site.asked()
    left = [number for number in range(3) if site.hosts[number].address != lost]
    machines.kill(lost)
    refused = site.run("delete", "-m", site.hosts[left[1]].address, "--name", site.name, status=3)
    assert "etcd would lose its majority" in refused
    assert lost in site.run("delete", "-m", lost, "--name", site.name, status=1)
    machines.remove([lost])
    [other] = machines.up([Wanted("master-99", MASTER)])
    assert other.address == lost
    found = state_of(other.host)
    assert "key" in site.run("delete", "-m", lost, "--name", site.name, status=1)
    assert members_of_etcd(site, left[0]) == {site.hosts[number].address for number in range(3)}
    said = site.run("delete", "-m", lost, "--name", site.name, "--force")
    assert "forgotten, not cleaned" in said
    assert members_of_etcd(site, left[0]) == {site.hosts[number].address for number in left}
    assert differences(found, state_of(other.host)) == []
    assert site.ready() == site.addresses(*left, 3)
    assert site.on(3, BALANCED) == "2"
    assert site.asked() <= {site.hosts[number].address for number in left}
    site.run_a_pod_on("first-lost", *left, 3)
    site.spec(*left, 3)
    assert "already up to date" in site.run()


def members_of_etcd(site: Kubernetes, number: int) -> set[str]:
    """The addresses of all of them, as the one on a master says."""
    listed = site.on(number, f"SEALER_ETCD=list\n{script('etcd')}")
    return {line.split()[1] for line in listed.splitlines()}


def test_deleting_leaves_hosts_as_they_were_found(site: Kubernetes, before: dict[int, dict[str, list[str]]]) -> None:
    members = [number for number in range(4) if site.hosts[number].address in site.nodes()]
    site.run("delete", "--all", "--name", site.name)
    assert left_on(site.hosts[3], before[3]) == ""
    for number in members:
        assert left_on(site.hosts[number], before[number], booted=True) == ""
    assert not (site.home / "kubeconfig").exists()
