"""When to stop waiting."""

from __future__ import annotations

import threading
import time

from sealer.errors import InterruptedRunError, StepTimeoutError

TICK = 0.1  # seconds between two looks at `cancelled`, which cannot be waited for together with the network


class Watch:
    """The deadline and the cancellation of one call."""

    def __init__(self, where: str, timeout: float | None, cancelled: threading.Event | None) -> None:
        self._where = where
        self._timeout = timeout
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._cancelled = cancelled

    def check(self) -> None:
        """Raise when it is time to stop.

        :raises InterruptedRunError: cancelled.
        :raises StepTimeoutError: the time is over.
        """
        if self._cancelled is not None and self._cancelled.is_set():
            raise InterruptedRunError("interrupted", where=self._where)
        if self._deadline is not None and time.monotonic() >= self._deadline:
            raise StepTimeoutError(
                f"not done after {self._timeout:g} seconds",
                where=self._where,
                remedy="it may still be running on the host; look there, or allow it more time",
            )

    @property
    def tick(self) -> float:
        """Seconds to wait until the next :meth:`check`."""
        if self._deadline is None:
            return TICK
        return max(0.001, min(TICK, self._deadline - time.monotonic()))
