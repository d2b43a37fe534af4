"""How the timeline of a run is shown: bars for people, JSON for programs."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from sealer.cli.tables import table
from sealer.cli.terminal import encoding_of
from sealer.cli.views.words import duration, one_line
from sealer.cluster.runs import RunSummary
from sealer.cluster.timeline import Span, StepSpan, Timeline
from sealer.events import Json

WORDS = {"killed": "ended abruptly (killed, or the machine stopped)", "running": "still running"}
NARROWEST, WIDEST = 10, 60  # cells of a bar's column
SHORTEST, TITLE = 16, 44  # characters of a step's title beside its bar


@dataclass(frozen=True)
class Strokes:
    """What bars are drawn with."""

    critical: str = "█"
    other: str = "▒"


ASCII = Strokes("#", "-")


def strokes() -> Strokes:
    """What stdout can show."""
    try:
        "█▒".encode(encoding_of(sys.stdout))
    except (LookupError, UnicodeEncodeError):
        return ASCII
    return ASCII if os.environ.get("TERM") == "dumb" else Strokes()


def run_as_json(run: RunSummary) -> dict[str, Json]:
    """A run for a program."""
    return {
        "run": run.id,
        "operation": run.operation,
        "summary": run.summary,
        "state": run.state,
        "started": run.started,
        "seconds": round(run.seconds, 3),
    }


def as_json(cluster: str, found: Timeline) -> dict[str, Json]:
    """The timeline for a program; every start is in seconds since the run's."""
    start = found.run.started
    return {
        "cluster": cluster,
        **run_as_json(found.run),
        "skipped": found.skipped,
        "steps": [
            {
                "id": step.id,
                "title": step.title,
                "phase": step.phase,
                "plugin": step.plugin,
                "after": None if step.after is None else list[Json](sorted(step.after)),
                **_span(step, start),
                "hosts": [{"host": host, **_span(span, start)} for host, span in step.hosts.items()],
            }
            for step in found.steps
        ],
        "criticalPath": [
            {
                "step": link.step.id,
                "host": link.host,
                "wait": round(link.wait, 3),
                "seconds": round(link.step.seconds, 3),
            }
            for link in found.critical
        ],
    }


def _span(span: Span, start: float) -> dict[str, Json]:
    return {"state": span.state, "start": round(span.start - start, 3), "seconds": round(span.seconds, 3)}


def runs_as_text(runs: Sequence[RunSummary]) -> str:
    """The runs of a cluster, the last one last."""
    rows = [(run.id, when(run.started), run.state, duration(run.seconds), one_line(run.summary)) for run in runs]
    return table(("run", "began", "state", "took", "what"), rows) if rows else "No run is recorded."


def as_text(found: Timeline, *, hosts: bool = False) -> str:
    """The timeline for a person.

    :param hosts: a bar for each host of a step, too.
    """
    run = found.run
    head = f"{one_line(run.summary) or 'run'}: {WORDS.get(run.state, run.state)}, {duration(run.seconds)}"
    lines = [head, f"run {run.id}, {when(run.started)}"]
    if found.skipped:
        lines.append(f"{found.skipped} steps were completed earlier")
    if not found.steps:
        return "\n".join([*lines, "", "No step ran."])
    return "\n".join([*lines, "", _bars(found, hosts), "", _path(found)])


def _bars(found: Timeline, hosts: bool) -> str:
    critical = {id(link.step) for link in found.critical}
    drawn = strokes()
    rows: list[tuple[str, str, str, str, Span, str]] = []
    for step in found.steps:
        stroke = drawn.critical if id(step) in critical else drawn.other
        where = next(iter(step.hosts)) if len(step.hosts) == 1 else f"{len(step.hosts)} hosts" if step.hosts else ""
        rows.append((step.phase, _title(step), where, _took(step), step, stroke))
        if hosts and len(step.hosts) > 1:
            rows += [("", "", host, _took(span), span, stroke) for host, span in step.hosts.items()]
    room = shutil.get_terminal_size((120, 24)).columns
    texts = [("phase", "", "hosts", "took"), *(row[:4] for row in rows)]
    others = sum(max(len(line[at]) for line in texts) for at in (0, 2, 3))
    title = max(SHORTEST, min(TITLE, room - others - NARROWEST - 4 * 2))
    hosts_room = max(SHORTEST, room - others + max(len(row[2]) for row in rows) - title - NARROWEST - 4 * 2)
    cells = [(row[0], _cut(row[1], title), _cut(row[2], hosts_room), row[3]) for row in rows]
    columns = table(("phase", "step", "hosts", "took"), cells, whole=True).splitlines()
    text = max(map(len, columns))
    width = min(WIDEST, max(NARROWEST, room - text - 2))
    bars = [_bar(row[4], row[5], found, width) for row in rows]
    return "\n".join([columns[0], *(f"{line:<{text}}  {bar}" for line, bar in zip(columns[1:], bars, strict=True))])


def _bar(span: Span, stroke: str, found: Timeline, width: int) -> str:
    whole = max(found.run.seconds, 0.001)
    first = int(min(max((span.start - found.run.started) / whole, 0.0), 1.0) * (width - 1))
    return " " * first + stroke * max(1, min(round(span.seconds / whole * width), width - first))


def _path(found: Timeline) -> str:
    """Where to look first for the next improvement."""
    head = "critical path: the chain of steps that the run waited for"
    return f"{head}\n{table(('share', 'took', 'host', 'step', 'id'), path_rows(found))}"


def path_rows(found: Timeline) -> list[tuple[str, str, str, str, str]]:
    """The critical path: share of the run, time, host, title and id of each step, and what passed between them."""
    steps = sum(link.step.seconds for link in found.critical)
    between = max(0.0, found.run.seconds - steps)
    whole = max(found.run.seconds, 0.001)
    rows = [
        (f"{link.step.seconds / whole:.0%}", duration(link.step.seconds), link.host, _title(link.step), link.step.id)
        for link in found.critical
    ]
    return [*rows, (f"{between / whole:.0%}", duration(between), "", "between steps", "")]


def _title(step: StepSpan) -> str:
    return one_line(step.title or step.id)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _took(span: Span) -> str:
    return duration(span.seconds) if span.state == "done" else f"{duration(span.seconds)} {span.state}"


def when(seconds: float) -> str:
    """Local date and time.

    :param seconds: since the epoch.
    """
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
