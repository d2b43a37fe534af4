"""What took the time in a run, read from its events."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from sealer.cluster.home import ClusterHome
from sealer.cluster.lock import holder
from sealer.cluster.runs import RunSummary, events_of, run_of, runs_of
from sealer.cluster.timeline import Timeline, timeline
from sealer.errors import InputError

RUN = RunSummary("1", "create", "op", "done", 100.0, 50.0)
Line = tuple[float, str, str, str]  # time, step, state, host


def event(time: float, step: str, state: str, host: str = "", **data: Any) -> dict[str, Any]:
    return {"time": 100.0 + time, "step": step, "state": state, "host": host, "title": step.upper(), "data": data}


def planned(**after: list[str]) -> list[dict[str, Any]]:
    return [event(0, step, "planned", after=before) for step, before in after.items()]


def ran(step: str, start: float, end: float, **hosts: tuple[float, float]) -> list[dict[str, Any]]:
    """A step from its start to its end, and the same of each host."""
    events = [event(start, step, "started")]
    for host, (begin, finish) in hosts.items():
        events += [event(begin, step, "started", host), event(finish, step, "done", host)]
    return [*events, event(end, step, "done")]


def path(found: Timeline) -> list[tuple[str, str, float]]:
    return [(link.step.id, link.host, link.wait) for link in found.critical]


def test_the_critical_path_goes_by_the_plan_and_not_by_the_clock() -> None:
    # `long` and `short` run side by side; `last` waited for `long` alone; `aside` ended in between, and nobody waits.
    events = [
        *planned(first=[], long=["first"], short=["first"], aside=["first"], last=["long", "short"]),
        *ran("first", 0, 5, a=(0, 2), b=(0, 5)),
        *ran("short", 5, 8, a=(5, 8)),
        *ran("long", 6, 30, a=(6, 30)),
        *ran("aside", 5, 30.5, a=(5, 30.5)),
        *ran("last", 31, 40, a=(31, 40)),
    ]
    found = timeline(RUN, events)
    assert path(found) == [("first", "b", 0.0), ("long", "a", 1.0), ("last", "a", 1.0)]
    assert [step.id for step in found.steps] == ["first", "short", "aside", "long", "last"]
    by_id = {step.id: step for step in found.steps}
    assert by_id["first"].hosts["a"].seconds == 2
    assert by_id["long"].seconds == 24


def test_stages_follow_one_another() -> None:
    events = [
        *planned(reach=[]),
        *ran("reach", 0, 3, a=(0, 3)),
        *planned(one=[], two=[]),
        *ran("one", 4, 6, a=(4, 6)),
        *ran("two", 4, 9, a=(4, 9)),
    ]
    assert path(timeline(RUN, events)) == [("reach", "a", 0.0), ("two", "a", 1.0)]


def test_what_was_done_before_takes_no_part_and_joins_what_it_stood_between() -> None:
    events = [
        *planned(a=[], b=["a"], c=["b"]),
        *ran("a", 0, 4, h=(0, 4)),
        event(4, "b", "skipped"),
        *ran("c", 4.5, 9, h=(4.5, 9)),
    ]
    found = timeline(RUN, events)
    assert path(found) == [("a", "h", 0.0), ("c", "h", 0.5)]
    assert found.skipped == 1


def test_a_failed_run_ends_with_what_failed() -> None:
    events = [
        *planned(a=[], b=["a"], c=["a"]),
        *ran("a", 0, 4, h=(0, 4)),
        event(4, "b", "started"),
        event(4, "b", "started", "h"),
        event(4, "c", "started"),
        event(4, "c", "started", "h"),
        event(6, "c", "cancelled", "h"),
        event(6, "c", "cancelled"),
        event(7, "b", "failed", "h"),
        event(7, "b", "failed"),
    ]
    found = timeline(RUN, events)
    assert [(step.id, step.state) for step in found.steps] == [("a", "done"), ("b", "failed"), ("c", "cancelled")]
    assert path(found)[-1] == ("b", "h", 0.0)


def test_a_killed_run_was_in_the_middle_of_something() -> None:
    events = [*planned(a=[]), event(1, "a", "started"), event(1, "a", "started", "h"), event(9, "a", "output", "h")]
    [step] = timeline(RUN, events).steps
    assert (step.state, step.seconds) == ("unfinished", 49.0)
    assert step.hosts["h"].state == "unfinished"


def test_a_run_of_an_older_sealer_did_not_tell_its_plan() -> None:
    events = [event(0, "a", "planned"), *ran("a", 0, 4, h=(0, 4)), *ran("b", 1, 2, h=(1, 2)), *ran("c", 5, 6, h=(5, 6))]
    found = timeline(RUN, events)
    assert found.steps[0].after is None
    assert path(found) == [("a", "h", 0.0), ("c", "h", 1.0)]


def test_a_clock_that_is_set_back_gives_no_negative_time() -> None:
    found = timeline(RUN, [*planned(a=[], b=["a"]), *ran("a", 5, 2, h=(5, 2)), *ran("b", 3, 4, h=(3, 4))])
    assert all(step.seconds >= 0 for step in found.steps)
    assert all(link.wait >= 0 for link in found.critical)


def test_a_step_that_runs_twice_is_two() -> None:
    found = timeline(RUN, [*ran("ask", 0, 1, h=(0, 1)), *ran("ask", 5, 6, h=(5, 6))])
    assert [(step.start, step.seconds) for step in found.steps] == [(100.0, 1.0), (105.0, 1.0)]


def test_a_run_in_which_nothing_ran() -> None:
    found = timeline(RUN, [])
    assert (found.steps, found.critical) == ((), ())


# -- the files -----------------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> ClusterHome:
    return ClusterHome(tmp_path / "here")


def write(home: ClusterHome, run: str, *events: dict[str, Any], torn: str = "") -> Path:
    file = home.run(run) / "events.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in events) + torn)
    return file


def begun(time: float, words: str = "create of here", operation: str = "op") -> dict[str, Any]:
    return {**event(time, "", "started", operation=operation), "message": words}


def test_runs_are_listed_with_how_they_ended(home: ClusterHome) -> None:
    write(home, "b", begun(20), *ran("x", 21, 24), event(25, "", "failed"))
    write(home, "a", {**event(0, "", "warning"), "message": "old"}, begun(1), event(9, "", "done"))
    write(home, "c", begun(30), event(31, "x", "started"), event(40, "x", "output", "h"), torn='{"time": 99, "st')
    found = runs_of(home)
    assert [(run.id, run.state, run.seconds) for run in found] == [
        ("a", "done", 9.0),
        ("b", "failed", 5.0),
        ("c", "killed", 10.0),
    ]
    assert {run.summary for run in found} == {"create of here"}
    assert {run.operation for run in found} == {"op"}


def test_the_last_one_may_be_at_work(home: ClusterHome) -> None:
    write(home, "a", begun(0), event(1, "x", "started"))
    write(home, "b", begun(9), event(10, "x", "started"))
    home.lock.write_text(json.dumps(holder("sealer apply")))
    assert [run.state for run in runs_of(home)] == ["killed", "running"]
    gone = {**holder("sealer apply"), "pid": 2**22 + 1}
    home.lock.write_text(json.dumps(gone))
    assert [run.state for run in runs_of(home)] == ["killed", "killed"]


def test_a_run_is_found_by_the_beginning_of_its_id(home: ClusterHome) -> None:
    with pytest.raises(InputError, match="No run of the cluster 'here'"):
        run_of(home, "")
    for number, name in enumerate(("2026-a1", "2026-a2", "2026-b")):
        write(home, name, begun(number), event(number + 1, "", "done"))
    assert run_of(home, "").id == "2026-b"
    assert run_of(home, "2026-b").id == "2026-b"
    with pytest.raises(InputError, match="More than one run"):
        run_of(home, "2026-a")
    with pytest.raises(InputError, match="No run '7'") as caught:
        run_of(home, "7")
    assert "--list" in caught.value.remedy


@pytest.mark.parametrize("rubbish", [b"\xff\xfe\n", b"[]\n", b'{"time": "x"}\n', b"null\n", b"{" * 100 + b"\n"])
def test_rubbish_is_passed_over(home: ClusterHome, rubbish: bytes) -> None:
    file = write(home, "a", begun(0), event(1, "", "done"))
    file.write_bytes(rubbish + file.read_bytes() + rubbish)
    assert len(list(events_of(file))) == 2
    assert runs_of(home)[0].state == "done"
    file.write_bytes(rubbish)
    assert runs_of(home) == []


def test_what_scripts_print_takes_no_memory(home: ClusterHome) -> None:
    """60 MB of output; what is kept of them is one span."""
    line = json.dumps({**event(2, "a", "output", "h"), "message": "x" * 3000}).encode() + b"\n"
    file = write(home, "a", begun(0), *planned(a=[]), event(1, "a", "started"), event(1, "a", "started", "h"))
    with file.open("ab") as stream:
        for _ in range(200):
            stream.write(line * 100)
        stream.write(json.dumps(event(3, "a", "done", "h")).encode() + b"\n")
    tracemalloc.start()
    [run] = runs_of(home)
    found = timeline(run, events_of(file))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert file.stat().st_size > 60_000_000
    assert found.steps[0].hosts["h"].seconds == 2
    assert most < 4_000_000
