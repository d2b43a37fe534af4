"""CLUSTERCHECK: what it takes for ready, how it waits, and what it says when it gives up.

The cluster is a double here: what a pod says when its image is missing, or a control plane that comes and goes, is not
had at will from a real one. The real one is waited for by tests/kubernetes.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from sealer.errors import StepTimeoutError
from sealer.extension import Node, StepContext
from sealer.testing import Answers, BadData, PluginTypeContract, RecordedContext, Reply, make_operation
from sealer_plugin_clustercheck.check import ClusterCheck, Patience, check
from sealer_plugin_clustercheck.findings import of_nodes, of_pods


class TestClusterCheckContract(PluginTypeContract):
    plugin_type = ClusterCheck
    good = ("", None, {"stable": "10s", "timeout": "15m"}, "timeout: 1h", {"stable": 0, "timeout": 60})
    bad = (
        BadData("wait a bit", says="takes no data"),
        BadData({"time": "5m"}, says="'time' is no field"),
        BadData({"timeout": "soon"}, says="'soon' is no time"),
        BadData({"timeout": -5}, says="no time"),
        BadData({"timeout": 10, "stable": 10}, says="before the cluster is stable"),
        BadData({"timeout": True}, says="no time"),
    )
    differing = (("", {"timeout": "1h"}), ("", {"stable": 1}))


def pod(name: str, *, ready: bool = True, **status: Any) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": str(ready)}]
    return {
        "metadata": {"name": name, "uid": f"uid-{name}"},
        "status": {"phase": "Running", "conditions": conditions, **status},
    }


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"name": "main", "ready": False, "state": {"waiting": {"reason": reason, "message": message}}}


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (pod("a", ready=False, containerStatuses=[waiting("ImagePullBackOff", "no\nsuch image")]),
         "pod/a: container main: ImagePullBackOff: no such image"),
        (pod("a", ready=False, initContainerStatuses=[waiting("CrashLoopBackOff")]),
         "pod/a: container main: CrashLoopBackOff"),
        (pod("a", ready=False, containerStatuses=[{"name": "x", "ready": False, "state": {"running": {}}}]),
         "pod/a: container x runs, and is not ready"),
        (pod("a", ready=False, phase="Pending", conditions=[
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}]),
         "pod/a: not scheduled: Unschedulable: 0/1 nodes"),
        (pod("a", ready=False, phase="Pending", conditions=[]), "pod/a: Pending"),
    ],
)  # fmt: skip
def test_a_pod_that_is_not_ready_says_why(found: dict[str, Any], why: str) -> None:
    assert [str(one) for one in of_pods([found])] == [why]


def test_pods_that_are_done_are_ready() -> None:
    done = {"metadata": {"name": "job"}, "status": {"phase": "Succeeded"}}
    assert list(of_pods([pod("a"), done])) == []


def test_a_pod_that_goes_is_not() -> None:
    going = pod("a")
    going["metadata"]["deletionTimestamp"] = "now"
    assert [str(one) for one in of_pods([going])] == ["pod/a: it is being taken away"]


def test_a_cluster_without_pods_is_not_ready() -> None:
    assert [str(one) for one in of_pods([])] == ["namespace/kube-system: it has no pod yet"]


def test_nodes() -> None:
    nodes = [Node("m", "192.0.2.11", True), Node("n", "192.0.2.12", False, reason="KubeletNotReady: no CNI")]
    found = [str(one) for one in of_nodes(nodes, ["192.0.2.11", "192.0.2.12", "192.0.2.13"])]
    assert found == ["host 192.0.2.13: it is no node of the cluster yet", "node/n: KubeletNotReady: no CNI"]


class Cluster(Answers):
    """Answers with one state of the pods after the other; the last stays."""

    def __init__(self, *states: list[dict[str, Any]]) -> None:
        super().__init__()
        self.states = list(states)
        self.asked: list[str] = []

    def reply(self, host: str, command: str) -> Reply:
        self.asked.append(command)
        if command.startswith("kubectl get pods -n kube-system -o json"):
            state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
            return Reply(json.dumps({"items": state}))
        return Reply()


def run(cluster: Cluster, patience: Patience) -> StepContext:
    operation = make_operation("create")
    context = RecordedContext(operation, operation.first_master, answers=cluster)
    check(context, patience)
    return context


QUICK = Patience(stable=0, timeout=30)


def test_a_stable_cluster_is_passed_at_once() -> None:
    cluster = Cluster([pod("a")])
    run(cluster, QUICK)
    assert not [command for command in cluster.asked if "wait" in command]


def test_the_pod_that_is_not_ready_is_watched() -> None:
    cluster = Cluster([pod("a"), pod("b", ready=False, containerStatuses=[waiting("Creating")])], [pod("a"), pod("b")])
    run(cluster, QUICK)
    assert [command for command in cluster.asked if " wait " in command] == [
        "kubectl wait pod/b -n kube-system --for=condition=Ready --timeout=30s"
    ]


def test_a_container_that_starts_anew_is_not_stable() -> None:
    first = [pod("a", containerStatuses=[{"name": "m", "ready": True, "restartCount": 0}])]
    second = [pod("a", containerStatuses=[{"name": "m", "ready": True, "restartCount": 1}])]
    cluster = Cluster(first, second, second)
    run(cluster, QUICK)
    assert len([command for command in cluster.asked if command.endswith("-o json")]) > 2


def test_what_is_not_ready_in_time_is_told_with_why() -> None:
    cluster = Cluster([pod("a", ready=False, containerStatuses=[waiting("ErrImagePull")])])
    with pytest.raises(StepTimeoutError) as caught:
        run(cluster, Patience(stable=0, timeout=0.2))
    assert "pod/a: container main: ErrImagePull" in caught.value.why
    assert "kubectl get pods" in caught.value.remedy
