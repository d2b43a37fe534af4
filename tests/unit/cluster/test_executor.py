"""Steps over hosts: this machine by several addresses, scripts in its real shell, connections that break on demand."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sealer.cluster.cancellation import Cancellation
from sealer.cluster.journal import Journal
from sealer.errors import (
    CommandError,
    ConnectionLostError,
    HostUnreachableError,
    InterruptedRunError,
    OperationFailedError,
    OutcomeUnknownError,
    PluginError,
    SealerError,
    StepTimeoutError,
)
from sealer.events import State
from sealer.extension import ALL, FIRST_MASTER, OPERATOR, Addresses, Effect, Fact, Retry, Step, StepContext
from sealer.redaction import Secret

ONE = Addresses(frozenset({"127.0.0.1"}))
PATIENCE = 20
SOON = Retry(3, delay=0.01)
Bench = Any  # the fixture's class lives in conftest.py, which cannot be imported


def script(bench: Bench, name: str, text: str = "", **more: Any) -> Step:
    """A step that leaves its name as a mark and then runs `text`."""
    more.setdefault("on", ALL)

    def run(context: StepContext) -> None:
        context.sh(bench.mark(name) + text)

    return Step(name, name, run=run, **more)


def action(name: str, run: Callable[[StepContext], object], **more: Any) -> Step:
    """A step that calls `run`, whatever that answers."""
    more.setdefault("on", ALL)

    def call(context: StepContext) -> None:
        run(context)

    return Step(name, name, run=call, **more)


def failures(bench: Bench, *lists: list[Step]) -> dict[tuple[str, str], SealerError]:
    with pytest.raises(OperationFailedError) as error:
        bench.run(*lists)
    return {(failure.step, failure.host): failure.error for failure in error.value.failures}


# -- order -----------------------------------------------------------------------------------------------------------


def test_steps_without_an_order_and_hosts_overlap(bench: Bench) -> None:
    everyone = threading.Barrier(6, timeout=PATIENCE)
    meet = [action(name, lambda _: everyone.wait(), after=frozenset()) for name in ("a", "b")]
    bench.run(meet)
    assert everyone.n_waiting == 0


def test_a_serial_step_takes_one_host_after_the_other_in_their_order(bench: Bench) -> None:
    here: list[str] = []
    seen: list[tuple[str, int]] = []

    def visit(context: StepContext) -> None:
        here.append(context.host.id)
        seen.append((context.host.id, len(here)))
        here.remove(context.host.id)

    bench.run([action("visit", visit, order="serial")])
    assert seen == [("127.0.0.1", 1), ("127.0.0.2", 1), ("127.0.0.3", 1)]


def test_no_more_hosts_at_once_than_allowed(tmp_path: Path, bench: Bench) -> None:
    crowd = type(bench)(tmp_path / "crowd", hosts=6)
    crowd.directory.mkdir()
    crowd.parallel = 2
    pairs = threading.Barrier(2, timeout=PATIENCE)
    here: set[str] = set()
    most = 0

    def visit(context: StepContext) -> None:
        nonlocal most
        here.add(context.host.id)
        pairs.wait()
        most = max(most, len(here))
        pairs.wait()
        here.discard(context.host.id)

    crowd.run([action("visit", visit)])
    assert most == 2


def test_facts_flow_from_step_to_step(bench: Bench) -> None:
    name: Fact[str] = Fact("name", str, per_host=True)
    token: Fact[str] = Fact("token", str, secret=True)
    heard: dict[str, str] = {}

    def give(context: StepContext) -> None:
        context.give(name, f"host-{context.host.id}")
        context.give(token, "secret-token")

    def take(context: StepContext) -> None:
        heard[context.host.id] = f"{context.get(name)} {context.get(name, bench.hosts[0])} {context.get(token)}"

    needs = frozenset({name, token})
    bench.run([action("give", give, gives=needs)], [action("take", take, needs=needs)])
    assert heard["127.0.0.2"] == "host-127.0.0.2 host-127.0.0.1 secret-token"
    assert "secret-token" not in (bench.directory / "journal.jsonl").read_text()


def test_a_fact_that_is_promised_is_given(bench: Bench) -> None:
    number: Fact[Any] = Fact("number", int)
    found = failures(bench, [action("silent", lambda _: None, gives=frozenset({number}), on=ONE)])
    assert "did not give the fact 'number'" in str(found["1/test/silent", "127.0.0.1"])
    found = failures(bench, [action("wrong", lambda c: c.give(number, "one"), gives=frozenset({number}), on=ONE)])
    assert "is a int, and was given a str" in str(found["1/test/wrong", "127.0.0.1"])


def test_a_fact_that_could_not_be_taken_up_again_is_refused(bench: Bench) -> None:
    fact: Fact[Any] = Fact("odd", dict)
    found = failures(bench, [action("odd", lambda c: c.give(fact, {"a": {1}}), gives=frozenset({fact}), on=ONE)])
    assert "The fact 'odd' of 1/test/odd is not JSON" in str(found["1/test/odd", "127.0.0.1"])


# -- failures --------------------------------------------------------------------------------------------------------


def test_a_failure_lets_running_hosts_finish_and_starts_nothing_new(bench: Bench) -> None:
    """All hosts that failed are reported; what others did is recorded."""
    all_began = threading.Barrier(3, timeout=PATIENCE)

    def run(context: StepContext) -> None:
        all_began.wait()
        context.sh(bench.mark("began") + 'case $HostIP in *.1) ;; *) echo "no room"; exit 4;; esac')

    found = failures(bench, [action("first", run)], [script(bench, "second")])
    assert set(found) == {("1/test/first", "127.0.0.2"), ("1/test/first", "127.0.0.3")}
    error = found["1/test/first", "127.0.0.3"]
    assert isinstance(error, CommandError)
    assert (error.status, error.output, error.where) == (4, ("no room",), "127.0.0.3")
    assert bench.marks == {f"127.0.0.{number}": ["began"] for number in (1, 2, 3)}
    assert len(bench.records("done")) == 1
    assert len(bench.records("failed")) == 2
    assert not bench.records("completed")
    assert ("1/test/first", "") in bench.said(State.FAILED)


def test_hosts_that_wait_for_a_thread_are_not_begun_after_a_failure(bench: Bench) -> None:
    bench.parallel = 1
    found = failures(bench, [script(bench, "a", "exit 1"), script(bench, "b", after=frozenset())])
    assert set(found) == {("1/test/a", "127.0.0.1")}
    assert bench.marks == {"127.0.0.1": ["a"]}
    assert ("1/test/b", "") in bench.said(State.CANCELLED), "whoever watches must not see it at work for ever"


def test_a_mistake_in_a_plugin_names_the_plugin_and_keeps_secrets(bench: Bench) -> None:
    password = Secret("hunter2-hunter2")
    found = failures(bench, [action("bad", lambda _: dict[str, str]()[password.reveal()], on=ONE)])
    error = found["1/test/bad", "127.0.0.1"]
    assert isinstance(error, PluginError)
    assert "Plugin test failed in step 1/test/bad" in str(error)
    assert "test_executor.py" in str(error)
    assert "hunter2" not in str(error) + (bench.directory / "journal.jsonl").read_text()


def test_an_undeclared_fact_is_refused(bench: Bench) -> None:
    number: Fact[int] = Fact("number", int)
    found = failures(bench, [action("a", lambda c: c.get(number), on=ONE)])
    assert "without declaring that it needs it" in str(found["1/test/a", "127.0.0.1"])
    found = failures(bench, [action("b", lambda c: c.give(number, 1), on=ONE)])
    assert "without declaring it" in str(found["1/test/b", "127.0.0.1"])


def test_the_operator_has_no_host_to_run_a_script_on(bench: Bench) -> None:
    found = failures(bench, [action("local", lambda c: c.sh("true"), on=OPERATOR)])
    assert "runs on this machine" in str(found["1/test/local", "operator"])


def test_a_host_out_of_reach_is_skipped_where_that_is_declared(bench: Bench) -> None:
    bench.transport.refusals["127.0.0.2"] = HostUnreachableError("nobody answers", where="127.0.0.2")
    bench.run([script(bench, "a", unreachable="skip")], [script(bench, "b", on=ONE)])
    assert bench.marks == {"127.0.0.1": ["a", "b"], "127.0.0.3": ["a"]}
    assert bench.said(State.WARNING) == [("1/test/a", "127.0.0.2")]
    bench.transport.refusals.clear()
    bench.run([script(bench, "a", unreachable="skip")], [script(bench, "b", on=ONE)])
    assert bench.marks["127.0.0.2"] == ["a"], "a later run gets to it"
    assert bench.marks["127.0.0.1"] == ["a", "b"]


def test_a_host_that_is_passed_over_is_looked_at_again(bench: Bench) -> None:
    bench.passed_over["127.0.0.2"] = "it is out of reach"
    bench.run([script(bench, "a")])
    bench.passed_over.clear()
    bench.run([script(bench, "a")])
    assert bench.marks == {f"127.0.0.{number}": ["a"] for number in (1, 2, 3)}
    assert len(bench.records("completed")) == 1


def test_a_failure_that_is_tolerated_is_warned_of(bench: Bench) -> None:
    bench.tolerated.add("a")
    bench.run([script(bench, "a", "exit 1", on=ONE)], [script(bench, "b", on=ONE)])
    assert bench.marks == {"127.0.0.1": ["a", "b"]}
    assert bench.said(State.WARNING) == [("1/test/a", "127.0.0.1")]


def test_when_the_journal_cannot_be_written_nothing_more_is_begun(tmp_path: Path, small_disk: Path) -> None:
    journal = Journal(small_disk / "journal.jsonl")
    journal.begin({"id": "x"})
    (small_disk / "filler").write_bytes(b"x" * (64 << 10 >> 1))
    with pytest.raises(OSError, match="space"), (small_disk / "more").open("wb", buffering=0) as more:
        while True:
            if not more.write(b"x" * 4096):
                break
    with pytest.raises(SealerError, match="journal cannot be written"):
        for number in range(1000):
            journal.intend("step", "print", "127.0.0.1", f"try-{number}")
    journal.close()


# -- connections that break ------------------------------------------------------------------------------------------


def test_a_broken_connection_is_tried_again_where_that_is_declared(bench: Bench) -> None:
    bench.transport.breaks["127.0.0.1"] = ["before", "before"]
    bench.run([script(bench, "a", on=ONE, retry=SOON)])
    assert bench.marks == {"127.0.0.1": ["a"]}
    assert len(bench.said(State.RETRYING)) == 2
    assert bench.transport.opened == ["127.0.0.1"] * 3
    assert len(bench.records("intend")) == 1


def test_what_the_host_did_unheard_is_not_done_again_by_the_retry(bench: Bench) -> None:
    bench.transport.breaks["127.0.0.1"] = ["after"]
    bench.run([script(bench, "a", on=ONE, retry=SOON)])
    assert bench.marks == {"127.0.0.1": ["a"]}


def test_tries_are_bounded_and_the_outcome_stays_open(bench: Bench) -> None:
    bench.transport.breaks["127.0.0.1"] = ["before"] * 3
    found = failures(bench, [script(bench, "a", on=ONE, retry=SOON)])
    assert isinstance(found["1/test/a", "127.0.0.1"], ConnectionLostError)
    assert not bench.records("failed")
    bench.run([script(bench, "a", on=ONE, retry=SOON)])
    assert bench.marks == {"127.0.0.1": ["a"]}
    assert len(bench.records("intend")) == 1
    assert bench.said(State.ATTACHED) == [("1/test/a", "127.0.0.1")]


@pytest.mark.parametrize("effect", [Effect.CONVERGE, Effect.ONCE])
def test_without_a_word_on_it_nothing_is_tried_again(bench: Bench, effect: Effect) -> None:
    bench.transport.breaks["127.0.0.1"] = ["before"]
    failures(bench, [script(bench, "a", on=ONE, effect=effect)])
    assert bench.transport.opened == ["127.0.0.1"]


def test_a_script_that_fails_is_not_tried_again(bench: Bench) -> None:
    failures(bench, [script(bench, "a", "exit 1", on=ONE, retry=SOON)])
    assert bench.marks == {"127.0.0.1": ["a"]}


def test_a_failure_unheard_is_the_outcome_of_this_run(bench: Bench) -> None:
    """Only a failure of an earlier run is tried anew."""
    bench.transport.breaks["127.0.0.1"] = ["after"]
    failures(bench, [script(bench, "a", "exit 1", on=ONE, retry=SOON)])
    assert bench.marks == {"127.0.0.1": ["a"]}


# -- time and Ctrl-C -------------------------------------------------------------------------------------------------

ENDLESS = "echo $$ > {0}/number; exec sleep 600"


def ended(bench: Bench) -> bool:
    number = int((bench.directory / "number").read_text())
    stat = Path(f"/proc/{number}/stat")
    return not stat.exists() or stat.read_text().rpartition(") ")[2][0] == "Z"


def test_a_timeout_ends_the_script_on_the_host(bench: Bench) -> None:
    found = failures(bench, [script(bench, "slow", ENDLESS.format(bench.directory), on=ONE, timeout=1)])
    assert isinstance(found["1/test/slow", "127.0.0.1"], StepTimeoutError)
    assert ended(bench)
    assert len(bench.records("failed")) == 1


def test_an_interrupt_ends_scripts_that_may_run_again(bench: Bench) -> None:
    def run(context: StepContext) -> None:
        watcher.start()
        context.sh(ENDLESS.format(bench.directory))

    def interrupt() -> None:
        while not (bench.directory / "number").exists():
            os.sched_yield()
        bench.cancellation.request()

    watcher = threading.Thread(target=interrupt)
    with pytest.raises(InterruptedRunError):
        bench.run([action("endless", run, on=ONE)], [script(bench, "later")])
    watcher.join()
    assert ended(bench)
    assert bench.marks == {}


def test_an_interrupt_lets_a_script_finish_that_must_not_run_twice(bench: Bench) -> None:
    os.mkfifo(bench.directory / "gate")

    def run(context: StepContext) -> None:
        bench.cancellation.request()
        # The script waits for a word that is said after the interrupt.
        threading.Thread(target=(bench.directory / "gate").write_text, args=("go\n",)).start()
        context.sh(f"read line < {bench.directory}/gate\n" + bench.mark("$line"))

    def late(context: StepContext) -> None:
        raise AssertionError("nothing new is begun")

    with pytest.raises(InterruptedRunError):
        bench.run([action("once", run, on=ONE, effect=Effect.ONCE)], [action("late", late)])
    assert bench.marks == {"127.0.0.1": ["go"]}
    assert len(bench.records("done")) == 1


# -- a run that was killed, and the next ----------------------------------------------------------------------------


def test_what_is_done_is_not_done_again(bench: Bench) -> None:
    name: Fact[str] = Fact("name", str, per_host=True)
    heard: list[str] = []

    def give(context: StepContext) -> None:
        context.sh(bench.mark("give"))
        context.give(name, context.host.id)

    gives = action("give", give, gives=frozenset({name}))
    fails = script(bench, "fails", f"[ -e {bench.directory}/mended ]", on=FIRST_MASTER)
    takes = action("take", lambda c: heard.append(c.get(name)), needs=frozenset({name}))
    failures(bench, [gives], [fails], [takes])
    (bench.directory / "mended").touch()
    bench.run([gives], [fails], [takes])
    assert bench.marks["127.0.0.1"] == ["give", "fails", "fails"]
    assert bench.marks["127.0.0.2"] == ["give"]
    assert sorted(heard) == ["127.0.0.1", "127.0.0.2", "127.0.0.3"], "facts come from the journal"
    bench.run([gives], [fails], [takes])
    assert bench.marks["127.0.0.1"] == ["give", "fails", "fails"]


def test_one_host_of_a_step_is_missing(bench: Bench) -> None:
    text = f"case $HostIP in *.3) [ -e {bench.directory}/mended ];; esac"
    failures(bench, [script(bench, "a", text)])
    (bench.directory / "mended").touch()
    bench.run([script(bench, "a", text)])
    assert bench.marks == {"127.0.0.1": ["a"], "127.0.0.2": ["a"], "127.0.0.3": ["a", "a"]}


@pytest.mark.parametrize("effect", [Effect.CONVERGE, Effect.ONCE])
def test_an_outcome_that_was_not_recorded_is_taken_from_the_host(bench: Bench, effect: Effect) -> None:
    step = script(bench, "a", effect=effect)
    bench.run([step])
    bench.forget("done", "completed")
    bench.run([step])
    assert bench.marks == {f"127.0.0.{number}": ["a"] for number in (1, 2, 3)}
    assert len(bench.records("intend")) == 3


@pytest.mark.parametrize("effect", [Effect.CONVERGE, Effect.ONCE])
def test_a_failure_that_was_not_recorded_is_tried_anew_just_once(bench: Bench, effect: Effect) -> None:
    step = script(bench, "a", "exit 5", on=ONE, effect=effect)
    failures(bench, [step])
    bench.forget("failed")
    found = failures(bench, [step])
    assert bench.marks == {"127.0.0.1": ["a", "a"]}
    assert isinstance(found["1/test/a", "127.0.0.1"], CommandError)


def test_a_step_with_other_inputs_is_another(bench: Bench) -> None:
    bench.run([script(bench, "a", on=ONE, inputs={"version": 1})])
    bench.run([script(bench, "a", on=ONE, inputs={"version": 2})])
    assert bench.marks == {"127.0.0.1": ["a", "a"]}


def test_on_the_operator_an_open_step_that_converges_runs_again(bench: Bench) -> None:
    times: list[int] = []
    step = action("local", lambda _: times.append(1), on=OPERATOR)
    bench.run([step])
    bench.forget("done", "completed")
    bench.run([step])
    assert len(times) == 2


@pytest.mark.parametrize("again", [True, False])
def test_on_the_operator_an_open_step_that_must_not_run_twice_is_asked_about(bench: Bench, again: bool) -> None:
    times: list[int] = []
    step = action("local", lambda _: times.append(1), on=OPERATOR, effect=Effect.ONCE)
    bench.run([step])
    bench.forget("done", "completed")
    found = failures(bench, [step])
    error = found["1/test/local", "operator"]
    assert isinstance(error, OutcomeUnknownError)
    assert "--settle 1/test/local@operator=done" in error.remedy
    assert len(times) == 1
    bench.settled["1/test/local", "operator"] = again
    bench.run([step])
    assert len(times) == 1 + again
    bench.settled.clear()
    bench.run([step])


def lose_script(bench: Bench, step: Step) -> None:
    """As if the host had lost power in the middle of the script."""
    bench.run([step])
    bench.forget("done", "completed")
    for status in bench.directory.glob("data/data/bench/receipts/*/1/status"):
        status.unlink()


def test_a_script_lost_in_the_middle_runs_again_if_it_may(bench: Bench) -> None:
    step = script(bench, "a", on=ONE)
    lose_script(bench, step)
    bench.run([step])
    assert bench.marks == {"127.0.0.1": ["a", "a"]}


@pytest.mark.parametrize("again", [True, False])
def test_a_script_lost_in_the_middle_is_asked_about_if_it_must_not_run_twice(bench: Bench, again: bool) -> None:
    step = script(bench, "a", on=ONE, effect=Effect.ONCE)
    lose_script(bench, step)
    for _ in range(2):  # however often the command is repeated without an answer
        error = failures(bench, [step])["1/test/a", "127.0.0.1"]
        assert isinstance(error, OutcomeUnknownError)
        assert "--settle 1/test/a@127.0.0.1=done" in error.remedy
        assert error.exit_status == 3
    bench.settled["1/test/a", "127.0.0.1"] = again
    bench.run([step])
    assert bench.marks == {"127.0.0.1": ["a", "a"] if again else ["a"]}
    bench.settled.clear()
    bench.run([step])
    assert len(bench.marks["127.0.0.1"]) == 1 + again


def test_a_script_that_kills_what_watches_it_is_not_run_for_ever(bench: Bench) -> None:
    found = failures(bench, [script(bench, "a", "kill -9 0", on=ONE)])
    assert "twice" in str(found["1/test/a", "127.0.0.1"])
    assert bench.marks == {"127.0.0.1": ["a", "a"]}


def test_what_watches_a_script_may_die_and_the_script_is_found_again(bench: Bench) -> None:
    """A ONCE step is not taken for one that failed, or its script would run twice."""
    gate = bench.directory / "gate"
    os.mkfifo(gate)
    # The script's supervisor is a child of the shell that watches for us.
    text = f"watcher=$(cut -d ' ' -f 4 /proc/$PPID/stat); kill -9 $watcher; read line < {gate}\n" + bench.mark("end")
    step = script(bench, "a", text, on=ONE, effect=Effect.ONCE)
    error = failures(bench, [step])["1/test/a", "127.0.0.1"]
    assert isinstance(error, OutcomeUnknownError)
    assert not bench.records("failed")
    threading.Thread(target=gate.write_text, args=("go\n",)).start()
    bench.run([step])
    assert bench.marks == {"127.0.0.1": ["a", "end"]}


def stopped_twice(bench: Bench, step: Step) -> Step:
    """The step, with two requests to stop just before it does anything."""

    def run(context: StepContext) -> None:
        bench.cancellation.request()
        bench.cancellation.request()
        step.run(context)

    return replace(step, run=run)


@pytest.mark.parametrize("lost", [False, True])
def test_what_an_interrupted_run_never_looked_at_is_not_taken_for_failed(bench: Bench, lost: bool) -> None:
    """The script ended, or was lost, unseen; the next run is interrupted before it can see that."""
    step = script(bench, "a", on=ONE, effect=Effect.ONCE)
    if lost:
        lose_script(bench, step)
    else:
        bench.transport.breaks["127.0.0.1"] = ["after"]
        assert isinstance(failures(bench, [step])["1/test/a", "127.0.0.1"], ConnectionLostError)
    with pytest.raises(InterruptedRunError):
        bench.run([stopped_twice(bench, step)])
    bench.cancellation = Cancellation()
    if lost:
        assert isinstance(failures(bench, [step])["1/test/a", "127.0.0.1"], OutcomeUnknownError)
    else:
        bench.run([step])
    assert bench.marks == {"127.0.0.1": ["a"]}


def test_a_script_that_an_interrupt_ended_is_begun_anew(bench: Bench) -> None:
    step = script(bench, "a", f"[ -e {bench.directory}/mended ] || {{ {ENDLESS.format(bench.directory)}; }}", on=ONE)
    step = replace(step, effect=Effect.ONCE)

    def interrupt() -> None:
        while not (bench.directory / "number").exists():
            os.sched_yield()
        bench.cancellation.request()
        bench.cancellation.request()

    watcher = threading.Thread(target=interrupt)
    watcher.start()
    with pytest.raises(InterruptedRunError):
        bench.run([step])
    watcher.join()
    assert ended(bench)
    assert len(bench.records("failed")) == 1
    bench.cancellation = Cancellation()
    (bench.directory / "mended").touch()
    bench.run([step])
    assert bench.marks == {"127.0.0.1": ["a", "a"]}


def changed(bench: Bench, effect: Effect, text: str) -> Step:
    return action("a", lambda context: context.sh(bench.mark(text)), on=ONE, effect=effect)


def test_a_script_that_changed_is_tried_anew_if_it_may_run_again(bench: Bench) -> None:
    bench.run([changed(bench, Effect.CONVERGE, "first")])
    bench.forget("done", "completed")
    bench.run([changed(bench, Effect.CONVERGE, "second")])
    assert bench.marks == {"127.0.0.1": ["first", "second"]}


def test_a_script_that_changed_and_must_not_run_twice_is_refused_however_often(bench: Bench) -> None:
    bench.run([changed(bench, Effect.ONCE, "first")])
    bench.forget("done", "completed")
    for _ in range(2):
        error = failures(bench, [changed(bench, Effect.ONCE, "second")])["1/test/a", "127.0.0.1"]
        assert isinstance(error, OutcomeUnknownError)
    bench.run([changed(bench, Effect.ONCE, "first")])
    assert bench.marks == {"127.0.0.1": ["first"]}


# -- queries and secrets ---------------------------------------------------------------------------------------------


def test_a_query_runs_again_only_when_something_pending_follows(bench: Bench) -> None:
    asked: list[str] = []
    ask = action("ask", lambda c: asked.append("ask"), on=ONE, effect=Effect.QUERY)
    work = script(bench, "work", on=ONE)
    bench.run([ask], [work])
    assert asked == ["ask"]
    bench.run([ask], [work])
    assert asked == ["ask"], "nothing is left to do"
    bench.run([ask], [work], [script(bench, "more", on=ONE)])
    assert asked == ["ask", "ask"]
    assert len(bench.records("intend")) == 2, "queries leave no record"


def test_queries_that_only_queries_follow_all_run(bench: Bench) -> None:
    number: Fact[int] = Fact("number", int)
    heard: list[int] = []
    ask = action("ask", lambda c: c.give(number, 7), on=ONE, effect=Effect.QUERY, gives=frozenset({number}))
    judge = action("judge", lambda c: heard.append(c.get(number)), on=ONE, effect=Effect.QUERY, needs={number})
    for _ in range(2):
        bench.run([ask], [judge])
    assert heard == [7, 7]


def test_a_secret_fact_is_given_again_to_what_is_pending(bench: Bench) -> None:
    token: Fact[str] = Fact("token", str, secret=True)
    given: list[str] = []

    def give(context: StepContext) -> None:
        given.append("x")
        context.give(token, "abcdef")

    gives = action("give", give, on=ONE, gives=frozenset({token}))
    needs = action(
        "need", lambda c: c.sh(bench.mark(c.get(token)) + f"[ -e {bench.directory}/mended ]"), on=ONE, needs={token}
    )
    failures(bench, [gives], [needs])
    (bench.directory / "mended").touch()
    bench.run([gives], [needs])
    assert len(given) == 2
    bench.run([gives], [needs])
    assert len(given) == 2, "nobody pending needs it"
    assert "abcdef" not in (bench.directory / "journal.jsonl").read_text()


def test_a_secret_that_a_query_needs_is_given_again(bench: Bench) -> None:
    token: Fact[str] = Fact("token", str, secret=True)
    heard: list[str] = []
    gives = action("give", lambda c: c.give(token, "abcdef"), on=ONE, gives=frozenset({token}))
    ask = action("ask", lambda c: heard.append(c.get(token)), on=ONE, effect=Effect.QUERY, needs={token})
    for _ in range(2):
        bench.run([gives], [ask])
    assert heard == ["abcdef"] * 2


def test_a_query_that_prints_without_end_is_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sealer.cluster.context.QUERY_LIMIT", 1 << 20)
    found = failures(bench, [action("ask", lambda c: c.query("head -c 3000000 /dev/zero"), on=ONE)])
    assert "printed more than 1 MiB" in str(found["1/test/ask", "127.0.0.1"])


def test_a_file_is_written_whole_or_not_at_all(bench: Bench, tmp_path: Path) -> None:
    target = tmp_path / "a b" / "c'd"
    bench.run([action("write", lambda c: c.write(str(target), b"x" * 100_000, 0o640), on=ONE)])
    assert target.read_bytes() == b"x" * 100_000
    assert target.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in target.parent.iterdir()] == ["c'd"]


def test_signals_have_numbers(bench: Bench) -> None:
    found = failures(bench, [script(bench, "a", "kill -TERM $$", on=ONE)])
    error = found["1/test/a", "127.0.0.1"]
    assert isinstance(error, CommandError)
    assert error.status == 128 + signal.SIGTERM


@pytest.mark.parametrize(("mode", "directory"), [(0o644, 0o755), (0o755, 0o755), (0o600, 0o700), (0o640, 0o700)])
def test_who_may_read_a_written_file_can_reach_it(bench: Bench, tmp_path: Path, mode: int, directory: int) -> None:
    target = tmp_path / "a" / "b" / "conf"
    bench.run([action("write", lambda c: c.write(str(target), b"x", mode), on=ONE)])
    modes = [path.stat().st_mode & 0o777 for path in (target, target.parent, target.parent.parent)]
    assert modes == [mode, directory, directory]
