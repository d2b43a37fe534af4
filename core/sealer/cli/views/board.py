"""What is going on, put together from events: which steps run, and how far each host has come."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from sealer.cli.views.words import about_host, about_part
from sealer.events import Event, State

_WINDOW = 5.0  # seconds over which a rate is taken
_BEGIN = frozenset({State.STARTED, State.ATTACHED, State.RETRYING})
_END = frozenset({State.DONE, State.SKIPPED, State.FAILED, State.CANCELLED})


@dataclass
class HostRow:
    """One host in one step.

    :ivar line: the last line it printed, or why it is tried again.
    :ivar done, total: of its progress, in `unit`; -1: unknown.
    """

    host: str
    state: State = State.STARTED
    started: float = 0.0
    line: str = ""
    done: float = -1
    total: float = -1
    unit: str = "bytes"
    samples: deque[tuple[float, float]] = field(default_factory=deque)

    @property
    def running(self) -> bool:
        """Whether it has begun and not ended."""
        return self.state in _BEGIN

    def take(self, event: Event) -> None:
        """Take in how far it has come, or what it says."""
        if event.state is State.PROGRESS:
            self._progress(event)
        else:
            self.line = about_host(event) or self.line

    def _progress(self, event: Event) -> None:
        self.done = _number(event, "done")
        self.total = _number(event, "total")
        self.unit = str(event.data.get("unit") or "bytes")
        self.samples.append((event.time, self.done))
        while len(self.samples) > 2 and event.time - self.samples[0][0] > _WINDOW:
            self.samples.popleft()

    @property
    def rate(self) -> float:
        """Units a second over the last seconds; 0 if there is nothing to tell it by."""
        if len(self.samples) < 2:
            return 0.0
        (first, before), (last, now) = self.samples[0], self.samples[-1]
        return max(0.0, (now - before) / (last - first)) if last > first else 0.0


@dataclass
class StepRow:
    """One step over its hosts.

    :ivar expected: number of hosts it runs on; 0 while that is unknown.
    :ivar own: how far it has come by itself, where it runs on no host (a step of a build).
    :ivar parts: what moves at this moment (blobs of images), each with how far it has come.
    """

    id: str
    title: str = ""
    phase: str = ""
    state: State = State.PLANNED
    started: float = 0.0
    ended: float = 0.0
    expected: int = 0
    hosts: dict[str, HostRow] = field(default_factory=dict)
    own: HostRow | None = None
    parts: dict[str, HostRow] = field(default_factory=dict)

    @property
    def running(self) -> bool:
        """Whether it has begun and not ended."""
        return self.state in _BEGIN

    def count(self, *states: State) -> int:
        """How many of its hosts are in one of `states`."""
        return sum(row.state in states for row in self.hosts.values())

    @property
    def total(self) -> int:
        """How many hosts it is about."""
        return max(self.expected, len(self.hosts))


class Board:
    """The state of a run, event by event.

    :ivar steps: by id, in the order they were first heard of.
    :ivar announced: whether all steps were told before the first began, so that their number means something.
    """

    def __init__(self) -> None:
        self.steps: dict[str, StepRow] = {}
        self.started = 0.0
        self.announced = False

    @property
    def running(self) -> list[StepRow]:
        """The steps at work, the oldest first."""
        return [step for step in self.steps.values() if step.running]

    @property
    def finished(self) -> int:
        """How many steps have ended."""
        return sum(step.state in _END for step in self.steps.values())

    def apply(self, event: Event) -> StepRow | None:
        """Take in an event.

        :returns: its step, if it has one.
        """
        self.started = self.started or event.time
        if not event.step:
            return None
        step = self.steps.setdefault(event.step, StepRow(event.step))
        step.title = event.title or step.title or event.step
        step.phase = event.phase or step.phase
        if event.host:
            self._host(step, event)
        elif part := event.data.get("part"):
            self._part(step, str(part), event)
        elif event.state in (State.OUTPUT, State.PROGRESS, State.RETRYING):
            self._own(step, event)
        elif event.state in _BEGIN or event.state in _END or event.state is State.PLANNED:
            self._step(step, event)
        return step

    def _own(self, step: StepRow, event: Event) -> None:
        step.own = step.own or HostRow("", started=event.time)
        if step.state is State.RETRYING:
            step.state, step.own.line = State.STARTED, ""  # it is at work again
        if event.state is State.RETRYING:
            self._step(step, event)
        step.own.take(event)

    def _part(self, step: StepRow, part: str, event: Event) -> None:
        row = step.parts.get(part)
        if row is None:
            row = step.parts[part] = HostRow(about_part(event), started=event.time)
        row.take(event)
        if row.done >= row.total:
            del step.parts[part]

    def _step(self, step: StepRow, event: Event) -> None:
        step.state = event.state
        self.announced = self.announced or event.state is State.PLANNED
        step.expected = max(step.expected, _hosts(event))
        if event.state in _BEGIN:
            step.started = step.started or event.time
        elif event.state in _END:
            step.ended = event.time

    def _host(self, step: StepRow, event: Event) -> None:
        if event.state in (State.WARNING, State.INFO, State.PLANNED):
            return
        row = step.hosts.get(event.host)
        if row is None:
            row = step.hosts[event.host] = HostRow(event.host, started=event.time)
        if not step.running and step.state not in _END:
            step.state, step.started = State.STARTED, event.time
        row.take(event)
        if event.state not in (State.PROGRESS, State.OUTPUT):
            row.state = event.state
        elif row.state is State.RETRYING:
            row.state = State.STARTED  # it is at work again


def _number(event: Event, key: str) -> float:
    value = event.data.get(key)
    return float(value) if isinstance(value, int | float) else -1.0


def _hosts(event: Event) -> int:
    hosts = event.data.get("hosts")
    if isinstance(hosts, list):
        return len(hosts)
    return hosts if isinstance(hosts, int) else 0
