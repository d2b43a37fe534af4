"""LABEL: what is understood, what is refused, and what kubectl is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from sealer.errors import CommandError, InputError
from sealer.extension import Node, Operation
from sealer.phases import Phase
from sealer.testing import BadData, PluginTypeContract, RecordedContext, make_document, make_operation
from sealer_plugin_label.label import Label, label


class TestLabelContract(PluginTypeContract):
    plugin_type = Label
    phases = (Phase.PRE_GUEST,)
    good = (
        "192.0.2.11 ssd=true",
        "192.0.2.11,192.0.2.12 ssd=false,hdd=true  # both\n\n192.0.2.13 a.example.com/b-c=x_y.z",
        "192.0.2.11-192.0.2.13 ssd=, old-",
        "192.0.2.11 , 192.0.2.12 ssd=true hdd=false\r\n192.0.2.110 ssd=true",
        "fd00::1 ssd=true",
    )
    bad = (
        BadData("", says="no line of the form"),
        BadData(None, says="did you forget 'data: |'?"),
        BadData({"192.0.2.11": "a=b"}, says="did you forget"),
        BadData("# nothing\n", says="no line"),
        BadData("node1 ssd=true", column=1, says="'node1' is not an IP address"),
        BadData("192.0.2.11 ssd=true\n  192.0.2.300 ssd=true", line=2, column=3, says="192.0.2.300"),
        BadData("192.0.2.11", says="nothing is said of '192.0.2.11'"),
        BadData("192.0.2.11 ssd", column=12, says="'ssd' has no value"),
        BadData("192.0.2.11 ok=1,b@d=1", column=17, says="b@d"),
        BadData("192.0.2.11 ssd=no way!", column=19, says="'way!' has no value"),
        BadData("192.0.2.11 ssd=w@y", column=12, says="w@y"),
        BadData("192.0.2.20-192.0.2.11 ssd=true", says="runs backwards"),
        BadData("192.0.2.11 ssd=true\n192.0.2.11 ssd=false", line=2, says="has another 'ssd' already, in line"),
    )
    differing = (
        ("192.0.2.11,192.0.2.110 ssd=true", "192.0.2.11,192.0.2.110 ssd=false"),
        ("192.0.2.11,192.0.2.110 ssd=true", "192.0.2.12 ssd=true"),
        ("192.0.2.11,192.0.2.110 ssd=", "192.0.2.11,192.0.2.110 ssd-"),
    )


def told(data: str, nodes: Sequence[Node] | None = None) -> list[str]:
    """What kubectl is told about a cluster of 192.0.2.11 to .13."""
    operation = make_operation("create", names={"192.0.2.11": "m", "192.0.2.12": "n", "192.0.2.13": "o"})
    hosts = [replace(host, labels={"ssd": "true", "kept": "1"}) for host in operation.added]
    operation = replace(operation, added=tuple(hosts))
    context = RecordedContext(operation, operation.first_master)
    parsed = Label().parse(make_document("LABEL", data))
    label(context, parsed)
    return [call.text for call in context.calls if call.what == "kubectl"]


def test_only_what_changes_is_told() -> None:
    assert told("192.0.2.11-192.0.2.12 ssd=true") == []
    assert told("192.0.2.11 ssd=false,hdd=true") == ["kubectl label node m --overwrite ssd=false hdd=true"]
    assert told("192.0.2.13,192.0.2.12 hdd=1") == [
        "kubectl label node n --overwrite hdd=1",
        "kubectl label node o --overwrite hdd=1",
    ]


def test_a_label_is_taken_away_where_it_is() -> None:
    assert told("192.0.2.11 ssd-,never-") == ["kubectl label node m --overwrite ssd-"]


def test_an_empty_value_is_one() -> None:
    assert told("192.0.2.11 ssd=") == ["kubectl label node m --overwrite ssd="]


def test_a_host_that_is_no_node_is_named() -> None:
    with pytest.raises(CommandError, match=r"192\.0\.2\.99: no node of the cluster has this address"):
        told("192.0.2.99 a=b")


class Gone(RecordedContext):
    """On the master of a cluster that does not answer."""

    def nodes(self) -> Sequence[Node]:
        raise CommandError("the connection was refused", status=1)


def leave(context: type[RecordedContext], operation: Operation, data: str) -> list[tuple[str, str]]:
    """What is done and told before hosts leave."""
    document = make_document("LABEL", data)
    [step] = Label().steps(operation, Phase.PRE_CLEAN, document, Label().parse(document))
    made = context(operation, operation.first_master)
    step.run(made)
    return [(call.what, call.text) for call in made.calls]


def test_before_hosts_leave_those_that_never_were_nodes_are_passed_over() -> None:
    class Halfway(RecordedContext):
        def nodes(self) -> Sequence[Node]:
            return [node for node in super().nodes() if node.address != "192.0.2.12"]

    operation = make_operation("delete")
    done = leave(Halfway, operation, "192.0.2.12-192.0.2.13 leaving=yes")
    assert done[0] == ("kubectl", "kubectl label node 192.0.2.13 --overwrite leaving=yes")
    assert done[1:] == [("log", "192.0.2.13: leaving=yes")]


def test_a_cluster_that_does_not_answer_is_deleted_all_the_same() -> None:
    [(what, text)] = leave(Gone, make_operation("delete"), "192.0.2.12 leaving=yes")
    assert (what, "nothing is done to its nodes: the connection was refused" in text) == ("warn", True)
    leaving = [host for host in make_operation("create").hosts if host.address == "192.0.2.12"]
    with pytest.raises(CommandError):
        leave(Gone, make_operation("delete", removed=leaving), "192.0.2.12 leaving=yes")


def test_hosts_that_join_later_are_labelled_when_they_do() -> None:
    document = make_document("LABEL", "192.0.2.11-192.0.2.200 ssd=true")
    parsed = Label().parse(document)
    create, scale = make_operation("create"), make_operation("scale")
    (step,) = Label().steps(create, Phase.PRE_GUEST, document, parsed)
    assert sorted(step.inputs["labels"]) == ["192.0.2.11", "192.0.2.12", "192.0.2.13"]  # type: ignore[arg-type]
    (step,) = Label().steps(scale, Phase.POST_JOIN, document, parsed)
    assert sorted(step.inputs["labels"]) == [host.address for host in scale.added]  # type: ignore[arg-type]
    assert Label().steps(make_operation("scale", joining=0), Phase.POST_JOIN, document, parsed) == []


def test_every_wrong_line_is_told() -> None:
    with pytest.raises(InputError) as caught:
        Label().parse(make_document("LABEL", "x a=b\n192.0.2.11 ok=1\n192.0.2.12 bad"))
    assert len(caught.value.problems) == 2


def test_it_acts_only_where_the_cluster_answers() -> None:
    assert Label.phases == {Phase.PRE_GUEST, Phase.POST_INSTALL, Phase.POST_JOIN, Phase.PRE_CLEAN}
