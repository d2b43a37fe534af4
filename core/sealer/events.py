"""One stream of what happens, for whoever watches: a terminal, a pipe, a program, a file."""

from __future__ import annotations

import enum
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sealer.redaction import redactor

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


class State(enum.StrEnum):
    """What an event says about its step (with `host` empty: about the whole step or run)."""

    PLANNED = "planned"
    STARTED = "started"
    OUTPUT = "output"  # `message` is one line that the host or a program printed
    PROGRESS = "progress"  # `data` has `done` and, if known, `total`, in bytes unless `data.unit` says otherwise
    RETRYING = "retrying"
    ATTACHED = "attached"  # a script that an earlier run left behind is waited for
    DONE = "done"
    SKIPPED = "skipped"  # an earlier run did it, or no host needs it
    FAILED = "failed"
    CANCELLED = "cancelled"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    :param state: what happened.
    :param run: id of the run; empty outside of one (a build).
    :param step: id of the step; empty for the run itself.
    :param title: what the step does, in words.
    :param host: id of the host; empty for the whole step, `operator` for this machine.
    :param phase: phase or stage the step belongs to.
    :param plugin: plugin that gave the step.
    :param message: one line for a person.
    :param data: whatever a program may want; JSON values only.
    :param time: seconds since the epoch.
    """

    state: State
    run: str = ""
    step: str = ""
    title: str = ""
    host: str = ""
    phase: str = ""
    plugin: str = ""
    message: str = ""
    data: Mapping[str, Json] = field(default_factory=dict)
    time: float = 0.0

    def as_json(self) -> dict[str, Json]:
        """The documented JSON form: every field always there, in this order."""
        return {
            "time": self.time,
            "run": self.run,
            "step": self.step,
            "host": self.host,
            "phase": self.phase,
            "plugin": self.plugin,
            "state": self.state.value,
            "title": self.title,
            "message": self.message,
            "data": dict(self.data),
        }


Observer = Callable[[Event], None]


class EventStream:
    """Hands every event to every observer, one at a time and in one order, with secrets removed.

    An observer must not block for long: the host that reports waits for it.
    """

    def __init__(self, run: str = "") -> None:
        self.run = run
        self._observers: list[Observer] = []
        self._lock = threading.RLock()

    def subscribe(self, observer: Observer) -> Callable[[], None]:
        """Call `observer` for every event from now on; the returned function ends that."""
        with self._lock:
            self._observers.append(observer)

        def unsubscribe() -> None:
            with self._lock:
                if observer in self._observers:
                    self._observers.remove(observer)

        return unsubscribe

    def emit(
        self,
        state: State,
        *,
        step: str = "",
        title: str = "",
        host: str = "",
        phase: str = "",
        plugin: str = "",
        message: str = "",
        data: Mapping[str, Json] | None = None,
    ) -> None:
        """Tell everyone. `message` is redacted here; `data` must hold no secret."""
        with self._lock:
            event = Event(
                state, self.run, step, title, host, phase, plugin, redactor(message), data or {}, round(time.time(), 3)
            )
            for observer in tuple(self._observers):
                observer(event)

    def warn(self, message: str, *, host: str = "", step: str = "", phase: str = "", plugin: str = "") -> None:
        """A warning."""
        self.emit(State.WARNING, message=message, host=host, step=step, phase=phase, plugin=plugin)

    def info(self, message: str, *, host: str = "", step: str = "", phase: str = "", plugin: str = "") -> None:
        """Something worth a line."""
        self.emit(State.INFO, message=message, host=host, step=step, phase=phase, plugin=plugin)
