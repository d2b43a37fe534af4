"""A step that failed says why by the logs of its host: bounded, without secrets, and never instead of its own error."""

from __future__ import annotations

from typing import Any

import pytest

from sealer.errors import (
    CommandError,
    ConnectionLostError,
    HostError,
    OperationFailedError,
    SealerError,
    StepTimeoutError,
)
from sealer.events import State
from sealer.extension import ALL, FIRST_MASTER, Addresses, Effect, Step, StepContext
from sealer.redaction import Secret

Bench = Any  # the fixture's class lives in conftest.py, which cannot be imported
ONE = Addresses(frozenset({"127.0.0.1"}))


def failing(script: str, diagnosis: str, **more: Any) -> Step:
    more.setdefault("on", ONE)

    def run(context: StepContext) -> None:
        context.sh(script)

    return Step("start", "Start it", run=run, diagnosis=diagnosis, **more)


def errors(bench: Bench, step: Step) -> dict[str, SealerError]:
    with pytest.raises(OperationFailedError) as error:
        bench.run([step])
    return {failure.host: failure.error for failure in error.value.failures}


def test_the_hosts_logs_are_with_the_error_and_in_the_events(bench: Bench) -> None:
    (bench.directory / "log").write_text("starting\nno such flag\n")
    found = errors(bench, failing("echo it failed; exit 3", f"cat {bench.directory}/log", on=ALL))
    assert len(found) == 3
    for error in found.values():
        assert isinstance(error, CommandError)
        assert (error.status, error.output, error.diagnosis) == (3, ("it failed",), ("starting", "no such flag"))
    told = [event.data["diagnosis"] for event in bench.events if event.state is State.FAILED and event.host]
    assert told == [["starting", "no such flag"]] * 3


@pytest.mark.parametrize("effect", Effect)
def test_whatever_the_steps_effect(bench: Bench, effect: Effect) -> None:
    [error] = errors(bench, failing("exit 1", "echo $HostIP", effect=effect)).values()
    assert error.diagnosis == ("127.0.0.1",)


def test_it_is_bounded_and_without_secrets(bench: Bench) -> None:
    Secret("hidden-word")
    script = (
        "seq 100000; echo hidden-word --token=abc.def Authorization: Bearer eyJhbGci password=x1, end\n"
        "head -c 5000 /dev/zero | tr '\\0' x\n"
    )
    [error] = errors(bench, failing("exit 1", script)).values()
    assert len(error.diagnosis) == 40
    assert error.diagnosis[0] == "99963"
    *_, line, longest = error.diagnosis
    assert line == "****** --token=****** Authorization: Bearer ****** password=******, end"
    assert len(longest) == 400


@pytest.mark.parametrize("diagnosis", ["exit 7", "echo whatever; kill -9 $$", "no-such-program-at-all"])
def test_one_that_fails_itself_changes_nothing(bench: Bench, diagnosis: str) -> None:
    [error] = errors(bench, failing("exit 3", diagnosis)).values()
    assert isinstance(error, CommandError)
    assert error.status == 3


def test_one_that_hangs_is_not_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sealer.cluster.diagnosis.SECONDS", 0.5)
    [error] = errors(bench, failing("exit 3", "sleep 300")).values()
    assert (str(error), error.diagnosis) == ("127.0.0.1: The script ended with status 3", ())


def test_a_step_that_took_too_long_is_diagnosed_after_its_time(bench: Bench) -> None:
    [error] = errors(bench, failing("sleep 300", "echo it waits for the disk", timeout=0.5)).values()
    assert isinstance(error, StepTimeoutError)
    assert error.diagnosis == ("it waits for the disk",)


def test_a_host_that_is_gone_is_not_asked(bench: Bench) -> None:
    bench.transport.breaks["127.0.0.1"] = ["before"]
    [error] = errors(bench, failing("true", "echo no")).values()
    assert isinstance(error, ConnectionLostError)
    assert error.diagnosis == ()


def test_the_host_that_the_error_names_is_asked(bench: Bench) -> None:
    """A master that waits for another host knows nothing; the host that is late does."""

    def run(context: StepContext) -> None:
        raise HostError("not ready", where="127.0.0.3")

    step = Step("wait", "Wait", FIRST_MASTER, run, diagnosis="echo I am $HostIP")
    assert errors(bench, step)["127.0.0.1"].diagnosis == ("I am 127.0.0.3",)
