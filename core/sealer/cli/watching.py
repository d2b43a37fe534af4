"""Shows something again and again until Ctrl-C: over the last picture on a terminal, below it elsewhere."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING

from sealer.cli.terminal import drawing
from sealer.errors import InterruptedRunError

if TYPE_CHECKING:
    from sealer.cli.app import App
    from sealer.cluster.cancellation import Cancellation

SECONDS = 2.0  # between two pictures
_CLEAR = "\x1b[H\x1b[2J\x1b[3J"


@contextmanager
def watching(cancellation: Cancellation) -> Iterator[Iterator[Callable[[App], None]]]:
    """Rounds until SIGINT, SIGTERM or SIGHUP; each gives what makes room for the next picture.

    A signal ends what a round waits for, too; that is the end that was asked for, and no error.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        cancellation.request()

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {one: signal.signal(one, stop) for one in signals if signal.getsignal(one) is not signal.SIG_IGN}
    try:
        with suppress(InterruptedRunError):
            yield _rounds(cancellation)
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _rounds(cancellation: Cancellation) -> Iterator[Callable[[App], None]]:
    yield lambda app: _make_room(app, first=True)
    while not cancellation.stop.wait(SECONDS):
        yield lambda app: _make_room(app, first=False)


def _make_room(app: App, *, first: bool) -> None:
    if app.output == "json" or app.options.format not in ("", "table"):
        return
    if sys.stdout.isatty():
        drawing(sys.stdout).write(_CLEAR)
    elif not first:
        sys.stdout.write("\n")
