"""The file that makes resume exact."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sealer.cluster.journal import Journal
from sealer.errors import SealerError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def full(path: Path) -> Journal:
    journal = Journal(path)
    journal.begin({"id": "op-1", "kind": "create"})
    journal.intend("step", "print", "10.0.0.1", "try-1")
    journal.done("try-1", {"number": 3})
    journal.intend("step", "print", "10.0.0.2", "try-2")
    journal.failed("try-2", "broken")
    journal.intend("step", "print", "10.0.0.3", "try-3")
    journal.completed("other", "print")
    return journal


def test_what_was_written_is_read(path: Path) -> None:
    full(path).close()
    state = Journal(path).state
    assert state.unfinished == {"id": "op-1", "kind": "create"}
    assert {host: attempt.state for (_, host), attempt in state.attempts.items()} == {
        "10.0.0.1": "done",
        "10.0.0.2": "failed",
        "10.0.0.3": "unknown",
    }
    assert state.attempts["step", "10.0.0.1"].facts == {"number": 3}
    assert state.completed == {"other": "print"}


def test_every_prefix_of_the_file_can_be_read_and_continued(path: Path) -> None:
    """A crash may cut the file at any byte."""
    full(path).close()
    content = path.read_bytes()
    for length in range(len(content) + 1):
        path.write_bytes(content[:length])
        journal = Journal(path)
        whole = content[:length].rfind(b"\n") + 1
        assert path.read_bytes() == content[:whole]
        if journal.state.unfinished:
            journal.intend("more", "print", "10.0.0.9", "try-9")
            journal.close()
            assert Journal(path).state.attempts["more", "10.0.0.9"].state == "unknown"


def test_damage_before_the_end_is_an_error_that_names_the_line(path: Path) -> None:
    full(path).close()
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = b'{"record":"done","attempt":\n'
    path.write_bytes(b"".join(lines))
    with pytest.raises(SealerError) as error:
        Journal(path)
    assert error.value.where == f"{path}:3"
    assert error.value.remedy


def test_an_ended_operation_gives_way_to_the_next_and_is_kept(path: Path) -> None:
    journal = full(path)
    journal.end("completed")
    assert journal.state.unfinished is None
    journal.begin({"id": "op-2", "kind": "scale"})
    journal.close()
    state = Journal(path).state
    assert state.operation == {"id": "op-2", "kind": "scale"}
    assert not state.attempts
    kept = (path.parent / "runs" / "op-1" / "journal.jsonl").read_text().splitlines()
    assert json.loads(kept[-1]) == {"record": "end", "outcome": "completed"}


def test_only_its_owner_can_read_it(path: Path) -> None:
    full(path).close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_full_disk_leaves_whole_records(tmp_path: Path, small_disk: Path) -> None:
    path = small_disk / "journal.jsonl"
    journal = Journal(path)
    journal.begin({"id": "op-1", "kind": "create"})
    with pytest.raises(SealerError, match="journal cannot be written") as error:
        for number in range(100_000):
            journal.intend("step", "print", f"host-{number}", f"try-{number}")
    assert "room" in error.value.remedy
    journal.close()
    assert path.read_bytes().endswith(b"\n")
    assert len(Journal(path).state.attempts) == number
