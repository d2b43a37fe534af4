"""The runs of a cluster, as their events tell them: `runs/<id>/events.jsonl`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sealer.cluster.home import ClusterHome
from sealer.cluster.lock import working
from sealer.documents import DocumentError, load_json
from sealer.errors import InputError

LONGEST_LINE = 1 << 20  # bytes; what is longer is no event of ours
TAIL = 1 << 16  # bytes at the end of the file in which its last words are looked for
HEAD = 200  # events at its beginning in which it says what it is about
RunEnd = Literal["done", "failed", "cancelled", "running", "killed"]
ENDS: dict[str, RunEnd] = {"done": "done", "failed": "failed", "cancelled": "cancelled"}


@dataclass(frozen=True)
class RunSummary:
    """One run: one process that worked on the cluster.

    :param summary: what it was to do, in words.
    :param operation: id of the operation; several runs may have one, when one continues another's work.
    :param state: how it ended; `killed`: without a word, `running`: it works still.
    :param started: seconds since the epoch.
    :param seconds: from its first event to its last.
    """

    id: str
    summary: str
    operation: str
    state: RunEnd
    started: float
    seconds: float


def events_of(path: Path) -> Iterator[dict[str, Any]]:
    """Every event of a run, in its order; a line that a crash has torn is passed over.

    :raises OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        while line := file.readline(LONGEST_LINE):
            if (event := _event(line)) is not None:
                yield event


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        event = load_json(line)
    except DocumentError:
        return None
    right = isinstance(event, dict) and isinstance(event.get("time"), int | float) and "state" in event
    return event if right and isinstance(event.get("data"), dict) else None


def runs_of(home: ClusterHome) -> list[RunSummary]:
    """All runs, the last one last."""
    paths = sorted((home.directory / "runs").glob("*/events.jsonl"))
    found = [summary for path in paths if (summary := _summary(path))]
    found.sort(key=lambda run: run.started)
    # Only the last one can still be at work: there is one writer a cluster.
    if found and found[-1].state == "killed" and working(home.lock):
        last = found[-1]
        found[-1] = RunSummary(last.id, last.summary, last.operation, "running", last.started, last.seconds)
    return found


@dataclass(frozen=True)
class RunFailure:
    """Where the last run on a cluster stopped.

    :param state: how it ended.
    :param phase: of the step that failed first; empty, as `title` and `host` may be: none did.
    :param message: why, one line.
    :param log: the events of the run.
    """

    state: RunEnd
    phase: str
    title: str
    host: str
    message: str
    log: Path


def last_failure(home: ClusterHome) -> RunFailure | None:
    """Why the last operation on a cluster is unfinished; None: nothing is known, or a sealer works on it now."""
    runs = runs_of(home)
    if not runs or runs[-1].state in ("done", "running"):
        return None
    path = events_path(home, runs[-1].id)
    failed: dict[str, Any] = {}
    try:
        for event in events_of(path):
            if event["state"] == "failed" and (event.get("host") or not failed):
                failed = event
                if event.get("host"):
                    break
    except OSError:  # it goes with the cluster
        return None
    phase, title, host, message = (str(failed.get(name) or "") for name in ("phase", "title", "host", "message"))
    return RunFailure(runs[-1].state, phase, title, host, message, path)


def run_of(home: ClusterHome, identifier: str) -> RunSummary:
    """One of them, by its id or the beginning of it; by default the last.

    :raises InputError: there is no such run, or there are several.
    """
    runs = runs_of(home)
    found = [run for run in runs if run.id.startswith(identifier)]
    if not runs:
        raise InputError(f"No run of the cluster '{home.name}' is recorded")
    if not identifier:
        return runs[-1]
    if len(found) > 1:
        found = [run for run in found if run.id == identifier] or found
    if len(found) != 1:
        why = f"these begin with it: {', '.join(run.id for run in found)}" if found else ""
        raise InputError(
            f"{'No run' if not found else 'More than one run'} '{identifier}' of the cluster '{home.name}'",
            why=why,
            remedy=f"`sealer timeline --list --name {home.name}` lists them.",
        )
    return found[0]


def events_path(home: ClusterHome, run: str) -> Path:
    """Where the events of a run lie."""
    return home.directory / "runs" / run / "events.jsonl"


def _summary(path: Path) -> RunSummary | None:
    """What the first and the last events say; the middle of a long file is not read. None: there is no event."""
    try:
        first, said = _beginning(path)
        last = _ending(path) or first
    except OSError:  # it goes with the cluster
        return None
    if first is None or last is None:
        return None
    started, ended = float(first["time"]), float(last["time"])
    state = ENDS.get(str(last["state"]), "killed") if not last.get("step") else "killed"
    operation = str(said["data"].get("operation", "")) if said else ""
    words = str(said.get("message", "")) if said else ""
    return RunSummary(path.parent.name, words, operation, state, started, max(0.0, ended - started))


def _beginning(path: Path) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The first event, and the one that says what the run is about."""
    first = None
    for number, event in enumerate(events_of(path)):
        first = first or event
        if event["state"] == "started" and not event.get("step"):
            return first, event
        if number > HEAD:
            break
    return first, None


def _ending(path: Path) -> dict[str, Any] | None:
    """The event that ended the run; of one that was not ended, its last."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - TAIL))
        lines = file.read(TAIL).splitlines()
    events = [event for line in lines if (event := _event(line)) is not None]
    ends = [event for event in events if not event.get("step") and event["state"] in ENDS]
    return next(reversed(ends or events), None)
