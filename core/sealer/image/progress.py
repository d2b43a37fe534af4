"""What a build tells about one of its steps while it works."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress

from sealer.events import EventStream, State
from sealer.image.layer import Entry

CACHED = "CACHED"  # the message of a step that was not executed, because its layer was known
OPERATOR = "operator"  # the host of events about work that this machine does
_EVERY = 0.1  # seconds


class Progress:
    """Tells the lines that a step prints, and how many bytes of its layer are written.

    :param step: id of the step.
    """

    def __init__(self, events: EventStream, step: str, title: str) -> None:
        self._events = events
        self._step = step
        self._title = title
        self._total = 0
        self._told = 0.0

    def line(self, text: str) -> None:
        """A line that a command prints."""
        self._events.emit(State.OUTPUT, step=self._step, title=self._title, message=text)

    def expect(self, entries: Iterable[Entry]) -> None:
        """These will be written."""
        self._total = 0
        for entry in entries:
            with suppress(OSError):
                self._total += entry.source.stat().st_size if entry.source else 0

    def bytes(self, done: int) -> None:
        """So many are written, of the files and what the archive needs besides."""
        now = time.monotonic()
        if now - self._told >= _EVERY:
            self._told = now
            data = {"done": min(done, self._total), "total": self._total}
            self._events.emit(State.PROGRESS, step=self._step, title=self._title, host=OPERATOR, data=data)
