"""CLUSTERCHECK: what it takes for ready, how it waits, and what it says when it gives up.

The cluster is a double here: what a pod says when its image is missing, or a control plane that comes and goes, is not
had at will from a real one. The real one is waited for by tests/kubernetes.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from sealer.clusterfile.reading import read
from sealer.errors import InputError, StepTimeoutError
from sealer.phases import Phase
from sealer.testing import Answers, BadData, PluginTypeContract, RecordedContext, Reply, make_document, make_operation
from sealer_plugin_clustercheck.check import COMPONENTS, ClusterCheck, Patience, check
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


Object = dict[str, Any]
MASTER, NODE = "192.0.2.11", "192.0.2.12"
STACKED = "etcd:\n  local:\n    dataDir: /var/lib/etcd\n"


def pod(name: str, *, ready: bool = True, on: str = NODE, since: str = "", **status: Any) -> Object:
    """A pod as the API has it; one named after a component of the control plane is such."""
    state = str(ready)
    conditions = [{"type": kind, "status": state, "lastTransitionTime": since} for kind in ("Ready", "ContainersReady")]
    return {
        "kind": "Pod",
        "metadata": {"name": name, "uid": f"uid-{name}", "labels": {"component": name}},
        "spec": {"nodeName": on, "containers": [{"name": "main"}]},
        "status": {"phase": "Running", "conditions": conditions, **status},
    }


def node(address: str, *, ready: bool = True, since: str = "", **condition: str) -> Object:
    """A node, named by its address."""
    conditions = [{"type": "Ready", "status": str(ready), "lastTransitionTime": since, **condition}]
    addresses = [{"type": "Hostname", "address": "h"}, {"type": "InternalIP", "address": address}]
    return {
        "kind": "Node",
        "metadata": {"name": address},
        "status": {"conditions": conditions, "addresses": addresses},
    }


def container(name: str = "main", **more: Any) -> Object:
    return {"name": name, "ready": False, "state": {"running": {}}, **more}


def waiting(reason: str, message: str = "") -> Object:
    return container(state={"waiting": {"reason": reason, "message": message}})


def control_plane(*components: str) -> list[Object]:
    return [pod(name, on=MASTER) for name in (*COMPONENTS, *components)]


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (pod("a", ready=False, containerStatuses=[waiting("ImagePullBackOff", "no\nsuch image")]),
         "pod/a: container main: ImagePullBackOff: no such image"),
        (pod("a", ready=False, initContainerStatuses=[waiting("CrashLoopBackOff")]),
         "pod/a: container main: CrashLoopBackOff"),
        (pod("a", ready=False, containerStatuses=[container("x")]),
         "pod/a: container x runs, and is not ready"),
        (pod("a", ready=False, phase="Pending", conditions=[
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}]),
         "pod/a: not scheduled: Unschedulable: 0/1 nodes"),
        (pod("a", ready=False, phase="Pending", conditions=[]), "pod/a: Pending"),
    ],
)  # fmt: skip
def test_a_pod_that_is_not_ready_says_why(found: Object, why: str) -> None:
    assert [str(one) for one in of_pods([found])] == [why]


def test_pods_that_are_done_are_ready() -> None:
    done = {"metadata": {"name": "job"}, "status": {"phase": "Succeeded"}}
    assert list(of_pods([pod("a"), done])) == []


def test_a_pod_that_goes_is_not() -> None:
    going = pod("a")
    going["metadata"]["deletionTimestamp"] = "now"
    assert [str(one) for one in of_pods([going])] == ["pod/a: it is being deleted"]


def test_a_cluster_without_pods_is_not_ready() -> None:
    assert [str(one) for one in of_pods([])] == ["namespace/kube-system: it has no pod yet"]


class TestStartedContainers:
    """A kubelet tells that a container started before it calls it ready."""

    started = container(started=True)

    def test_without_a_probe_of_readiness_it_is_ready(self) -> None:
        others = container("b", ready=True)
        assert list(of_pods([pod("a", ready=False, containerStatuses=[self.started, others])])) == []

    @pytest.mark.parametrize("status", [container(started=False), container(), waiting("ErrImagePull")])
    def test_one_that_did_not_start_is_not(self, status: Object) -> None:
        assert list(of_pods([pod("a", ready=False, containerStatuses=[self.started, status])]))

    def test_one_with_such_a_probe_is_not(self) -> None:
        probed = pod("a", ready=False, containerStatuses=[self.started])
        probed["spec"]["containers"] = [{"name": "main", "readinessProbe": {}}]
        assert list(of_pods([probed]))

    def test_a_pod_with_gates_is_not(self) -> None:
        gated = pod("a", ready=False, containerStatuses=[self.started])
        gated["spec"]["readinessGates"] = [{"conditionType": "www.example.com/open"}]
        assert list(of_pods([gated]))

    def test_on_a_node_that_does_not_answer_it_is_not(self) -> None:
        """The cluster itself calls such a pod unready, and leaves what was said of its containers."""
        dead = pod("a", ready=False, containerStatuses=[{**self.started, "ready": True}])
        dead["status"]["conditions"][1]["status"] = "True"
        assert list(of_pods([dead]))


def test_nodes() -> None:
    late = node(NODE, ready=False, reason="KubeletNotReady", message="no CNI")
    found = [str(one) for one in of_nodes([node(MASTER), late], [MASTER, NODE, "192.0.2.13"])]
    assert found == ["host 192.0.2.13: it is no node of the cluster yet", f"node/{NODE}: no CNI"]


class Cluster(Answers):
    """Answers with one state of nodes and pods after the other; the last stays."""

    def __init__(self, *states: list[Object], configuration: str = "") -> None:
        super().__init__()
        self.states = list(states)
        self.configuration = configuration
        self.asked: list[str] = []

    def reply(self, host: str, command: str) -> Reply:
        self.asked.append(command)
        if command.startswith("kubectl get nodes,pods -n kube-system"):
            state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
            nodes = [] if any(item["kind"] == "Node" for item in state) else [node(MASTER), node(NODE)]
            return Reply(json.dumps({"items": [*nodes, *state]}))
        if "configmap" in command and self.configuration:
            return Reply(json.dumps({"data": {"ClusterConfiguration": self.configuration}}))
        return Reply()

    @property
    def looks(self) -> int:
        """How often all was looked at."""
        return len([command for command in self.asked if command.startswith("kubectl get nodes,pods")])


QUICK = Patience(stable=0, timeout=30)


def run(cluster: Cluster, patience: Patience = QUICK, **operation: Any) -> list[str]:
    """Wait for it; gives what was told meanwhile."""
    made = make_operation(**{"kind": "create", "nodes": 1, **operation})
    context = RecordedContext(made, made.first_master, answers=cluster)
    check(context, patience)
    return [call.text for call in context.calls if call.what == "log"]


def why_not(cluster: Cluster, **operation: Any) -> str:
    """What is said when it is not stable in time."""
    with pytest.raises(StepTimeoutError) as caught:
        run(cluster, Patience(stable=0, timeout=0.2), **operation)
    assert "sealer kubectl -- get pods" in caught.value.remedy
    return str(caught.value.why)


def test_a_stable_cluster_is_passed_at_once() -> None:
    cluster = Cluster([pod("a")])
    run(cluster)
    assert not [command for command in cluster.asked if "wait" in command or "sleep" in command]


def test_the_pod_that_is_not_ready_is_watched() -> None:
    cluster = Cluster([pod("a"), pod("b", ready=False, containerStatuses=[waiting("Creating")])], [pod("a"), pod("b")])
    run(cluster)
    assert [command for command in cluster.asked if " wait " in command] == [
        "kubectl wait pod/b -n kube-system --for=condition=Ready --timeout=30s"
    ]


def test_the_pod_that_goes_is_watched_until_it_is_gone() -> None:
    going = pod("b")
    going["metadata"]["deletionTimestamp"] = "now"
    cluster = Cluster([pod("a"), going], [pod("a")])
    run(cluster)
    assert [command for command in cluster.asked if " wait " in command] == [
        "kubectl wait pod/b -n kube-system --for=delete --timeout=30s"
    ]


def test_what_cannot_be_watched_is_not_asked_for_without_pause() -> None:
    """What it is waited for is gone when it is watched: kubectl returns at once."""
    cluster = Cluster(*[[pod("a", ready=False, phase="Pending", conditions=[])]] * 3, [pod("b")])
    run(cluster)
    assert [command for command in cluster.asked if "sleep" in command] == ["sleep 2.0"] * 2
    assert cluster.looks == 5


RESTARTED = pod("a", containerStatuses=[{"name": "m", "ready": True, "restartCount": 1}])
ANEW = {**pod("a"), "metadata": {"name": "a", "uid": "another"}}


class TestStability:
    @pytest.mark.parametrize(
        ("then", "told"),
        [
            ([RESTARTED], "pod/a: a container of it was started again"),
            ([ANEW], "pod/a: it was recreated"),
            ([pod("a"), pod("b")], "pod/b: it is new"),
            ([pod("b")], "pod/a: it was there, and is gone"),
            ([pod("a", since="later")], "pod/a: it was not ready in between"),
            ([node(MASTER, since="later"), node(NODE), pod("a")], f"node/{MASTER}: it was not ready in between"),
            ([pod("a", ready=False, phase="Pending", conditions=[])], "pod/a: Pending"),
        ],
    )
    def test_what_changes_in_the_while_begins_it_anew(self, then: list[Object], told: str) -> None:
        was = [node(MASTER, since="once"), node(NODE), pod("a", since="once")]
        told_of = run(Cluster(was, then, [pod("c")]))
        assert told_of
        assert told in told_of[0]

    def test_a_job_that_ends_changes_nothing(self) -> None:
        done = {**pod("job"), "status": {"phase": "Succeeded"}}
        cluster = Cluster([pod("a"), pod("job")], [pod("a"), done])
        assert run(cluster) == []
        assert cluster.looks == 2

    def test_that_the_kubelet_calls_it_ready_at_last_changes_nothing(self) -> None:
        started = pod("a", ready=False, since="once", containerStatuses=[container(started=True)])
        assert run(Cluster([started], [pod("a", since="later")])) == []

    def test_a_long_while_is_looked_at_in_between(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sealer_plugin_clustercheck.check.ONE_LOOK", 0.1)
        cluster = Cluster([pod("a")], [pod("a")], [RESTARTED])
        assert run(cluster, Patience(stable=0.3, timeout=30)) == [
            "waiting for pod/a: a container of it was started again"
        ]
        assert cluster.asked.count("sleep 0.1") > 1


class TestControlPlane:
    def test_what_kubeadm_set_up_is_asked_for_on_each_master(self) -> None:
        why = why_not(Cluster(control_plane()[:-1], configuration=STACKED))
        assert why == (
            f"kube-scheduler of {MASTER}: the API knows no such pod on this master; "
            f"etcd of {MASTER}: the API knows no such pod on this master"
        )
        assert run(Cluster(control_plane("etcd"), configuration=STACKED)) == []

    def test_one_on_another_host_does_not_count(self) -> None:
        elsewhere = pod("etcd", on=NODE)
        assert why_not(Cluster([*control_plane(), elsewhere], configuration=STACKED)).startswith(f"etcd of {MASTER}")

    def test_etcd_of_others_is_not_asked_for(self) -> None:
        assert run(Cluster(control_plane(), configuration="etcd:\n  external:\n    endpoints: [https://a]\n")) == []

    def test_where_it_is_no_pods_the_api_is_all_there_is(self) -> None:
        assert run(Cluster([pod("a")])) == []


class TestHostsThatLeave:
    def test_they_may_be_dead(self) -> None:
        dead = [node(NODE, ready=False), pod("b", ready=False, phase="Pending", conditions=[])]
        leaving = [host for host in make_operation("create", nodes=1).hosts if host.address == NODE]
        cluster = Cluster([node(MASTER), *dead, pod("a", on=MASTER)])
        assert run(cluster, kind="delete", removed=leaving) == []
        assert f"node/{NODE}" in why_not(cluster)

    def test_where_all_leave_nothing_is_waited_for(self) -> None:
        document = make_document("CLUSTERCHECK", phases=[Phase.PRE_CLEAN])
        operation, cluster = make_operation("delete"), Cluster([])
        [step] = ClusterCheck().steps(operation, Phase.PRE_CLEAN, document, Patience())
        step.run(RecordedContext(operation, operation.first_master, answers=cluster))
        assert (cluster.asked, step.unreachable) == ([], "skip")


def test_what_is_not_ready_in_time_is_told_with_why() -> None:
    cluster = Cluster([pod("a", ready=False, containerStatuses=[waiting("ErrImagePull")])])
    assert why_not(cluster) == "pod/a: container main: ErrImagePull"


def test_without_an_api_server_it_is_asked_in_turns() -> None:
    class Dead(Cluster):
        def reply(self, host: str, command: str) -> Reply:
            if command.startswith("kubectl get nodes,pods") and not self.asked.count("sleep 2.0"):
                self.asked.append(command)
                return Reply("", 1, "connection refused")
            return super().reply(host, command)

    cluster = Dead([pod("a")])
    told = run(cluster)
    assert told == ["waiting for the API server: connection refused"]
    assert cluster.asked.count("sleep 2.0") == 1


ANSWERING = {Phase.PRE_GUEST, Phase.POST_INSTALL, Phase.POST_JOIN, Phase.PRE_CLEAN}


@pytest.mark.parametrize("phase", Phase)
def test_an_action_where_the_cluster_does_not_answer_is_refused(phase: Phase) -> None:
    head = "apiVersion: sealer.io/v2\nkind: Plugin\nmetadata: {name: a}\n"
    text = f"{head}spec: {{type: CLUSTERCHECK, action: {phase}}}\n"
    if phase in ANSWERING:
        assert read(text, "f", plugin_types={"CLUSTERCHECK": ClusterCheck()}).plugins[0].phases == (phase,)
        return
    with pytest.raises(InputError, match="a CLUSTERCHECK cannot act in"):
        read(text, "f", plugin_types={"CLUSTERCHECK": ClusterCheck()})
