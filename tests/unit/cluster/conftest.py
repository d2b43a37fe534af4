"""What tests of the cluster floor share."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from sealer.cluster.cancellation import Cancellation
from sealer.cluster.connections import Connections
from sealer.cluster.executor import Executor, Surroundings
from sealer.cluster.facts import Facts
from sealer.cluster.hosts_of import resolve
from sealer.cluster.journal import Journal
from sealer.cluster.plan import StageBuilder
from sealer.clusterfile.model import Cluster
from sealer.errors import ConnectionLostError, SealerError
from sealer.events import Event, EventStream, State
from sealer.extension import Connection, Exit, Step
from sealer.hosts import Host
from sealer.settings import Settings
from sealer.testing import make_operation
from sealer_plugin_local import LocalConnection, LocalTransport


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    if os.geteuid() != 0:
        pytest.skip("a small file system can only be mounted by root")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


class Breaking(LocalTransport):
    """This machine by several addresses, over connections that break when they are told to.

    :ivar breaks: by address how the next commands end: `before`: nothing ran; `after`: all of it did, unheard.
    """

    def __init__(self, home: Path) -> None:
        super().__init__(Settings(home=home), EventStream(), {})
        self.breaks: dict[str, list[str]] = {}
        self.refusals: dict[str, SealerError] = {}
        self.opened: list[str] = []

    def connect(self, host: Host) -> Connection:
        if host.address in self.refusals:
            raise self.refusals[host.address]
        self.opened.append(host.address)
        return _BreakingConnection(host.address, self.breaks.setdefault(host.address, []))


class _BreakingConnection(LocalConnection):
    def __init__(self, address: str, breaks: list[str]) -> None:
        super().__init__(address)
        self._breaks = breaks
        self._where = address

    def execute(self, command: str, **more: Any) -> Exit:
        how = self._breaks.pop(0) if self._breaks else ""
        if how == "before":
            raise ConnectionLostError("the connection broke", where=self._where)
        exit_ = super().execute(command, **{**more, "stdout": None, "stderr": None} if how == "after" else more)
        if how == "after":
            raise ConnectionLostError("the connection broke", where=self._where)
        return exit_


class Bench:
    """Runs steps as a run of sealer would: each `run` is a process of its own, with the same journal.

    :ivar marks: of each address, what scripts that call `mark WORD` left.
    """

    def __init__(self, directory: Path, hosts: int = 3) -> None:
        self.directory = directory
        addresses = [f"127.0.0.{number}" for number in range(1, hosts + 1)]
        self.hosts = [Host(address, ("node" if number else "master",)) for number, address in enumerate(addresses)]
        spec = Cluster(name="bench", data_root=str(directory / "data"))
        self.operation = make_operation("create", hosts=self.hosts, spec=spec)
        self.transport = Breaking(directory)
        self.events: list[Event] = []
        self.parallel = 32
        self.settled: dict[tuple[str, str], bool] = {}
        self.passed_over: dict[str, str] = {}
        self.tolerated: set[str] = set()
        self.cancellation = Cancellation()
        self.facts = Facts()
        self.journal = Journal(directory / "journal.jsonl")

    def run(self, *lists: Sequence[Step]) -> None:
        """One run over a stage of the lists of steps, of a plugin named `test` in phases named 1, 2, ..."""
        builder = StageBuilder("bench")
        for number, steps in enumerate(lists, 1):
            builder.add(str(number), "test", steps)
        stream = EventStream()
        stream.subscribe(self.events.append)
        self.events.clear()
        self.journal = Journal(self.directory / "journal.jsonl")
        if not self.journal.state.operation:
            self.journal.begin({"id": "bench"})
        self.facts = Facts()
        connections = Connections(lambda host: self.transport)
        surroundings = Surroundings(
            self.operation,
            self.journal,
            b"key",
            self.facts,
            connections,
            stream,
            self.cancellation,
            self.parallel,
            lambda planned: resolve(planned.step.on, self.operation, lambda key, value: frozenset()),
            lambda host: {"HostIP": host.address},
            settle=lambda step, host: self.settled.get((step, host)),
            passed_over=lambda planned, host: self.passed_over.get(host.id, ""),
            tolerate=lambda planned: planned.step.id in self.tolerated,
        )
        try:
            Executor(surroundings, builder.build()).run()
        finally:
            self.journal.close()
            connections.close()

    def mark(self, word: str) -> str:
        """A script's line that leaves a mark."""
        return f'echo {word} >> {self.directory}/marks-"$HostIP"\n'

    @property
    def marks(self) -> dict[str, list[str]]:
        files = sorted(self.directory.glob("marks-*"))
        return {file.name.removeprefix("marks-"): file.read_text().split() for file in files}

    def records(self, kind: str) -> list[dict[str, Any]]:
        """The journal's records of one kind."""
        lines = (self.directory / "journal.jsonl").read_text().splitlines()
        return [record for record in map(json.loads, lines) if record["record"] == kind]

    def forget(self, *kinds: str) -> None:
        """Make the journal what it was before records of these kinds: as a SIGKILL would have."""
        path = self.directory / "journal.jsonl"
        lines = [line for line in path.read_text().splitlines(True) if json.loads(line)["record"] not in kinds]
        path.write_text("".join(lines))

    def said(self, state: State) -> list[tuple[str, str]]:
        """Of events of this state the step and the host."""
        return [(event.step, event.host) for event in self.events if event.state is state]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    if os.geteuid() != 0:
        pytest.skip("commands run as root, so the test must too")
    return Bench(tmp_path)
