"""One writer a cluster, also across operators' machines: a lock on each host, stale by the host's own clock."""

from __future__ import annotations

import hashlib
import json
import shlex
import threading
from collections.abc import Callable
from pathlib import Path

from sealer.cluster.connections import Connections
from sealer.cluster.lock import describe, holder
from sealer.cluster.receipts import host_script, prune_spare, spare
from sealer.documents import DocumentError, load_json
from sealer.errors import LockHeldError, SealerError
from sealer.events import EventStream
from sealer.extension.context import StepContext
from sealer.extension.operation import HostPaths
from sealer.extension.steps import Effect, Step
from sealer.extension.targets import Targets
from sealer.hosts import Host

STALE = 120  # seconds without a sign of life, by the host's clock
RECEIPT_DAYS = 7  # how long a host keeps what scripts printed
RENEW = 30.0  # seconds between signs of life
MOST_WORDS = 400  # characters of what a host says about who holds its lock
HELD = 75  # what the hosts' side ends with when the lock is another's


def operator_identity(home: Path) -> str:
    """This machine and this home: as only one sealer at a time works from here, its earlier lock is a dead one's."""
    try:
        machine = Path("/etc/machine-id").read_text("utf-8").strip()
    except OSError:
        machine = ""
    return hashlib.sha256(f"{machine}:{home}".encode()).hexdigest()[:24]


class HostLocks:
    """The locks that one run holds.

    :param command: what we are doing, for others to read.
    :param lost: called when another sealer has taken a lock of ours: we were not heard of for too long.
    """

    def __init__(  # noqa: PLR0917  # all of it is what a run has
        self,
        home: Path,
        paths: HostPaths,
        command: str,
        connections: Connections,
        events: EventStream,
        lost: Callable[[], object],
    ) -> None:
        self._identity = operator_identity(home)
        self._path, self._data, self._root = paths.lock, paths.data, paths.data_root
        self._receipts = paths.receipts
        self._holder = json.dumps(holder(command))
        self._connections = connections
        self._events = events
        self._lost = lost
        self._held: dict[str, Host] = {}
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def _places(self) -> str:
        """Where the lock may lie on a host, as words for a shell."""
        return f"{shlex.quote(self._path)} {shlex.quote(spare(self._path))}"

    def step(self, on: Targets) -> Step:
        """Take the lock on every host."""
        return Step("lock", "Lock the hosts", on, self._take, effect=Effect.QUERY, unreachable="skip", timeout=60)

    def _take(self, context: StepContext) -> None:
        content = f"{self._identity}\n{self._holder}\n".encode()
        settings = {"lock": self._path, "me": self._identity, "size": str(len(content)), "stale": str(STALE)}
        more = {"receipts": self._receipts, "days": str(RECEIPT_DAYS)}
        result = context.query(host_script("lock.sh"), env={**settings, **more}, stdin=content, check=False)
        if result.status == HELD:
            who, _, age = result.stdout.strip().rpartition("\n")
            raise LockHeldError(
                f"Another sealer works on the cluster '{context.operation.cluster}'",
                where=context.host.id,
                why=f"{_in_words(who)}; last sign of life {age} s ago",
                remedy=f"Wait for it to end. If it is dead, its lock goes stale {STALE} s after its last sign of life.",
            )
        if result.status:
            raise SealerError(
                "The host cannot be locked",
                where=context.host.id,
                why=result.stderr.strip() or f"status {result.status}",
                remedy=f"See whether {self._path} can be written there.",
            )
        self._held[context.host.address] = context.host

    def keep_alive(self) -> None:
        """Give signs of life until :meth:`release`."""
        self._thread = threading.Thread(target=self._renew, name="host-locks", daemon=True)
        self._thread.start()

    def _renew(self) -> None:
        mine = f'[ "$(head -n 1 "$lock")" = {self._identity} ]'
        # A delete removes the lock together with all else.
        command = (
            f'for lock in {self._places}; do [ ! -e "$lock" ] || {{ {mine} && touch -c "$lock"; }} || exit {HELD}; done'
        )
        while not self._over.wait(RENEW):
            for host in self._on_each(command, "its lock could not be renewed"):
                self._events.warn("another sealer has taken the lock of this host: stopping", host=host.id)
                self._lost()

    def release(self) -> None:
        """Give all locks back; a host that does not answer keeps a lock that goes stale."""
        self._over.set()
        if self._thread:
            self._thread.join(RENEW)
        # A host on which nothing was done but this is left without a trace.
        directories = " ".join(shlex.quote(place) for place in (self._data, f"{self._root}/data", self._root))
        mine = f'[ "$(head -n 1 "$lock" 2>/dev/null)" != {self._identity} ]'
        command = (
            f'for lock in {self._places}; do {mine} || {{ rm -f "$lock"; rmdir {directories} 2>/dev/null; }}; done; '
            f"rmdir {shlex.quote(spare(self._data))} 2>/dev/null; {prune_spare(self._data)}"
        )
        self._on_each(command, "its lock is left to go stale")

    def _on_each(self, command: str, failure: str) -> list[Host]:
        """Run it on every host that is held; gives those on which another holds the lock."""
        others = []
        for host in list(self._held.values()):
            try:
                with self._connections.noticing_loss(host):
                    done = self._connections.to(host).execute(f"sh -c {shlex.quote(command)}", timeout=10)
                if done.status == HELD:
                    others.append(host)
            except SealerError as error:
                self._events.info(f"{failure}: {error}", host=host.id)
        return others


def _in_words(content: str) -> str:
    try:
        who = load_json(content)
    except DocumentError:
        who = None
    return (describe(who) if isinstance(who, dict) else content)[:MOST_WORDS]
