"""Bytes from a host, as lines for people."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from sealer.redaction import redactor

LONGEST_LINE = 2000  # characters; a program that prints without line feeds is cut here


class Lines:
    """Cuts a stream of bytes into lines, and keeps the last twenty.

    :param tell: called with each line.
    """

    KEPT = 20

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._rest = b""
        self.last: deque[str] = deque(maxlen=self.KEPT)

    def feed(self, block: bytes) -> None:
        """The next bytes."""
        *whole, self._rest = (self._rest + block).replace(b"\r\n", b"\n").split(b"\n")
        for line in whole:
            self._line(line)
        self._rest = redactor.cut(self._rest, LONGEST_LINE, self._line)

    def end(self) -> None:
        """No more bytes: what is left is a line too."""
        if self._rest:
            self._line(self._rest)
            self._rest = b""

    def _line(self, line: bytes) -> None:
        # A carriage return moves back to the line's start: what a person would see is what follows the last one.
        text = line.decode("utf-8", "replace").rsplit("\r", 1)[-1].rstrip()
        self.last.append(text)
        if text:
            self._tell(text)


def last_lines(output: str) -> tuple[str, ...]:
    """The last twenty lines of a text."""
    return tuple(line.rstrip() for line in output.splitlines()[-Lines.KEPT :])
