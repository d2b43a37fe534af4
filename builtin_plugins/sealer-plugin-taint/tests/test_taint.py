"""TAINT: every form of the grammar, and what kubectl is told."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from sealer.clusterfile.reading import read
from sealer.errors import InputError
from sealer.extension import Node
from sealer.phases import Phase
from sealer.testing import Answers, BadData, PluginTypeContract, RecordedContext, Reply, make_document, make_operation
from sealer_plugin_taint.rules import NodeTaint, Rule, changes
from sealer_plugin_taint.taint import Taint, taint

EXAMPLE = """\
192.0.2.11 key1=value1:NoSchedule
192.0.2.12 key2=value2:NoSchedule-
192.0.2.11-192.0.2.13 key3:NoSchedule
192.0.2.11,192.0.2.12 key4:NoSchedule
192.0.2.11 key5=:NoSchedule
192.0.2.11 key6:NoSchedule-
"""


class TestTaintContract(PluginTypeContract):
    plugin_type = Taint
    phases = (Phase.PRE_GUEST,)
    good = (
        EXAMPLE,
        "192.0.2.11 a-b.example.com/c-d=e-f:NoExecute old-key- x:PreferNoSchedule-",
    )
    bad = (
        BadData("", says="no line of the form"),
        BadData(["x"], says="did you forget 'data: |'?"),
        BadData("192.0.2.11", says="nothing is said"),
        BadData("192.0.2.11 key", column=12, says="a taint is key=value:Effect"),
        BadData("192.0.2.11 key:Noschedule", column=12, says="NoSchedule"),
        BadData("192.0.2.11 ok:NoExecute k@y:NoExecute", column=25, says="k@y"),
        BadData("host key:NoExecute", says="'host' is not an IP address"),
    )
    differing = (
        ("192.0.2.11,192.0.2.110 a:NoExecute", "192.0.2.11,192.0.2.110 a:NoExecute-"),
        ("192.0.2.11,192.0.2.110 a=1:NoExecute", "192.0.2.11,192.0.2.110 a=2:NoExecute"),
    )


def rules(*texts: str) -> list[Rule]:
    return [Rule.parse(text) for text in texts]


HAVE = [NodeTaint("a", "1", "NoSchedule"), NodeTaint("a", "1", "NoExecute"), NodeTaint("b-c", "", "NoSchedule")]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["new=v:NoSchedule"], ["new=v:NoSchedule"]),
        (["new=:NoSchedule"], ["new:NoSchedule"]),
        (["new:NoExecute", "other:PreferNoSchedule"], ["new:NoExecute", "other:PreferNoSchedule"]),
        (["a=1:NoSchedule"], []),  # it is there
        (["a=2:NoSchedule"], ["a=2:NoSchedule"]),  # another value
        (["a=9:NoSchedule-"], ["a:NoSchedule-"]),  # by key and effect
        (["a-"], ["a:NoExecute-", "a:NoSchedule-"]),
        (["b-c:NoSchedule"], []),  # a dash in the key is no removal
        (["b-c-"], ["b-c:NoSchedule-"]),
        (["never:NoSchedule-", "never-"], []),
        (["a-", "a=1:NoSchedule"], ["a:NoExecute-"]),  # in their order
        (["x:NoSchedule", "x:NoSchedule-"], []),
    ],
)
def test_a_node_becomes_what_the_rules_say(asked: list[str], told: list[str]) -> None:
    assert changes(rules(*asked), HAVE) == told


def told(data: str, taints: dict[str, list[dict[str, str]]]) -> Sequence[str]:
    operation = make_operation("create", names={"192.0.2.11": "m", "192.0.2.12": "n", "192.0.2.13": "o"})
    items = [{"metadata": {"name": name}, "spec": {"taints": taints.get(name)}} for name in "mno"]
    answers = Answers().on("kubectl get nodes", Reply(json.dumps({"items": items})))
    context = RecordedContext(operation, operation.first_master, answers=answers)
    taint(context, Taint().parse(make_document("TAINT", data)))
    return [call.text for call in context.calls if call.what == "kubectl" and " taint " in call.text]


def test_every_node_is_told_once_and_only_what_changes() -> None:
    have = {"m": [{"key": "key6", "effect": "NoSchedule"}, {"key": "key3", "effect": "NoSchedule"}]}
    assert told(EXAMPLE, have) == [
        "kubectl taint node m --overwrite key1=value1:NoSchedule key4:NoSchedule key5:NoSchedule key6:NoSchedule-",
        "kubectl taint node n --overwrite key3:NoSchedule key4:NoSchedule",
        "kubectl taint node o --overwrite key3:NoSchedule",
    ]


def test_nothing_is_told_where_all_is_so() -> None:
    have = {"m": [{"key": "key1", "value": "value1", "effect": "NoSchedule"}]}
    assert told("192.0.2.11 key1=value1:NoSchedule", have) == []


ANSWERING = {Phase.PRE_GUEST, Phase.POST_INSTALL, Phase.POST_JOIN, Phase.PRE_CLEAN}


@pytest.mark.parametrize("phase", Phase)
def test_an_action_where_the_cluster_does_not_answer_is_refused(phase: Phase) -> None:
    head = "apiVersion: sealer.io/v2\nkind: Plugin\nmetadata: {name: a}\n"
    text = f"{head}spec: {{type: TAINT, action: {phase}, data: '192.0.2.11 a:NoExecute'}}\n"
    if phase in ANSWERING:
        assert read(text, "f", plugin_types={"TAINT": Taint()}).plugins[0].phases == (phase,)
        return
    with pytest.raises(InputError, match="a TAINT cannot act in"):
        read(text, "f", plugin_types={"TAINT": Taint()})


def test_before_hosts_leave_those_that_never_were_nodes_are_passed_over() -> None:
    class Halfway(RecordedContext):
        def nodes(self) -> Sequence[Node]:
            return []

    document = make_document("TAINT", "192.0.2.12 leaving:NoSchedule")
    operation = make_operation("delete")
    [step] = Taint().steps(operation, Phase.PRE_CLEAN, document, Taint().parse(document))
    context = Halfway(operation, operation.first_master)
    step.run(context)
    assert context.calls == []
