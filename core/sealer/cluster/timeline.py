"""What took the time in a run: its steps from start to end on each host, and the chain that nothing could shorten."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sealer.cluster.runs import RunSummary

# Events that say nothing of when a step began or ended: most of a long file.
_TALK = frozenset({"output", "progress", "info", "warning", "retrying", "attached"})
UNENDED = "unfinished"


@dataclass
class Span:
    """Something from its start to its end.

    :param start, end: seconds since the epoch.
    :param state: `done`, `skipped`, `failed`, `cancelled`; `unfinished`: the run ended before it did.
    """

    start: float
    end: float | None = None
    state: str = UNENDED

    @property
    def seconds(self) -> float:
        """How long it took."""
        return max(0.0, (self.end if self.end is not None else self.start) - self.start)


@dataclass
class StepSpan(Span):
    """A step of a run.

    :param after: ids of the steps that the plan has before it; None: the run was not asked to tell.
    :param stage: number of the stage it was planned in; stages follow one another.
    :param hosts: by host id.
    """

    id: str = ""
    title: str = ""
    phase: str = ""
    plugin: str = ""
    after: frozenset[str] | None = None
    stage: int = 0
    hosts: dict[str, Span] = field(default_factory=dict)

    @property
    def slowest(self) -> str:
        """The host that ended last; empty where none is known."""
        return max(self.hosts, key=lambda host: self.hosts[host].end or 0.0, default="")


@dataclass(frozen=True)
class Link:
    """One step of the critical path.

    :param host: the one that ended last.
    :param wait: seconds between the end of the step before and the start of this one.
    """

    step: StepSpan
    host: str
    wait: float


@dataclass(frozen=True)
class Timeline:
    """The steps of a run in the order of their start, and its critical path from the first step to the last.

    :param skipped: how many steps were done before, by an earlier run.
    """

    run: RunSummary
    steps: tuple[StepSpan, ...]
    critical: tuple[Link, ...]
    skipped: int

    @property
    def ended(self) -> float:
        """When the run ended, in seconds since the epoch."""
        return self.run.started + self.run.seconds


def timeline(run: RunSummary, events: Iterable[Mapping[str, Any]]) -> Timeline:
    """Read a run's events. What is kept is one span a step and host, however much they printed."""
    reader = _Reader()
    for event in events:
        if event.get("step") and event["state"] not in _TALK:
            reader.take(event)
    steps = reader.ended(run.started + run.seconds)
    did = [step for step in steps if step.state != "skipped"]
    path = _critical_path(steps)
    return Timeline(run, tuple(did), tuple(path), len(steps) - len(did))


class _Reader:
    def __init__(self) -> None:
        self._open: dict[str, StepSpan] = {}  # the last one of each id
        self._all: list[StepSpan] = []
        self._planned: dict[str, tuple[int, frozenset[str] | None]] = {}
        self._stage = 0
        self._planning = False

    def take(self, event: Mapping[str, Any]) -> None:
        """One event that tells of a beginning or an end."""
        state, step, host = str(event["state"]), str(event["step"]), str(event.get("host", ""))
        if state == "planned":
            if not self._planning:
                self._stage += 1
            after = event["data"].get("after")
            named = frozenset(map(str, after)) if isinstance(after, list) else None
            self._planned[step] = (self._stage, named)
        self._planning = state == "planned"
        if state == "planned":
            return
        if host:
            self._of_host(self._span(event), host, state, float(event["time"]))
        elif state == "started":
            self._span(event)
        else:
            self._end(self._span(event), state, float(event["time"]))

    def _span(self, event: Mapping[str, Any]) -> StepSpan:
        """The step that the event is about; one that begins again is another."""
        step = str(event["step"])
        span = self._open.get(step)
        again = span is not None and span.end is not None and event["state"] == "started" and not event.get("host")
        if span is None or again:
            stage, after = self._planned.get(step, (self._stage, None))
            title, phase, plugin = (str(event.get(name, "")) for name in ("title", "phase", "plugin"))
            span = StepSpan(float(event["time"]), None, UNENDED, step, title, phase, plugin, after, stage)
            self._open[step] = span
            self._all.append(span)
        return span

    def _of_host(self, step: StepSpan, host: str, state: str, time: float) -> None:
        if state == "started":
            step.hosts[host] = Span(time)
        else:
            self._end(step.hosts.setdefault(host, Span(time)), state, time)

    @staticmethod
    def _end(span: Span, state: str, time: float) -> None:
        span.state = state
        span.end = max(time, span.start)  # a clock may be set back meanwhile

    def ended(self, end: float) -> list[StepSpan]:
        """All steps; what has no end was going on when the run ended."""
        for step in self._all:
            for span in (step, *step.hosts.values()):
                if span.end is None:
                    span.end = max(end, span.start)
        return sorted(self._all, key=lambda step: step.start)


def _critical_path(steps: list[StepSpan]) -> list[Link]:
    """From the step that ended last back to the first, each time to the one that was waited for longest.

    That is, among those that the plan has before it, the one that ended last. Where a stage begins it is the last of
    the stages before; where the plan is not known, the last that had ended when the step began.
    """
    by_id = {step.id: step for step in steps}
    links: list[Link] = []
    at = max(steps, key=lambda step: step.end or 0.0, default=None)
    seen: set[int] = set()
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        before = _waited_for(at, steps, by_id)
        wait = max(0.0, at.start - (before.end or 0.0)) if before else 0.0
        if at.state != "skipped":
            links.append(Link(at, at.slowest, wait))
        at = before
    return links[::-1]


def _waited_for(step: StepSpan, steps: list[StepSpan], by_id: Mapping[str, StepSpan]) -> StepSpan | None:
    if step.after is None:
        candidates = [other for other in steps if other is not step and (other.end or 0.0) <= step.start]
    elif named := [by_id[other] for other in step.after if other in by_id]:
        candidates = named
    else:
        candidates = [other for other in steps if other.stage < step.stage]
    return max(candidates, key=lambda other: other.end or 0.0, default=None)
