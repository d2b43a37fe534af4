"""One connection to a host for the whole run, and how long a broken one is waited for."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from sealer.errors import OperationFailedError
from sealer.events import State
from sealer.extension import ALL, Addresses, Retry, Step, StepContext

Bench = Any  # the fixture's class lives in conftest.py, which cannot be imported


def step(name: str, **more: Any) -> Step:
    def run(context: StepContext) -> None:
        context.sh("true")
        context.query("true")

    return Step(name, name, run=run, **{"on": ALL, **more})


def test_all_steps_of_a_run_share_one_connection_to_each_host(bench: Bench) -> None:
    together = frozenset[str]()
    bench.run([step("a"), step("b", after=together), step("c", after=together)], [step("d")], [step("e")])
    assert sorted(bench.transport.opened) == sorted(host.address for host in bench.hosts)


def test_each_pause_is_twice_the_one_before_up_to_the_most(bench: Bench) -> None:
    bench.transport.breaks["127.0.0.1"] = ["before"] * 4
    retry = Retry(4, delay=0.2, most=0.4)
    with pytest.raises(OperationFailedError):
        bench.run([step("a", on=Addresses(frozenset({"127.0.0.1"})), retry=retry)])
    times = [event.time for event in bench.events if event.state in (State.RETRYING, State.FAILED) and event.host]
    pauses = [after - before for before, after in pairwise(times)]
    assert len(pauses) == 3
    # An event's time is read off another clock than the pause, which may be a little behind.
    assert all(pause > least - 0.01 for pause, least in zip(pauses, (0.2, 0.4, 0.4), strict=True)), pauses
