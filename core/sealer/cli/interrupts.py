"""Ctrl-C while a cluster is worked on: the first asks the run to stop, the next ends what still runs, the third us."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

from sealer.errors import InterruptedRunError
from sealer.events import EventStream

_MESSAGES = {
    1: "stopping: waiting for running steps; press Ctrl-C again to abort them",
    2: "aborting the scripts that still run on the hosts",
}


@contextlib.contextmanager
def interrupts(request: Callable[[], int], events: EventStream) -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into requests to stop while the body runs.

    :param request: notes one more request, and returns how many there were.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        count = request()
        if count > len(_MESSAGES):
            _leave()
        # Not told from here: the signal may have hit this thread while it was telling something else.
        threading.Thread(target=events.warn, args=(_MESSAGES[count],), daemon=True).start()

    signals = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    before = {one: signal.getsignal(one) for one in signals}
    for one in signals:
        if before[one] is not signal.SIG_IGN:  # nohup and shells that run us in the background mean it
            signal.signal(one, stop)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


@contextlib.contextmanager
def ended_as_by_ctrl_c() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end what the body does as Ctrl-C would: what it has begun is cleared away first."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        for one in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(one) is signal.SIG_DFL:
                before[one] = signal.signal(one, signal.default_int_handler)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _leave() -> NoReturn:
    """End the process whatever its threads are waiting for; the journal has all that the next run needs."""
    with contextlib.suppress(OSError):
        if os.isatty(1):
            os.write(1, b"\x1b[?25h\r\n")  # the live view has hidden the cursor
    os._exit(InterruptedRunError.exit_status)
