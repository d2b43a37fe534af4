"""What becomes of labels, taints and roles."""

from __future__ import annotations

from typing import Any

import pytest

from sealer.testing.clusters import make_host
from sealer_plugin_kubeadm.marks import Taint, patch_of


def node(labels: dict[str, str] | None = None, taints: list[dict[str, str]] | None = None) -> dict[str, Any]:
    return {"metadata": {"name": "n", "labels": labels or {}}, "spec": {"taints": taints or []}}


@pytest.mark.parametrize(
    ("text", "taint"),
    [
        ("key=value:NoSchedule", Taint("key", "value", "NoSchedule")),
        ("key:NoExecute", Taint("key", "", "NoExecute")),
        ("my-key=a-b:NoSchedule", Taint("my-key", "a-b", "NoSchedule")),
        ("my-key:NoSchedule-", Taint("my-key", "", "NoSchedule", removed=True)),
        ("my-key-", Taint("my-key", "", "", removed=True)),
        ("example.org/a=b:PreferNoSchedule", Taint("example.org/a", "b", "PreferNoSchedule")),
    ],
)
def test_a_hyphen_is_a_removal_at_the_very_end_alone(text: str, taint: Taint) -> None:
    assert Taint.parse(text) == taint


def test_what_is_so_already_is_left_alone() -> None:
    host = make_host(1, labels={"a": "b"}, taints=("k=v:NoSchedule",), roles=("node", "gpu"))
    present = node({"a": "b", "node-role.kubernetes.io/gpu": ""}, [{"key": "k", "value": "v", "effect": "NoSchedule"}])
    assert patch_of(present, host, None) == {}


def test_labels_taints_and_roles_come_and_those_of_others_stay() -> None:
    host = make_host(1, labels={"a": "b"}, taints=("k=v:NoSchedule",), roles=("node", "gpu"))
    others = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
    patch = patch_of(node({"x": "y"}, [others]), host, None)
    assert patch["metadata"]["labels"] == {"a": "b", "node-role.kubernetes.io/gpu": ""}
    assert patch["spec"]["taints"] == [others, {"key": "k", "effect": "NoSchedule", "value": "v"}]


def test_what_the_clusterfile_does_not_say_any_more_goes() -> None:
    before = make_host(1, labels={"a": "b", "keep": "1"}, taints=("k=v:NoSchedule",), roles=("node", "gpu"))
    after = make_host(1, labels={"keep": "1"})
    present = node(
        {"a": "b", "keep": "1", "node-role.kubernetes.io/gpu": ""},
        [{"key": "k", "value": "v", "effect": "NoSchedule"}, {"key": "k", "effect": "NoExecute"}],
    )
    patch = patch_of(present, after, before)
    assert patch["metadata"]["labels"] == {"a": None, "node-role.kubernetes.io/gpu": None}
    assert patch["spec"]["taints"] == [{"key": "k", "effect": "NoExecute"}]


def test_a_removal_takes_the_control_planes_taint_away() -> None:
    host = make_host(1, taints=("node-role.kubernetes.io/master:NoSchedule-",))
    present = node({}, [{"key": "node-role.kubernetes.io/master", "effect": "NoSchedule"}])
    assert patch_of(present, host, None)["spec"]["taints"] == []
    assert patch_of(node(), host, None) == {}


def test_another_value_replaces_the_one_that_was_there() -> None:
    host = make_host(1, taints=("k=new:NoSchedule",))
    present = node({}, [{"key": "k", "value": "old", "effect": "NoSchedule"}])
    assert patch_of(present, host, None)["spec"]["taints"] == [{"key": "k", "effect": "NoSchedule", "value": "new"}]
