"""Keeps the events of a run with its cluster: `runs/<id>/events.jsonl`."""

from __future__ import annotations

import secrets
import time
from pathlib import Path

from sealer.cli.views.recording import Recording
from sealer.errors import SealerError
from sealer.events import Event, EventStream, State


class RunRecord:
    """Gives the run its id, and writes its events from the first on, once there is something to write about.

    What is refused before anything is recorded of the cluster leaves no trace: then the events are dropped.

    :param directory: of the cluster.
    """

    def __init__(self, directory: Path, events: EventStream) -> None:
        self.id = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
        self._path = directory / "runs" / self.id / "events.jsonl"
        self._events = events
        self._early: list[Event] = []
        self._recording: Recording | None = None

    def __enter__(self) -> RunRecord:
        self._events.run = self.id
        self._unsubscribe = self._events.subscribe(self)
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._recording and isinstance(error, SealerError):
            error.log = str(self._path)
        self._unsubscribe()
        self._events.run = ""
        if self._recording:
            self._recording.close()

    def __call__(self, event: Event) -> None:
        """Write `event`, or keep it until the run has begun."""
        self._early.append(event)
        if self._recording is None and (event.step or event.state is not State.STARTED):
            return
        try:
            self._recording = self._recording or Recording(self._path)
            for one in self._early:
                self._recording(one)
        except OSError as error:  # a full disk here is no reason to end a run on the hosts
            self._unsubscribe()
            self._events.warn(f"events are no longer recorded: {self._path}: {error.strerror or error}")
        self._early.clear()
