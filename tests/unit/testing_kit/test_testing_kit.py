from __future__ import annotations

from collections.abc import Sequence

import pytest

import sealer.testing
from sealer.clusterfile.model import PluginDocument
from sealer.errors import CommandError, ConnectionLostError, HostUnreachableError, InputError, PluginError
from sealer.extension import (
    ALL,
    FIRST_MASTER,
    OPERATOR,
    Addresses,
    Effect,
    Fact,
    Labelled,
    Node,
    Operation,
    PluginType,
    Role,
    Step,
    StepContext,
    Targets,
    everyone,
)
from sealer.phases import Phase
from sealer.testing import (
    Answers,
    BadData,
    PluginTypeContract,
    RecordedContext,
    RecordedTransport,
    Reply,
    make_host,
    make_operation,
    run_steps,
)


def test_every_name_it_promises_is_there() -> None:
    for name in sealer.testing.__all__:
        assert getattr(sealer.testing, name) is not None


class TestOperations:
    def test_create(self) -> None:
        operation = make_operation(masters=3, nodes=1)
        assert [host.is_master for host in operation.added] == [True, True, True, False]
        assert (operation.kept, operation.removed, operation.recorded) == ((), (), None)

    def test_scale(self) -> None:
        operation = make_operation("scale", joining=2, removed=[make_host(3)])
        assert [host.address for host in operation.added] == ["192.0.2.110", "192.0.2.111"]
        assert [host.address for host in operation.kept] == ["192.0.2.11", "192.0.2.12"]
        assert [host.address for host in operation.removed] == ["192.0.2.13"]
        assert operation.recorded is not None
        assert [one.host.address for one in operation.recorded.hosts] == ["192.0.2.11", "192.0.2.12", "192.0.2.13"]

    def test_delete(self) -> None:
        operation = make_operation("delete")
        assert (len(operation.removed), operation.hosts) == (3, ())
        assert operation.first_master is not None

    @pytest.mark.parametrize("kind", ["application", "upgrade"])
    def test_the_others_change_no_host(self, kind: str) -> None:
        operation = make_operation(kind)  # type: ignore[arg-type]
        assert (len(operation.kept), operation.added, operation.removed) == (3, (), ())
        assert operation.paths.rootfs.endswith("/apps/testing-app" if kind == "application" else "/rootfs")


class TestRecordedContext:
    def test_it_records_and_answers(self) -> None:
        answers = Answers().on("^uname", Reply("Linux\n")).on("false", Reply("no\n", 1))
        context: StepContext = RecordedContext(make_operation(), make_host(1), answers=answers)
        assert context.query("uname -s").stdout == "Linux\n"
        assert context.sh("anything else").ok
        assert context.sh("false", check=False).status == 1
        with pytest.raises(CommandError) as caught:
            context.sh("false")
        assert (caught.value.status, caught.value.where, caught.value.output) == (1, "192.0.2.11", ("no",))

    def test_replies_one_after_the_other(self) -> None:
        context = RecordedContext(make_operation(), make_host(1), answers=Answers().on("n", Reply("a"), Reply("b")))
        assert [context.query("n").stdout for _ in range(3)] == ["a", "b", "b"]

    def test_a_reply_of_one_host(self) -> None:
        answers = Answers().on("n", Reply("two"), host="192.0.2.12")
        contexts = [RecordedContext(make_operation(), make_host(number), answers=answers) for number in (1, 2)]
        assert [context.query("n").stdout for context in contexts] == ["", "two"]

    def test_strict(self) -> None:
        context = RecordedContext(make_operation(), make_host(1), answers=Answers(strict=True))
        with pytest.raises(AssertionError, match=r"192\.0\.2\.11: no rule answers: reboot"):
            context.sh("reboot")

    def test_the_operator_has_no_host(self) -> None:
        context = RecordedContext(make_operation())
        context.log("hello")
        with pytest.raises(PluginError, match="it cannot sh"):
            context.sh("true")

    def test_a_query_must_not_write(self) -> None:
        step = Step("look", "Look", ALL, lambda context: context.write("/x", b""), effect=Effect.QUERY)
        with pytest.raises(PluginError, match="only reads"):
            run_steps([step], make_operation())


class TestRunSteps:
    NODES = (
        Node("a", "192.0.2.11", True, {"disk": "ssd"}),
        Node("b", "192.0.2.12", True, {"disk": ""}),
        Node("c", "192.0.2.13", True),
    )

    @pytest.mark.parametrize(
        ("on", "hosts"),
        [
            (ALL, ["192.0.2.11", "192.0.2.12", "192.0.2.13"]),
            (FIRST_MASTER, ["192.0.2.11"]),
            (OPERATOR, ["operator"]),
            (Role("node"), ["192.0.2.12", "192.0.2.13"]),
            (Addresses(frozenset({"192.0.2.13", "10.0.0.1"})), ["192.0.2.13"]),
            (Labelled("disk", "ssd"), ["192.0.2.11"]),
            (Labelled("disk", None), ["192.0.2.11", "192.0.2.12"]),
            (Role("master", "removed"), []),
        ],
    )
    def test_targets(self, on: Targets, hosts: list[str]) -> None:
        recording = run_steps([Step("s", "S", on, lambda context: None)], make_operation(), nodes=self.NODES)
        assert recording.hosts == {"s": hosts}

    def test_facts_go_from_step_to_step(self) -> None:
        token, size = Fact("token", str), Fact("size", int, per_host=True)
        steps = [
            Step("make", "Make", FIRST_MASTER, lambda context: context.give(token, "t"), gives=frozenset({token})),
            Step("measure", "Measure", ALL, lambda context: context.give(size, 4), gives=frozenset({size})),
            Step(
                "use",
                "Use",
                ALL,
                lambda context: context.log(f"{context.get(token)}{context.get(size)}"),
                needs=frozenset({token, size}),
            ),
        ]
        recording = run_steps(steps, make_operation())
        assert recording.messages() == ["t4"] * 3

    def test_a_fact_must_be_declared(self) -> None:
        token = Fact("token", str)
        with pytest.raises(PluginError, match="which its gives do not have"):
            run_steps([Step("s", "S", ALL, lambda context: context.give(token, "t"))], make_operation())
        with pytest.raises(PluginError, match="which its needs do not have"):
            run_steps([Step("s", "S", ALL, lambda context: context.log(context.get(token)))], make_operation())

    def test_files_and_scripts(self) -> None:
        def run(context: StepContext) -> None:
            context.write("/etc/x", b"1")
            context.sh("cat /etc/x")

        recording = run_steps([Step("s", "S", FIRST_MASTER, run)], make_operation())
        assert recording.written("192.0.2.11") == {"/etc/x": b"1"}
        assert recording.scripts() == ["cat /etc/x"]


class TestRecordedTransport:
    def test_a_connection(self) -> None:
        transport = RecordedTransport(answers=Answers().on("id", Reply("root\n", 3, "warned\n")))
        connection = transport.connect(make_host(1))
        out: list[bytes] = []
        err: list[bytes] = []
        assert (
            connection.execute("id", stdin=[b"a", memoryview(b"b")], stdout=out.append, stderr=err.append).status == 3
        )
        assert (out, err) == ([b"root\n"], [b"warned\n"])
        assert [(one.host, one.text, one.stdin) for one in transport.commands] == [("192.0.2.11", "id", b"ab")]
        assert connection.host_key == "recorded:192.0.2.11"

    def test_a_lost_connection_stays_lost(self) -> None:
        transport = RecordedTransport(answers=Answers().on("x", Reply(error=ConnectionLostError("gone"))))
        connection = transport.connect(make_host(1))
        with pytest.raises(ConnectionLostError):
            connection.execute("x")
        with pytest.raises(ConnectionLostError):
            connection.execute("y")
        assert transport.connect(make_host(1)).execute("y").status == 0

    def test_a_refusal(self) -> None:
        transport = RecordedTransport()
        transport.refuse("192.0.2.12", HostUnreachableError("no route"))
        with pytest.raises(HostUnreachableError):
            transport.connect(make_host(2))
        assert transport.connect(make_host(1)).execute("true").status == 0


class Motd(PluginType[str]):
    """A type that holds to the contract."""

    type = "MOTD"
    default_phases = (Phase.POST_INSTALL,)

    def parse(self, document: PluginDocument) -> str:
        text = str(document.data)
        if "\t" in text:
            line = text[: text.index("\t")].count("\n") + 1
            raise InputError("MOTD", problems=[document.problem("no tabs", line)])
        return text

    def steps(self, operation: Operation, phase: Phase, document: PluginDocument, parsed: str) -> Sequence[Step]:
        clean = phase in (Phase.PRE_CLEAN, Phase.POST_CLEAN)
        return [
            Step(
                "motd",
                "Write the message of the day",
                everyone(phase),
                lambda context: context.write("/etc/motd", parsed.encode()),
                inputs={"text": parsed},
                unreachable="skip" if clean else "fail",
            )
        ]


class TestMotd(PluginTypeContract):
    plugin_type = Motd
    good = ("hello", "hello\nworld")
    bad = (BadData("a\nb\tc", line=2, says="tabs"),)
    differing = (("hello", "hallo"),)


class Sloppy(Motd):
    """Breaks every promise."""

    counter = 0

    def parse(self, document: PluginDocument) -> str:
        return str(document.data)

    def steps(self, operation: Operation, phase: Phase, document: PluginDocument, parsed: str) -> Sequence[Step]:
        Sloppy.counter += 1
        return [
            Step("a", "A", everyone(phase), lambda context: None, inputs={"count": Sloppy.counter}),
            Step("b", "B", Addresses(frozenset({"10.9.9.9"})), lambda context: None),
            Step("c", "C", ALL, lambda context: None, inputs={1: "key"}),  # type: ignore[dict-item]
        ]


class SloppyContract(PluginTypeContract):
    plugin_type = Sloppy
    good = ("hello",)
    bad = (BadData("a\tb"),)


@pytest.mark.parametrize(
    "name",
    [
        "test_bad_data_is_refused_with_its_place",
        "test_steps_can_be_planned",
        "test_steps_are_the_same_when_asked_again",
        "test_a_host_that_is_gone_can_be_removed",
    ],
)
def test_the_contract_catches_what_breaks_it(name: str) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        getattr(SloppyContract(), name)()


def test_the_contract_catches_equal_fingerprints() -> None:
    class Forgetful(Motd):
        def steps(self, operation: Operation, phase: Phase, document: PluginDocument, parsed: str) -> Sequence[Step]:
            return [Step("a", "A", everyone(phase), lambda context: None)]

    class ForgetfulContract(PluginTypeContract):
        plugin_type = Forgetful
        differing = (("a", "b"),)

    with pytest.raises(AssertionError, match="the same fingerprints"):
        ForgetfulContract().test_different_data_has_different_fingerprints()
