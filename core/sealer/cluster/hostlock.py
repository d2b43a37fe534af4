"""One writer a cluster, also across operators' machines: a lock on each host, stale by the host's own clock."""

from __future__ import annotations

import hashlib
import json
import shlex
import threading
from collections.abc import Sequence
from pathlib import Path

from sealer.cluster.connections import Connections
from sealer.cluster.lock import describe, holder
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
    """

    def __init__(
        self, home: Path, paths: HostPaths, command: str, connections: Connections, events: EventStream
    ) -> None:
        self._identity = operator_identity(home)
        self._path, self._data, self._root = paths.lock, paths.data, paths.data_root
        self._receipts = paths.receipts
        self._holder = json.dumps(holder(command))
        self._connections = connections
        self._events = events
        self._held: dict[str, Host] = {}
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def step(self, on: Targets) -> Step:
        """Take the lock on every host."""
        return Step("lock", "Lock the hosts", on, self._take, effect=Effect.QUERY, unreachable="skip", timeout=60)

    def _take(self, context: StepContext) -> None:
        lock = shlex.quote(self._path)
        script = f"""umask 077; mkdir -p "$(dirname {lock})" || exit 1
if ! (set -C; cat > {lock}) 2>/dev/null; then
    age=$(( $(date +%s) - $(stat -c %Y {lock} 2>/dev/null || echo 0) ))
    [ "$(head -n 1 {lock})" = {self._identity} ] || [ $age -gt {STALE} ] || {{ sed -n 2p {lock}; echo $age; exit 75; }}
    cat > {lock}.new && mv {lock}.new {lock}
fi
find {shlex.quote(self._receipts)} -mindepth 1 -maxdepth 1 -mtime +{RECEIPT_DAYS} -exec rm -rf {{}} + 2>/dev/null
exit 0
"""
        result = context.query(script, stdin=f"{self._identity}\n{self._holder}\n".encode(), check=False)
        if result.status == 75:
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
        while not self._over.wait(RENEW):
            self._on_each(f"touch -c {shlex.quote(self._path)}")

    def release(self) -> None:
        """Give all locks back; a host that does not answer keeps a lock that goes stale."""
        self._over.set()
        if self._thread:
            self._thread.join(RENEW)
        path = shlex.quote(self._path)
        # A host on which nothing was done but this is left without a trace.
        directories = " ".join(shlex.quote(place) for place in (self._data, f"{self._root}/data", self._root))
        mine = f'[ "$(head -n 1 {path} 2>/dev/null)" != {self._identity} ]'
        self._on_each(f"{mine} || {{ rm -f {path}; rmdir {directories} 2>/dev/null; true; }}")

    def _on_each(self, command: str) -> None:
        hosts: Sequence[Host] = list(self._held.values())
        for host in hosts:
            try:
                with self._connections.noticing_loss(host):
                    self._connections.to(host).execute(f"sh -c {shlex.quote(command)}", timeout=10)
            except SealerError as error:
                self._held.pop(host.address, None)
                self._events.info(f"its lock is left to go stale: {error}", host=host.id)


def _in_words(content: str) -> str:
    try:
        return describe(json.loads(content))
    except ValueError:
        return content
