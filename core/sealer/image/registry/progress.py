"""How far a transfer has come, told as events a few times a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from types import TracebackType

from sealer.events import EventStream, State
from sealer.image.oci import Descriptor

INTERVAL = 0.2  # seconds between two events
OPERATOR = "operator"


class Progress:
    """One step `pull` or `push` of the event stream; use it in a `with`, whose end is the step's end.

    :param step: its id.
    :param title: what it does.
    """

    def __init__(self, events: EventStream, step: str, title: str) -> None:
        self._events = events
        self._step = step
        self._title = title
        self._lock = threading.Lock()
        self._total = 0
        self._settled = 0
        self._moving: dict[str, int] = {}
        self._blobs = [0, 0]
        self._told = 0.0
        self.moved = 0
        self.message = ""

    def __enter__(self) -> Progress:
        self._emit(State.STARTED)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._tell()
            self._emit(State.DONE, message=self.message)
        else:
            failed = isinstance(error, Exception)
            self._emit(State.FAILED if failed else State.CANCELLED, message=str(error) if failed else "")

    def expect(self, blobs: Iterable[Descriptor]) -> None:
        """There is more to move."""
        with self._lock:
            for blob in blobs:
                self._total += blob.size
                self._blobs[1] += 1

    def at(self, digest: str, position: int) -> None:
        """A blob has come that far."""
        with self._lock:
            self.moved += max(0, position - self._moving.get(digest, 0))
            self._moving[digest] = position
            if time.monotonic() - self._told < INTERVAL:
                return
            self._told = time.monotonic()
        self._tell()

    def resumed(self, digest: str, position: int) -> None:
        """That much of a blob was there already."""
        with self._lock:
            self._moving[digest] = position

    def settled(self, blob: Descriptor) -> None:
        """A blob is where it should be, moved or not."""
        with self._lock:
            self._moving.pop(blob.digest, None)
            self._settled += blob.size
            self._blobs[0] += 1

    def retrying(self, why: str) -> None:
        """An attempt failed, and another follows."""
        self._events.emit(State.RETRYING, step=self._step, title=self._title, host=OPERATOR, message=why)

    def warn(self, message: str) -> None:
        """Something the user should know."""
        self._events.warn(message, step=self._step)

    def _tell(self) -> None:
        with self._lock:
            done, total = self._settled + sum(self._moving.values()), self._total
            blobs, of = self._blobs
        if total:
            data = {"done": done, "total": total, "blobs": blobs, "totalBlobs": of}
            self._events.emit(State.PROGRESS, step=self._step, title=self._title, host=OPERATOR, data=data)

    def _emit(self, state: State, message: str = "") -> None:
        self._events.emit(state, step=self._step, title=self._title, message=message)
