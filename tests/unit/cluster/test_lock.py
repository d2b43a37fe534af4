"""One writer a cluster: real processes over one lock file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sealer.cluster.lock import cluster_lock
from sealer.errors import LockHeldError, SealerError
from sealer.events import Event, EventStream

HOLD = """
import sys
from pathlib import Path
from sealer.cluster.lock import cluster_lock
from sealer.events import EventStream
with cluster_lock(Path(sys.argv[1]), "sealer run demo:1", EventStream()):
    print("held", flush=True)
    sys.stdin.read()
"""
# Takes the lock again and again; whoever is inside puts a file there that nobody else may have put.
CROWD = """
import os, sys
from pathlib import Path
from sealer.cluster.lock import cluster_lock
from sealer.errors import LockHeldError
from sealer.events import EventStream
inside, entered = Path(sys.argv[2]), 0
while entered < 100:
    try:
        with cluster_lock(Path(sys.argv[1]), "sealer", EventStream()):
            os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
            entered += 1
            inside.unlink()
    except LockHeldError:
        os.sched_yield()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "clusters" / "here" / "lock"


@contextmanager
def another_sealer(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock until its input ends."""
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process


def take(path: Path) -> list[str]:
    """Take the lock and give it back; what was told of it."""
    said: list[Event] = []
    events = EventStream()
    events.subscribe(said.append)
    with cluster_lock(path, "sealer apply", events):
        assert json.loads(path.read_text())["pid"] == os.getpid()
    return [event.message for event in said]


def test_the_second_is_refused_and_told_who_the_first_is(path: Path) -> None:
    with another_sealer(path) as holder:
        with pytest.raises(LockHeldError, match="Another sealer works on the cluster 'here'") as error:
            take(path)
        assert f"`sealer run demo:1` of {holder_name()} on " in error.value.why
        assert f"process {holder.pid}, since 2" in error.value.why
        holder.communicate("", timeout=30)
    assert take(path) == []


def holder_name() -> str:
    return subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()


def test_the_lock_of_a_killed_process_is_recovered_and_said_whose_it_was(path: Path) -> None:
    with another_sealer(path) as holder:
        holder.kill()
        holder.wait()
    assert json.loads(path.read_text())["pid"] == holder.pid, "it had no time to tidy up"
    assert len(told := take(path)) == 1
    assert told[0].startswith("recovered the lock that `sealer run demo:1`")
    assert f"process {holder.pid}," in told[0]


def test_a_holder_that_died_while_it_wrote_is_no_holder(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text('{"pid": 1')
    assert take(path) == []


@pytest.mark.parametrize("recorded", [True, False])
def test_a_directory_without_a_cluster_is_not_left(path: Path, recorded: bool) -> None:
    path.parent.mkdir(parents=True)
    if recorded:
        (path.parent / "state.json").touch()
    take(path)
    assert path.parent.exists() == recorded
    if recorded:
        assert path.read_bytes() == b"", "nobody holds it"


def test_an_error_gives_the_lock_back_and_is_passed_on(path: Path) -> None:
    with pytest.raises(SealerError, match="broken"), cluster_lock(path, "sealer", EventStream()):
        (path.parent / "state.json").touch()
        raise SealerError("broken")
    assert path.read_bytes() == b""
    assert take(path) == []


def test_whoever_ends_after_the_directory_was_made_anew_leaves_the_new_lock_alone(path: Path) -> None:
    """A delete removes the directory, its lock with it; the next sealer may come before it has quite ended."""
    with cluster_lock(path, "sealer delete", EventStream()):
        path.unlink()
        path.parent.rmdir()
        successor = another_sealer(path)
        holder = successor.__enter__()
    try:
        with pytest.raises(LockHeldError, match=str(holder.pid)):
            take(path)
    finally:
        holder.communicate("", timeout=30)
        successor.__exit__(None, None, None)


def test_of_many_that_make_and_remove_the_directory_one_at_a_time_is_inside(path: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", CROWD, str(path), str(tmp_path / "inside")]
    crowd = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    assert [(process.communicate(timeout=100)[1], process.returncode) for process in crowd] == [("", 0)] * 4
    assert not path.parent.exists()
