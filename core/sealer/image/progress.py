"""What a build tells about one of its steps while it works."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from sealer.errors import SealerError
from sealer.events import EventStream, Json, State
from sealer.image.layer import Entry

CACHED = "CACHED"  # the message of a step that was not executed, because its layer was known
_EVERY = 0.1  # seconds
_WORTH_A_RATE = 1_000_000  # bytes


class Progress:
    """Tells what one step does: that it began, the lines it prints, how many bytes of its layer are written, its end.

    :param step: id of the step.
    :param data: that each of its events has, but for progress.
    :ivar cached: to be set when the step is not executed, because its layer is known.
    :ivar total: bytes that it writes, as far as that is known.
    """

    def __init__(self, events: EventStream, step: str, title: str, data: Mapping[str, Json]) -> None:
        self._events = events
        self._step = step
        self._title = title
        self._data = data
        self._told = 0.0
        self._begun = 0.0
        self.cached = False
        self.total = 0

    @contextmanager
    def told(self) -> Iterator[None]:
        """Tell begin and end of what happens in the body."""
        self._tell(State.STARTED)
        try:
            yield
        except SealerError as error:
            self._tell(State.FAILED, str(error))
            raise
        except BaseException:
            self._tell(State.CANCELLED)
            raise
        if self.cached:
            self._tell(State.SKIPPED, CACHED, cached=True)
        else:
            self._tell(State.DONE, bytes=self.total, rate=self._rate())

    def line(self, text: str) -> None:
        """A line that a command prints."""
        self._tell(State.OUTPUT, text)

    def expect(self, entries: Iterable[Entry]) -> None:
        """These will be written, from now on."""
        self._begun = time.monotonic()
        for entry in entries:
            with suppress(OSError):
                self.total += Path(entry.source).stat().st_size if entry.source else 0

    def bytes(self, done: int) -> None:
        """So many are written, of the files and what the archive needs besides."""
        now = time.monotonic()
        if now - self._told >= _EVERY:
            self._told = now
            self._tell(State.PROGRESS, done=min(done, self.total), total=self.total)

    def _rate(self) -> int:
        """Bytes a second over the time that the layer took, without the time of a command; 0 for a few bytes."""
        seconds = time.monotonic() - self._begun
        return round(self.total / seconds) if self.total >= _WORTH_A_RATE and seconds > 0 else 0

    def _tell(self, state: State, message: str = "", **data: Json) -> None:
        known = {} if state is State.PROGRESS else self._data
        self._events.emit(state, step=self._step, title=self._title, message=message, data={**known, **data})
