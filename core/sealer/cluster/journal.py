"""What was about to be done, and what came of it: the file that makes resume exact.

JSON lines. A record is on disk before anything it announces happens; a torn last line is the mark of a crash and is
dropped. Records, by their field `record`:

`begin` (an operation), `locked` and `released` (from here on there are locks on the hosts, and no more), `intend` (a
step on a host, with the attempt's name), `done` and `failed` (an attempt, with its facts or its error), `completed` (a
step on all its hosts), `settling` (all steps are done, only the recorded state has yet to say so), `end` (the
operation: `completed` or `abandoned`).
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sealer.cluster.files import make_private_directory, sync_directory, writing
from sealer.errors import SealerError
from sealer.events import Json


@dataclass
class Attempt:
    """One try of a step on a host."""

    name: str
    step: str
    host: str
    fingerprint: str
    state: Literal["unknown", "done", "failed"] = "unknown"
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class JournalState:
    """What the records say, in memory."""

    operation: dict[str, Any] | None = None
    ended: str = ""
    settling: bool = False
    locked: bool = False
    attempts: dict[tuple[str, str], Attempt] = field(default_factory=dict)  # (step, host): the last one
    completed: dict[str, str] = field(default_factory=dict)  # step: fingerprint
    by_name: dict[str, Attempt] = field(default_factory=dict)

    @property
    def unfinished(self) -> dict[str, Any] | None:
        """The operation that began and has not ended."""
        return self.operation if self.operation and not self.ended else None

    @property
    def untouched(self) -> bool:
        """Whether the operation that has not ended has done nothing on any host."""
        return self.unfinished is not None and not (self.attempts or self.settling or self.locked)

    @property
    def settled(self) -> bool:
        """Whether all steps are done of the operation that has not ended."""
        return self.settling and self.unfinished is not None

    def apply(self, record: Mapping[str, Any]) -> None:
        """Take one record in."""
        kind = record["record"]
        if kind == "begin":
            self.__init__(operation=dict(record["operation"]))  # type: ignore[misc]  # a new operation starts afresh
        elif kind == "intend":
            attempt = Attempt(record["attempt"], record["step"], record["host"], record["fingerprint"])
            self.attempts[attempt.step, attempt.host] = self.by_name[attempt.name] = attempt
        elif kind == "done":
            self.by_name[record["attempt"]].state = "done"
            self.by_name[record["attempt"]].facts = record["facts"]
        elif kind == "failed":
            self.by_name[record["attempt"]].state = "failed"
        elif kind == "completed":
            self.completed[record["step"]] = record["fingerprint"]
        elif kind == "settling":
            self.settling = True
        elif kind in ("locked", "released"):
            self.locked = kind == "locked"
        elif kind == "end":
            self.ended = record["outcome"]


class Journal:
    """The journal of one cluster; open it under the cluster's lock.

    :param path: of the file; it need not exist.
    :raises SealerError: a line other than the last cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state = JournalState()
        self._lock = threading.Lock()
        self._descriptor = -1
        keep = self._read()
        if keep is not None:
            os.truncate(path, keep)

    @property
    def _remedy(self) -> str:
        name = self.path.parent.name
        return f"Restore the file, or run `sealer delete --all --force --name {name}` and begin again."

    def _read(self) -> int | None:
        """Take all records in; returns the length of the file that is whole, or None when there is no file."""
        try:
            content = self.path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise SealerError(
                "The journal cannot be read",
                where=str(self.path),
                why=error.strerror or str(error),
                remedy=self._remedy,
            ) from error
        whole = 0
        for number, line in enumerate(content.splitlines(keepends=True), 1):
            try:
                if not line.endswith(b"\n"):
                    break
                self.state.apply(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                if whole + len(line) == len(content):
                    break  # torn in a way that ends in a line feed: the crash came between two sectors
                raise SealerError(
                    "The journal is damaged",
                    where=f"{self.path}:{number}",
                    why=str(error) or type(error).__name__,
                    remedy=self._remedy,
                ) from error
            whole += len(line)
        return whole

    def begin(self, operation: Mapping[str, Json]) -> None:
        """A new operation; the records of an ended one are put beside the runs first."""
        if self.state.operation and self.path.exists():
            archive = make_private_directory(self.path.parent / "runs" / str(self.state.operation["id"]))
            self.close()
            with writing(archive):
                self.path.rename(archive / self.path.name)
        self._append({"record": "begin", "operation": dict(operation)})

    def lock(self) -> None:
        """Locks are taken on the hosts from now on; on disk when this returns."""
        self._append({"record": "locked"})

    def release(self) -> None:
        """All locks on the hosts were given back."""
        self._append({"record": "released"})

    def intend(self, step: str, fingerprint: str, host: str, attempt: str) -> None:
        """`step` is about to be done on `host`; on disk when this returns."""
        self._append({"record": "intend", "step": step, "host": host, "fingerprint": fingerprint, "attempt": attempt})

    def done(self, attempt: str, facts: Mapping[str, Any]) -> None:
        """The attempt succeeded and gave these facts; on disk when this returns."""
        self._append({"record": "done", "attempt": attempt, "facts": dict(facts)})

    def failed(self, attempt: str, error: str) -> None:
        """The attempt is known to have failed."""
        self._append({"record": "failed", "attempt": attempt, "error": error})

    def completed(self, step: str, fingerprint: str) -> None:
        """The step is done on all of its hosts."""
        self._append({"record": "completed", "step": step, "fingerprint": fingerprint})

    def settle(self) -> None:
        """All steps are done; from here on only the recorded state is brought up to date."""
        self._append({"record": "settling"})

    def end(self, outcome: Literal["completed", "abandoned"]) -> None:
        """The operation is over."""
        self._append({"record": "end", "outcome": outcome})

    def close(self) -> None:
        """Close the file; the next record opens it again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _append(self, record: Mapping[str, Any]) -> None:
        line = json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
        with self._lock:
            if self._descriptor < 0:
                with writing(self.path):
                    new = not self.path.exists()
                    self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
                    if new:
                        sync_directory(self.path.parent)
            size = os.fstat(self._descriptor).st_size
            try:
                if os.write(self._descriptor, line) != len(line):
                    raise OSError(28, "the file system is full")
                os.fdatasync(self._descriptor)
            except OSError as error:
                os.ftruncate(self._descriptor, size)
                raise SealerError(
                    "The journal cannot be written, so nothing more is done",
                    where=str(self.path),
                    why=error.strerror or str(error),
                    remedy="Make room on this machine's disk and run the same command again.",
                ) from error
            self.state.apply(record)
