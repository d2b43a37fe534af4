from __future__ import annotations

import json
from pathlib import Path

from sealer.cli.run_records import RunRecord
from sealer.cli.views.recording import LONGEST_MESSAGE, Recording
from sealer.cluster.runs import events_of
from sealer.events import Event, EventStream, State


def test_what_came_before_the_run_began_is_kept_too(tmp_path: Path) -> None:
    events = EventStream()
    with RunRecord(tmp_path / "c", events) as record:
        events.warn("an old spelling")
        assert not (tmp_path / "c").exists()
        events.emit(State.STARTED, message="create of cluster c")
        events.emit(State.STARTED, step="a")
    events.info("after the run")
    lines = (tmp_path / "c" / "runs" / record.id / "events.jsonl").read_text().splitlines()
    assert [json.loads(line)["message"] for line in lines] == ["an old spelling", "create of cluster c", ""]
    assert {json.loads(line)["run"] for line in lines} == {record.id}


def test_a_run_that_never_began_leaves_nothing(tmp_path: Path) -> None:
    events = EventStream()
    with RunRecord(tmp_path / "c", events):
        events.warn("an old spelling")
    assert not list(tmp_path.iterdir())


def test_a_record_that_cannot_be_written_does_not_end_the_run(tmp_path: Path) -> None:
    (tmp_path / "c").write_text("in the way")
    events, seen = EventStream(), list[Event]()
    events.subscribe(seen.append)
    with RunRecord(tmp_path / "c", events):
        events.emit(State.STARTED, message="create")
        events.emit(State.STARTED, step="a")
    (warning,) = [event.message for event in seen if event.state is State.WARNING]
    assert warning.startswith("events are no longer recorded")


def test_output_is_recorded_up_to_a_size_and_the_rest_is_said_to_be_elsewhere(tmp_path: Path) -> None:
    """One host that prints without end takes neither the disk, nor the room of the others; other events stay."""
    path = tmp_path / "events.jsonl"
    with Recording(path, most_of_one=20_000, most_of_all=50_000) as recording:
        for number in range(1000):
            for host in "abcd":
                recording(Event(State.OUTPUT, step="s", host=host, message=f"line {number} of {host}"))
        recording(Event(State.DONE, step="s", host="a"))
    assert path.stat().st_size < 60_000
    events = list(events_of(path))
    assert events[-1]["state"] == "done"
    for host in "abcd":
        lines = [event for event in events[:-1] if event["host"] == host]
        assert [event["message"] for event in lines[:-1]] == [
            f"line {number} of {host}" for number in range(len(lines) - 1)
        ]
        assert lines[-1]["data"] == {"cut": True}
        assert "the rest is in the file `output` of the step's receipt" in lines[-1]["message"]


def test_an_event_of_any_size_is_a_line_that_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with Recording(path) as recording:
        recording(Event(State.INFO, message="\U0001f600" * 3_000_000))
        recording(Event(State.INFO, message="short", data={"names": ["x" * 2_000_000]}))
        recording(Event(State.DONE))
    first, second, last = events_of(path)
    assert first["message"].endswith("... (3000000 characters)")
    assert len(first["message"]) < LONGEST_MESSAGE + 100
    assert (second["message"], second["data"], last["state"]) == ("short", {}, "done")
