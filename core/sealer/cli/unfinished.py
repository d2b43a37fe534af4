"""What `sealer status` shows of an operation that has not ended."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sealer.cli.views.words import one_line
from sealer.cluster.home import ClusterHome
from sealer.cluster.lock import working
from sealer.cluster.runs import RunFailure, last_failure
from sealer.events import Json

if TYPE_CHECKING:
    from sealer.extension.operation import Recorded, RecordedHost

_OPERATIONS = {"creating": "create", "changing": "change", "deleting": "delete"}


class Progress:
    """How far the last operation on a cluster came.

    :param clusters: the directory of all clusters.
    """

    def __init__(self, clusters: Path, recorded: Recorded) -> None:
        self._recorded = recorded
        home = ClusterHome.of(clusters, recorded.name)
        unfinished = recorded.status in _OPERATIONS
        self.at_work = bool(unfinished and working(home.lock))
        self.failure: RunFailure | None = last_failure(home) if unfinished and not self.at_work else None

    @property
    def short(self) -> str:
        """For a column: `create failed`, or the recorded status where an operation runs or none is unfinished."""
        if self.failure is None:
            return self._recorded.status
        ended = "failed" if self.failure.state == "failed" else "interrupted"
        return f"{_OPERATIONS[self._recorded.status]} {ended}"

    @property
    def lines(self) -> list[str]:
        """Where it stopped and why; empty: nothing is known, or it runs."""
        if self.failure is None:
            return []
        failure = self.failure
        host = f" on {failure.host}" if failure.host else ""
        place = f" at {failure.phase}: {one_line(failure.title)}{host}" if failure.title else ""
        ended = "failed" if failure.state == "failed" else "interrupted"
        where = f"{ended}{place}; log: {failure.log}"
        return [where, one_line(failure.message)] if failure.message else [where]

    @property
    def record(self) -> Json:
        """For a program."""
        failure = self.failure
        if failure is None:
            return None
        return {
            "state": failure.state,
            "phase": failure.phase,
            "title": failure.title,
            "host": failure.host,
            "why": failure.message,
            "log": str(failure.log),
        }

    def of_host(self, entry: RecordedHost) -> str:
        """What is recorded of a host."""
        if self._recorded.foreign:
            return "reached from here"
        if self._recorded.status == "deleting":
            return "leaving"
        if entry.member:
            return "member"
        return "joining" if self.at_work else "not joined"
