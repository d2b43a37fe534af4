"""A terminal: what has ended scrolls by, what runs is drawn below and kept within the screen."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING

from sealer.cli.terminal import drawing, guard
from sealer.cli.views.board import Board
from sealer.cli.views.drawing import ASCII, Symbols, draw
from sealer.cli.views.lasting import Lasting
from sealer.cli.views.words import one_line
from sealer.events import Event

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

FRAMES_PER_SECOND = 8


class LiveView:
    """Shows events on a terminal.

    :param color: `auto`, `always` or `never`.
    """

    def __init__(self, color: str = "auto", console: Console | None = None) -> None:
        from rich.console import Console  # 50 ms that only a terminal pays
        from rich.live import Live

        self._color = color
        self._streams = sys.stdout, sys.stderr
        self.console = console or Console(
            file=drawing(sys.stdout),
            no_color=True if color == "never" else None,
            force_terminal=True,
            highlight=False,
            soft_wrap=True,
        )
        self._symbols = Symbols() if self.console.encoding.lower().startswith("utf") else ASCII
        self._board = Board()
        self._lasting = Lasting(self._symbols)
        self._lock = threading.Lock()  # never held while the console is: its own thread asks us to draw
        self._live = Live(self, console=self.console, refresh_per_second=FRAMES_PER_SECOND, transient=True)

    def __enter__(self) -> LiveView:
        self._start()
        return self

    def _start(self) -> None:
        self._streams = sys.stdout, sys.stderr
        self._live.start()
        guard(lambda: self._color)  # rich reads escape sequences in what is printed to its own stdout and stderr

    def _stop(self) -> None:
        self._live.stop()
        sys.stdout, sys.stderr = self._streams

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def __call__(self, event: Event) -> None:
        """Take in `event`; print the line that stays of it, if there is one."""
        event = replace(event, title=one_line(event.title), host=one_line(event.host), phase=one_line(event.phase))
        with self._lock:
            step = self._board.apply(event)
            line = self._lasting.line(event, step)
        if line is not None:
            self.console.print(line)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with self._lock:
            yield from draw(self._board, options.max_width, console.size.height, time.time(), self._symbols)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the terminal to someone else, as to a question."""
        self._stop()
        try:
            yield
        finally:
            self._start()
