from __future__ import annotations

import json
from pathlib import Path

from sealer.cli.run_records import RunRecord
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
