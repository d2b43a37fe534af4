"""One master and two nodes, set up and changed by commands alone; pods reach each other, and outlive their nodes.

The tests of this file are one life of one cluster, in their order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest
import yaml
from host_state import left_on, state_of
from kubernetes_site import Kubernetes, home_of_its_own
from secrets_about import SECRET, CommandLines

from sealer.redaction import Secret
from sealer_plugin_nspawn.machines import Machines
from sealer_plugin_nspawn.options import Options
from sealer_plugin_nspawn.testing import real_machines

pytestmark = [pytest.mark.lab, pytest.mark.story, pytest.mark.timeout(900)]

PASSWORD = "Nodes of a test 1"
WIPED = 2.0  # seconds after which no process shows a password that it was given, on however busy a machine
BUSYBOX = "docker.io/library/busybox:1.35"
SERVE = "mkdir /www && hostname >/www/index.html && exec httpd -f -p 8080 -h /www"  # says which pod it is
KUBEFILE = "FROM kubernetes:base\nCOPY pods.yaml manifests/pods.yaml\nCMD kubectl apply -f manifests/pods.yaml\n"
KUBECTL = "kubectl --kubeconfig /etc/kubernetes/admin.conf"


def workload(kind: str, name: str, *, host_port: int = 0, **more: object) -> dict[str, object]:
    """Pods that say who they are; a DaemonSet's are on masters too."""
    port = {"containerPort": 8080, **({"hostPort": host_port} if host_port else {})}
    container = {
        "name": name,
        "image": BUSYBOX,
        "command": ["/bin/sh", "-c", SERVE],
        "ports": [port],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
    }
    pod = {
        "containers": [container],
        "terminationGracePeriodSeconds": 1,
        "tolerations": [{"operator": "Exists"}] if kind == "DaemonSet" else [],
    }
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
            **more,
        },
    }


PODS = [
    workload("DaemonSet", "web", host_port=8090),
    workload("Deployment", "shop", replicas=0),
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "shop"},
        "spec": {"selector": {"app": "shop"}, "ports": [{"port": 80, "targetPort": 8080}]},
    },
    {
        "apiVersion": "policy/v1beta1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "shop"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "shop"}}},
    },
]


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    with real_machines(3, "sealer-nodes", options=Options(password=Secret(PASSWORD))) as made:
        yield made


@pytest.fixture(scope="module")
def site(machines: Machines, base_home: Path, payload: Path, tmp_path_factory: pytest.TempPathFactory) -> Kubernetes:
    home = home_of_its_own(tmp_path_factory.mktemp("nodes"), base_home)
    site = Kubernetes(home, [state.host for state in machines.list()], name="nodes")
    context = home / "context"
    context.mkdir()
    (context / "Kubefile").write_text(KUBEFILE)
    (context / "pods.yaml").write_text(yaml.safe_dump_all(PODS))
    site.sealer("build", "-t", "nodes:1", "--image-archive", str(payload / "images/busybox.tar"), str(context))
    return site


@pytest.fixture(scope="module")
def before(site: Kubernetes) -> list[dict[str, list[str]]]:
    return [state_of(host) for host in site.hosts]


@pytest.fixture(scope="module")
def names(site: Kubernetes) -> list[str]:
    """What the nodes are called."""
    return [site.name_of(number) for number in range(3)]


def shown_with_password(site: Kubernetes, *words: str) -> None:
    """Run a command that is given the password, and see that neither it nor a token shows anywhere."""
    with CommandLines(site.home, site.hosts) as seen:
        log = site.run(*words, "-p", PASSWORD)
    assert PASSWORD not in log
    assert seen.showing("kubeadm join ")
    assert seen.showing(PASSWORD, age=WIPED) == []
    assert [line for line in seen.showing(PASSWORD) if " -m sealer " not in line] == []
    assert seen.showing(SECRET) == []


def pods_of(site: Kubernetes, name: str) -> dict[str, dict[str, str]]:
    """The address of each running pod of a workload, by its name, by the node it is on."""
    found: dict[str, dict[str, str]] = {}
    for item in json.loads(site.kubectl("get", "pods", "-l", f"app={name}", "-o", "json"))["items"]:
        if item["status"]["phase"] == "Running" and "deletionTimestamp" not in item["metadata"]:
            node = found.setdefault(item["spec"]["nodeName"], {})
            node[item["metadata"]["name"]] = item["status"]["podIP"]
    return found


def answer(site: Kubernetes, pod: str, address: str, port: int) -> str:
    """Which pod answers another one."""
    # Not wget: without the libraries that it looks up names of ports with, a static one crashes.
    ask = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {address} {port}"
    return site.kubectl("exec", pod, "--", "sh", "-c", ask).splitlines()[-1]


def test_one_master_and_two_nodes(site: Kubernetes, before: list[dict[str, list[str]]]) -> None:
    assert before
    first, second, third = (host.address for host in site.hosts)
    shown_with_password(site, "run", "nodes:1", "-m", first, "-n", f"{second},{third}", "--name", site.name)
    assert site.ready() == site.addresses(0, 1, 2)
    site.kubectl("rollout", "status", "daemonset/web", "--timeout=60s")


def test_pods_reach_each_other_across_hosts(site: Kubernetes, names: list[str]) -> None:
    web = pods_of(site, "web")
    assert set(web) == set(names)
    for one, other in permutations(names, 2):
        [asking], [(name, address)] = web[one], web[other].items()
        assert answer(site, asking, address, 8080) == name


def test_a_port_of_the_host_leads_to_its_pod(site: Kubernetes, names: list[str]) -> None:
    web = pods_of(site, "web")
    for one, other in permutations(range(3), 2):
        asked = site.on(one, f"curl -sS --max-time 5 http://{site.hosts[other].address}:8090/")
        assert [asked] == list(web[names[other]])


def test_a_service_is_reached_from_another_host(site: Kubernetes, names: list[str]) -> None:
    """Both pods of the service come to be on the last host."""
    site.on(0, f"{KUBECTL} cordon {names[1]} && {KUBECTL} scale deployment shop --replicas=2")
    site.kubectl("rollout", "status", "deployment/shop", "--timeout=60s")
    site.on(0, f"{KUBECTL} uncordon {names[1]}")
    shop, web = pods_of(site, "shop"), pods_of(site, "web")
    assert {name: len(pods) for name, pods in shop.items()} == {names[2]: 2}
    address = site.kubectl("get", "service", "shop", "-o", "jsonpath={.spec.clusterIP}").strip()
    for name in names[:2]:
        [asking] = web[name]
        assert answer(site, asking, address, 80) in shop[names[2]]


WATCH = """\
systemd-run -q --unit=watch --setenv=HOME=/root --setenv=KUBECONFIG=/etc/kubernetes/admin.conf sh -c '
    while sleep 0.5; do
        there=$(kubectl get node {node} -o name)
        left=$(kubectl get pods -l app=shop --field-selector spec.nodeName={node} -o name | wc -l)
        available=$(kubectl get deployment shop -o "jsonpath={{.status.availableReplicas}}")
        echo "${{there:-gone}} $left ${{available:-0}}"
    done >/root/watched'"""


def test_pods_move_before_their_node_goes(
    site: Kubernetes, names: list[str], before: list[dict[str, list[str]]]
) -> None:
    site.on(0, WATCH.format(node=names[2]))
    try:
        said = site.run("delete", "-n", site.hosts[2].address, "--name", site.name)
        assert "not all pods" not in said
        assert site.ready() == site.addresses(0, 1)
        assert {name: len(pods) for name, pods in pods_of(site, "shop").items()} == {names[1]: 2}
    finally:
        site.on(0, "systemctl stop watch")
    watched = [line.split() for line in site.on(0, "cat /root/watched && rm /root/watched").splitlines()]
    assert watched[0] == [f"node/{names[2]}", "2", "2"]
    assert min(int(available) for _, _, available in watched) >= 1
    assert next(left for there, left, _ in watched if there == "gone") == "0"
    assert left_on(site.hosts[2], before[2]) == ""


def test_a_node_joins(site: Kubernetes, names: list[str]) -> None:
    shown_with_password(site, "join", "-n", site.hosts[2].address, "--name", site.name)
    assert site.ready() == site.addresses(0, 1, 2)
    site.kubectl("rollout", "status", "daemonset/web", "--timeout=60s")
    assert site.on(0, f"curl -sS --max-time 5 http://{site.hosts[2].address}:8090/") in pods_of(site, "web")[names[2]]


def test_a_dead_node_is_taken_out(site: Kubernetes, machines: Machines) -> None:
    dead = site.hosts[2].address
    machines.kill(dead)
    assert dead in site.run("delete", "-n", dead, "--name", site.name, status=1)
    site.run("delete", "-n", dead, "--name", site.name, "--force")
    assert site.ready() == site.addresses(0, 1)


def test_deleting_leaves_hosts_as_they_were_found(site: Kubernetes, before: list[dict[str, list[str]]]) -> None:
    site.run("delete", "--all", "--name", site.name)
    assert [left_on(site.hosts[number], before[number]) for number in (0, 1)] == ["", ""]
