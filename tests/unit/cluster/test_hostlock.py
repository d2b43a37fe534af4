"""The lock on a host: real shells of this machine, each home an operator of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sealer.cluster import hostlock
from sealer.cluster.connections import Connections
from sealer.cluster.hostlock import STALE, HostLocks
from sealer.clusterfile.model import Cluster
from sealer.errors import LockHeldError, OperationFailedError, SealerError
from sealer.events import Event, EventStream
from sealer.extension import ALL

Bench = Any  # the fixture's class lives in conftest.py, which cannot be imported
PATIENCE = 20


class Operator:
    """Somebody at a machine of their own, with all that takes locks."""

    def __init__(self, bench: Bench, name: str, lost: Callable[[], object] = lambda: None) -> None:
        (bench.directory / name).mkdir()
        self.bench = type(bench)(bench.directory / name, hosts=1)
        self.bench.operation = bench.operation
        self.bench.transport = bench.transport
        self.events: list[Event] = []
        stream = EventStream()
        stream.subscribe(self.events.append)
        connections = Connections(lambda host: bench.transport)
        paths, command = bench.operation.paths, f"sealer of {name}"
        self.locks = HostLocks(Path("/home", name.partition("-")[0]), paths, command, connections, stream, lost)

    def take(self) -> None:
        try:
            self.bench.run([self.locks.step(ALL)])
        except OperationFailedError as error:
            raise error.failures[0].error from None


@pytest.fixture
def shared(bench: Bench) -> Bench:
    """A cluster of one host."""
    return type(bench)(bench.directory, hosts=1)


def lock(shared: Bench) -> Path:
    return Path(shared.operation.paths.lock)


def grow_old(path: Path, seconds: float = STALE + 5) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


def test_the_second_is_refused_and_told_who_the_first_is(shared: Bench) -> None:
    anne, bert = Operator(shared, "anne"), Operator(shared, "bert")
    anne.take()
    with pytest.raises(LockHeldError) as error:
        bert.take()
    assert f"`sealer of anne` of root on {os.uname().nodename}, process {os.getpid()}" in error.value.why
    assert "last sign of life" in error.value.why
    anne.locks.release()
    assert not list(shared.directory.glob("data/*")), "nothing else was done there"
    bert.take()
    assert [path.name for path in lock(shared).parent.iterdir()] == ["lock"]


def test_the_lock_of_a_dead_run_of_our_own_is_taken_at_once_and_anothers_when_it_is_stale(shared: Bench) -> None:
    Operator(shared, "anne-before").take()
    Operator(shared, "anne").take()
    grow_old(lock(shared), STALE - 5)
    bert = Operator(shared, "bert")
    with pytest.raises(LockHeldError):
        bert.take()
    grow_old(lock(shared))
    bert.take()
    assert "sealer of bert" in lock(shared).read_text()


def test_a_connection_that_broke_before_all_was_said_locks_nobody_out(shared: Bench) -> None:
    shared.transport.breaks["127.0.0.1"] = ["cut"]
    Operator(shared, "anne").take()
    assert not lock(shared).exists()
    Operator(shared, "bert").take()


def test_a_full_disk_is_no_other_sealer(shared: Bench, small_disk: Path) -> None:
    shared.operation = replace(
        shared.operation, desired=replace(shared.operation.desired, cluster=Cluster(data_root=str(small_disk / "root")))
    )
    (small_disk / "root/data/bench").mkdir(parents=True)
    subprocess.run(f"head -c 1M /dev/zero > {small_disk}/full", shell=True, stderr=subprocess.DEVNULL, check=False)
    memory = Path(f"/run/sealer{small_disk}")
    anne = Operator(shared, "anne")
    anne.take()  # in memory, where others look too
    with pytest.raises(LockHeldError):
        Operator(shared, "carl").take()
    (small_disk / "full").unlink()
    with pytest.raises(LockHeldError, match="Another sealer"):
        Operator(shared, "dora").take()
    anne.locks.release()
    assert not memory.exists()
    bert = Operator(shared, "bert")
    bert.take()
    bert.locks.release()


def test_a_host_that_nothing_can_be_written_on_is_no_other_sealer(shared: Bench, small_disk: Path) -> None:
    (small_disk / "root").write_text("")  # no directory can be made there
    shared.operation = replace(
        shared.operation, desired=replace(shared.operation.desired, cluster=Cluster(data_root=str(small_disk / "root")))
    )
    memory = Path(f"/run/sealer{small_disk}/root")
    memory.parent.mkdir(parents=True)
    memory.write_text("")
    try:
        with pytest.raises(SealerError, match="cannot be locked") as error:
            Operator(shared, "anne").take()
        assert "Not a directory" in error.value.why or "File exists" in error.value.why
    finally:
        memory.unlink()
        os.removedirs(memory.parent)


def test_of_many_that_find_a_stale_lock_one_takes_it(shared: Bench) -> None:
    for turn in range(5):
        Operator(shared, f"dead-{turn}").take()
        grow_old(lock(shared))
        rivals = [Operator(shared, f"r{number}.{turn}") for number in range(6)]
        together = threading.Barrier(len(rivals), timeout=PATIENCE)
        won: list[Operator] = []

        def compete(rival: Operator, together: threading.Barrier = together, won: list[Operator] = won) -> None:
            together.wait()
            try:
                rival.take()
            except LockHeldError:
                return
            won.append(rival)

        threads = [threading.Thread(target=compete, args=(rival,)) for rival in rivals]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        assert [path.name for path in lock(shared).parent.iterdir()] == ["lock"]
        won[0].locks.release()


def test_a_claim_that_was_never_made_good_goes_stale_too(shared: Bench) -> None:
    Operator(shared, "anne").take()
    grow_old(lock(shared))
    at = lock(shared).stat()
    claim = lock(shared).with_name(f"lock.{at.st_ino}.{int(at.st_mtime)}")
    shutil.copy2(lock(shared), claim)
    bert = Operator(shared, "bert")
    with pytest.raises(LockHeldError):
        bert.take()
    bert.take()
    assert "sealer of bert" in lock(shared).read_text()


def test_whoever_was_not_heard_of_for_too_long_stops(shared: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostlock, "RENEW", 0.01)
    stopped = threading.Event()
    anne = Operator(shared, "anne", stopped.set)
    anne.take()
    shared.transport.breaks["127.0.0.1"] = ["before"]  # a broken connection alone is no reason
    anne.locks.keep_alive()
    grow_old(lock(shared), 60)
    while time.time() - lock(shared).stat().st_mtime > 50:
        assert not stopped.is_set()
        os.sched_yield()
    lock(shared).write_text("somebody else\n{}\n")
    assert stopped.wait(PATIENCE)
    anne.locks.release()
    assert "another sealer has taken the lock of this host: stopping" in [event.message for event in anne.events]
    assert lock(shared).read_text().startswith("somebody else"), "what is not ours stays"
