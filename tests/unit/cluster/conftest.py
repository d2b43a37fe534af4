"""What tests of the cluster floor share."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from sealer.cluster.cancellation import Cancellation
from sealer.cluster.choices import Choices
from sealer.cluster.connections import Connections
from sealer.cluster.executor import Executor, Surroundings
from sealer.cluster.facts import Facts
from sealer.cluster.home import ClusterHome
from sealer.cluster.hosts_of import resolve
from sealer.cluster.journal import Journal
from sealer.cluster.lifecycle import Lifecycle
from sealer.cluster.plan import StageBuilder
from sealer.clusterfile.model import Cluster, Clusterfile
from sealer.clusterfile.reading import read
from sealer.errors import ConnectionLostError, SealerError
from sealer.events import Event, EventStream, State
from sealer.extension import Connection, Exit, Step
from sealer.extension.manager import PluginManager
from sealer.hosts import Host
from sealer.image.build import BuildRequest, build
from sealer.image.store import Store
from sealer.settings import Settings
from sealer.testing import make_operation
from sealer_plugin_local import LocalConnection, LocalTransport


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    if os.geteuid() != 0:
        pytest.skip("a small file system can only be mounted by root")
    disk = tmp_path / "small-disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


class Breaking(LocalTransport):
    """This machine by several addresses, over connections that break when they are told to.

    :ivar breaks: by address how the next commands end: `before`: nothing ran; `after`: all of it did, unheard;
        `cut`: the end of its input was lost.
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
        if how == "cut":
            more["stdin"] = [b"".join(more["stdin"])[:-9]]
        if how == "before":
            raise ConnectionLostError("the connection broke", where=self._where)
        exit_ = super().execute(command, **{**more, "stdout": None, "stderr": None} if how == "after" else more)
        if how in ("after", "cut"):
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
            settle=lambda planned, host: self.settled.get((planned.id, host.id)),
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


MACHINES = '''
from pathlib import Path

from sealer.errors import AuthenticationError, HostUnreachableError, InterruptedRunError
from sealer.extension import REMOVED, Step
from sealer_plugin_local import LocalConnection, LocalTransport

SITE = Path({site!r})
ENTER = """mount --bind "$1/machine-id" /etc/machine-id && mount --bind "$1/disk" "$0" || exit 1
shift; exec "$@" """


class Machines(LocalTransport):
    def connect(self, host):
        machine = SITE / "machines" / host.address
        if (machine / "off").exists():
            raise HostUnreachableError("nobody answers", where=host.address)
        if (machine / "hangs").exists():
            self.cancelled.wait(60)
            raise InterruptedRunError("Interrupted", where=host.address)
        if (machine / "revoked").exists() and not host.ssh.password:
            raise AuthenticationError("no key is known there", where=host.address)
        enter = ("unshare", "--mount", "/bin/sh", "-c", ENTER, str(SITE / "disk"), str(machine))
        return LocalConnection(host.address, enter)

    def revoke(self, operation):
        def take(context):
            (SITE / "machines" / context.host.address / "revoked").touch()

        return [Step("revoke", "Let nobody in any more", REMOVED, take, unreachable="skip")]
'''


class Site:
    """Clusters made by the lifecycle as the command line makes them, on machines 10.0.0.1, 10.0.0.2 and so on.

    Each is this machine with a machine-id and a disk of its own, behind the transport `machines`, which lets us in
    without a password until its step `revoke` ran.

    :ivar hooks: takes part as an installed plugin would.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.settings = Settings(home=directory / "home", parallel_hosts=4)
        self.store = Store(self.settings.images)
        self.context = directory / "context"
        self.hooks: list[object] = []
        self.events: list[Event] = []
        for place in (self.context, directory / "disk", directory / "site"):
            place.mkdir()
        for number in range(1, 5):
            machine = self.machine(number)
            (machine / "disk").mkdir(parents=True)
            (machine / "machine-id").write_text(f"{number:032x}\n")
        package = directory / "site/sealer_test_machines-1.dist-info"
        package.mkdir()
        (package / "METADATA").write_text("Metadata-Version: 2.1\nName: sealer-test-machines\nVersion: 1\n")
        (package / "entry_points.txt").write_text("[sealer.transports]\nmachines = sealer_test_machines:Machines\n")
        (directory / "site/sealer_test_machines.py").write_text(MACHINES.format(site=str(directory)))

    def machine(self, number: int) -> Path:
        """What is particular to a machine; a file `off` in it makes nobody answer."""
        return self.directory / f"machines/10.0.0.{number}"

    def rootfs(self, number: int = 1) -> Path:
        """Of the cluster `here` on a machine."""
        return self.machine(number) / "disk/sealer/data/here/rootfs"

    def build(self, files: Mapping[str, str], kubefile: str = "", *, name: str = "demo:1", kind: str = "") -> None:
        """An image of files."""
        for path, text in files.items():
            file = self.context / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        (self.directory / "Kubefile").write_text(f"FROM scratch\nCOPY . .\n{kubefile}\n")
        build(self.store, BuildRequest(self.context, self.directory / "Kubefile", (name,), type=kind), EventStream())

    def desired(self, *documents: str, machines: Sequence[int] = (1,), **fields: str) -> Clusterfile:
        """A Clusterfile; of `fields` each value is YAML; the first machine is the master."""
        spec = {"image": "demo:1", "dataRoot": f"{self.directory}/disk/sealer", "transport": "machines", **fields}
        lines = [f"  {name}: {value}" for name, value in spec.items()]
        lines += ["  hosts:"]
        for place, number in enumerate(machines):
            lines += [f"  - ips: [10.0.0.{number}]", f"    roles: [{'node' if place else 'master'}]"]
        head = "apiVersion: sealer.io/v2\nkind: Cluster\nmetadata: {name: here}\nspec:\n"
        return read("\n---\n".join([head + "\n".join(lines) + "\n", *documents]), "Clusterfile")

    def lifecycle(self, **choices: Any) -> Lifecycle:
        """As a process of its own would have it."""
        stream = EventStream()
        self.events.clear()
        stream.subscribe(self.events.append)
        plugins = PluginManager(self.settings, stream)
        plugins.load_installed()
        for number, hook in enumerate(self.hooks):
            plugins.register(hook, f"hook-{number}")
        return Lifecycle(self.settings, plugins, stream, choices=Choices(**{"command": "sealer test", **choices}))

    def killed(self, when: Literal["before", "after"], record: str, do: Callable[[Lifecycle], object]) -> None:
        """A process that does it and is killed at the journal's first record of a kind."""
        child = os.fork()
        if not child:
            write = Journal._append

            def append(journal: Journal, content: Mapping[str, Any]) -> None:
                meant = content["record"] == record
                if when == "before" and meant:
                    os.kill(os.getpid(), signal.SIGKILL)
                write(journal, content)
                if meant:
                    os.kill(os.getpid(), signal.SIGKILL)

            Journal._append = append  # type: ignore[method-assign,assignment]
            try:
                do(self.lifecycle(confirm=lambda question: True))
            finally:
                os._exit(1)
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL

    @property
    def home(self) -> ClusterHome:
        """What is recorded of the cluster `here`."""
        return ClusterHome.of(self.settings.clusters, "here")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    if os.geteuid() != 0:
        pytest.skip("machines with a disk of their own are made by root, so the test must be root too")
    made = Site(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    yield made
    sys.modules.pop("sealer_test_machines", None)
