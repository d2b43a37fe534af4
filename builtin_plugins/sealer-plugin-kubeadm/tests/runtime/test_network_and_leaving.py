"""What hosts are told of each other's pods, and how they leave."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from sealer.errors import HostError, RefusedError
from sealer.testing import Answers, Recording, Reply, make_host, make_operation, run_steps
from sealer_plugin_kubeadm import leave, network


def node(number: int, *ranges: str, ready: bool = True) -> dict[str, Any]:
    return {
        "metadata": {"name": f"n{number}", "labels": {}, "resourceVersion": "7"},
        "spec": {"podCIDR": ranges[0], "podCIDRs": list(ranges)} if ranges else {},
        "status": {
            "addresses": [{"type": "InternalIP", "address": f"192.0.2.{number}"}],
            "conditions": [{"type": "Ready", "status": "True" if ready else "Unknown"}],
        },
    }


def listed(*nodes: dict[str, Any]) -> Reply:
    return Reply(json.dumps({"items": nodes}))


def told(recording: Recording) -> dict[str, dict[str, str]]:
    return {call.host: dict(call.env) for call in recording.calls if "PodCIDR" in call.env}


def test_each_host_learns_its_own_range_and_the_ways_to_the_others() -> None:
    operation = make_operation("create", nodes=1)
    nodes = listed(node(11, "100.64.0.0/24"), node(12, "100.64.1.0/24"))
    said = told(run_steps(network.steps(operation), operation, answers=Answers().on("get nodes", nodes)))
    assert said == {
        "192.0.2.11": {"PodCIDR": "100.64.0.0/24", "PodRoutes": "100.64.1.0/24 via 192.0.2.12"},
        "192.0.2.12": {"PodCIDR": "100.64.1.0/24", "PodRoutes": "100.64.0.0/24 via 192.0.2.11"},
    }


def test_hosts_that_stay_learn_the_way_to_one_that_comes() -> None:
    operation = make_operation("scale", masters=1, nodes=0, joining=1)
    (new,) = operation.added
    nodes = [node(11, "100.64.0.0/24"), node(0, "100.64.1.0/24")]
    nodes[1]["status"]["addresses"] = [{"type": "InternalIP", "address": new.address}]
    steps = network.steps(operation)
    said = told(run_steps(steps, operation, answers=Answers().on("get nodes", listed(*nodes))))
    assert said["192.0.2.11"]["PodRoutes"] == f"100.64.1.0/24 via {new.address}"
    assert said[new.address]["PodRoutes"] == "100.64.0.0/24 via 192.0.2.11"
    passed_over = {step.id: step.unreachable for step in steps if step.id != "pods"}
    assert passed_over == {"network-of-others": "skip", "network": "fail"}


def test_a_range_of_another_family_has_no_way_over_this_address() -> None:
    operation = make_operation("create", nodes=1)
    nodes = listed(node(11, "100.64.0.0/24", "fd64::/64"), node(12, "100.64.1.0/24", "fd64:0:0:1::/64"))
    said = told(run_steps(network.steps(operation), operation, answers=Answers().on("get nodes", nodes)))
    assert said["192.0.2.11"] == {"PodCIDR": "100.64.0.0/24,fd64::/64", "PodRoutes": "100.64.1.0/24 via 192.0.2.12"}


def test_ranges_that_come_late_are_waited_for_and_those_that_never_come_are_told() -> None:
    operation = make_operation("create", nodes=1)
    late, there = listed(node(11, "100.64.0.0/24"), node(12)), listed(node(11, "a"), node(12, "b"))
    run_steps(network.steps(operation), operation, answers=Answers().on("get nodes --output json", late, there))
    with pytest.raises(HostError, match=r"given to 192\.0\.2\.12") as caught:
        run_steps(network.steps(operation), operation, answers=Answers().on("get nodes --output json", late))
    assert "spec.network.podCIDR" in caught.value.remedy


ETCD = "SEALER_ETCD"


def place(scripts: list[str], words: str) -> int:
    return next(number for number, text in enumerate(scripts) if words in text)


def removal(*roles: str) -> Any:
    leaving = [make_host(90 + number, role) for number, role in enumerate(roles)]
    return make_operation("scale", masters=2, nodes=1, joining=0, removed=leaving)


def test_a_node_is_drained_and_deleted_by_its_address() -> None:
    operation = removal("node")
    answers = Answers().on("get nodes", listed(node(11), node(100)))
    scripts = run_steps(leave.forget(operation), operation, answers=answers).scripts("192.0.2.11")
    drained, deleted = (place(scripts, word) for word in (" drain n100 ", " delete node n100"))
    assert drained < deleted
    assert not any(ETCD in text for text in scripts)


def test_a_host_that_does_not_answer_is_not_waited_for() -> None:
    operation = removal("node")
    answers = Answers().on("get nodes", listed(node(100, ready=False)))
    recording = run_steps(leave.forget(operation), operation, answers=answers)
    assert not any(" drain " in text for text in recording.scripts())
    assert recording.messages() == ["n100 is not ready: its pods are not waited for"]


def test_a_host_that_died_a_moment_ago_is_not_waited_for_though_its_node_is_ready() -> None:
    operation = removal("node")
    operation = replace(operation, unreachable=frozenset(host.id for host in operation.removed))
    recording = run_steps(leave.forget(operation), operation, answers=Answers().on("get nodes", listed(node(100))))
    assert not any(" drain " in text for text in recording.scripts())
    assert any(" delete node n100" in text for text in recording.scripts())
    assert recording.messages() == ["n100 does not answer: its pods are not waited for"]


def test_pods_that_do_not_end_are_told_of_and_the_host_leaves_all_the_same() -> None:
    operation = removal("node")
    answers = Answers().on("get nodes", listed(node(100))).on(" drain ", Reply(status=1, stderr="a\nglobal timeout\n"))
    recording = run_steps(leave.forget(operation), operation, answers=answers)
    assert recording.messages() == ["not all pods of n100 ended within 120 s: global timeout"]
    assert any(" delete node n100" in text for text in recording.scripts())


def test_a_master_leaves_etcd_and_the_list_of_masters_that_kubeadm_keeps() -> None:
    operation = removal("master")
    status = "{apiEndpoints: {n11: {advertiseAddress: 192.0.2.11}, n100: {advertiseAddress: 192.0.2.100}}}"
    answers = (
        Answers()
        .on("get nodes", listed(node(11), node(100)))
        .on("configmap kubeadm-config -o json", Reply(json.dumps({"data": {"ClusterStatus": status}})))
        .on("member list", Reply("aa 192.0.2.11 yes\nbb 192.0.2.12 yes\ncc 192.0.2.100 yes\n"))
    )
    recording = run_steps(leave.forget(operation), operation, answers=answers)
    assert [call.env[ETCD] for call in recording.calls if ETCD in call.env] == ["list", "list", "remove cc"]
    patch = next(text for text in recording.scripts() if "patch configmap kubeadm-config" in text)
    assert "n100" not in patch
    assert "n11" in patch


def test_a_majority_that_would_be_lost_is_refused_before_anything_is_done() -> None:
    operation = removal("master")
    answers = Answers().on("member list", Reply("aa 192.0.2.11 yes\nbb 192.0.2.12 no\ncc 192.0.2.100 yes\n"))
    with pytest.raises(RefusedError) as caught:
        run_steps(leave.checks(operation), operation, answers=answers)
    assert "192.0.2.100" in str(caught.value)
    assert "192.0.2.12" in caught.value.why


def test_on_a_delete_nobody_is_left_to_forget() -> None:
    assert leave.forget(make_operation("delete")) == []
