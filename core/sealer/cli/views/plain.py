"""A pipe, a log file, a terminal that can do nothing: one line for every event that is worth one."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import AbstractContextManager, nullcontext

import click

from sealer.cli.views.words import about_host, clock, duration, instruction, one_line, written
from sealer.events import Event, State

OUTPUT_LINES = 50
_LOUD = frozenset({State.FAILED, State.WARNING})
_SILENT = frozenset({State.PLANNED, State.PROGRESS})


class PlainView:
    """Prints `HH:MM:SS phase  host  title: state`.

    Of what a step prints on one host, the first 50 lines are shown: a script that prints 100 MB must not fill a log.

    :param quiet: only failures and warnings.
    """

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._started: dict[tuple[str, str], float] = {}
        self._told: set[str] = set()
        self._warned: set[tuple[str, str]] = set()
        self._printed: Counter[tuple[str, str]] = Counter()

    def __enter__(self) -> PlainView:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def paused(self) -> AbstractContextManager[None]:
        """Nothing to leave: what is printed stays."""
        return nullcontext()

    def __call__(self, event: Event) -> None:
        """Print `event`, if it is worth a line."""
        if event.state is State.STARTED:
            self._started[event.step, event.host] = event.time
        if event.state in _SILENT or (self._quiet and event.state not in _LOUD):
            return
        line = self._output(event) if event.state is State.OUTPUT else self._line(event)
        if line:
            click.echo(line)

    def _output(self, event: Event) -> str:
        key = event.step, event.host
        self._printed[key] += 1
        if self._printed[key] > OUTPUT_LINES + 1:
            return ""
        shown = one_line(event.message) if self._printed[key] <= OUTPUT_LINES else "(more output is not shown here)"
        who = self._subject(event).rstrip() or instruction(event)
        return f"{clock(event.time)} {who} | {shown}"

    def _line(self, event: Event) -> str:
        if event.state in (State.INFO, State.WARNING):
            mark = "warning: " if event.state is State.WARNING else ""
            if event.state is State.WARNING and event.host:
                self._warned.add((event.step, event.message.removeprefix("passed over: ")))
            return f"{clock(event.time)} {self._subject(event)}{mark}{about_host(event)}"
        if self._said_elsewhere(event):
            return ""
        if not event.step and event.state in (State.STARTED, State.DONE):
            return f"{clock(event.time)} {about_host(event)}{self._took(event)}"
        # Why it failed is said once: by the error that follows on stderr.
        about = f": {about_host(event)}" if event.message and event.state is not State.FAILED else ""
        title = event.title or event.step or "run"
        if event.data.get("cached"):
            return f"{clock(event.time)} {self._subject(event)}{title}{about}"
        return f"{clock(event.time)} {self._subject(event)}{title}: {event.state}{self._took(event)}{about}"

    def _said_elsewhere(self, event: Event) -> bool:
        """Whether another line says it: 200 hosts need not repeat their step's."""
        match event.state:
            case State.STARTED:
                return bool(event.host)  # the step's own line
            case State.SKIPPED:
                return (event.step, event.message) in self._warned  # the warning
            case State.CANCELLED | State.FAILED if not event.step:
                return True  # the error that follows on stderr
            case State.DONE | State.FAILED if event.host:
                self._told.add(event.step)
                return False
            case State.DONE | State.FAILED:
                return event.step in self._told  # those of its hosts
            case _:
                return False

    def _subject(self, event: Event) -> str:
        return "".join(f"{word}  " for word in (event.phase, event.host) if word)

    def _took(self, event: Event) -> str:
        begun = self._started.get((event.step, event.host))
        if begun is None or event.state not in (State.DONE, State.FAILED):
            return ""
        seconds = max(0.0, (event.time or time.time()) - begun)
        return f" ({', '.join([duration(seconds), *written(event)])})"
