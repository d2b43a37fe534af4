"""The one way out for text: whatever is printed to stdout or stderr loses its power over the terminal here.

Hosts, images, registries and files may hold escape sequences that clear the screen, write to the clipboard or forge a
line. :func:`guarded` puts a stream in the place of each standard one that makes control characters visible, so that no
command, and no plugin, has to think of it. The colours of sealer's own are written in words that nobody else knows.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

# C0 but for tab and newline, DEL, C1; marks that turn the direction of text, and further ends of lines; what stands for
# bytes that are no UTF-8, which would be written as they were.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_WORD = f"\x00{os.urandom(8).hex()}["
_STYLE = re.compile(f"{re.escape(_WORD)}([0-9]+)m")
_COLOUR = re.compile("(\x1b\\[[0-9;]*m)")
_DRAWING = re.compile("(\x1b\\[[0-9;?]*[A-Za-z]|\r)")
_CODES = {"bold": "1", "red": "31", "yellow": "33"}


def visible(text: str) -> str:
    """`text` with each control character as an escape that can be read, such as `\\x1b`."""
    return _UNSAFE.sub(_readable, text)


def visible_json(text: str) -> str:
    """JSON in which strings may hold control characters, as the same JSON without."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def style(text: str, *names: str) -> str:
    """`text` in colour, where it is printed through a guarded stream that shows colours."""
    if not isinstance(sys.stderr, GuardedStream):
        return text
    return "".join((*(f"{_WORD}{_CODES[name]}m" for name in names), text, f"{_WORD}0m"))


class GuardedStream:
    """A text stream in front of another one.

    :param coloured: whether the styles of :func:`style` are shown; asked with each text.
    :ivar declared_encoding: what the user says that can be shown, whatever is written.
    """

    def __init__(self, stream: TextIO, coloured: Callable[[], bool]) -> None:
        self.guarded = self._stream = stream
        self.declared_encoding: str = getattr(stream, "encoding", None) or "ascii"
        self._coloured = coloured

    def write(self, text: str) -> int:
        """Write `text`, harmless."""
        coloured = self._coloured()
        parts = _STYLE.split(text)  # text, codes, text, codes, ..., text
        parts[::2] = [visible(part) for part in parts[::2]]
        parts[1::2] = [f"\x1b[{codes}m" if coloured else "" for codes in parts[1::2]]
        self._stream.write("".join(parts))
        return len(text)

    def write_coloured(self, text: str) -> int:
        """Write what a library has put in colour: the strings that it was given are harmless already."""
        self._stream.write(_but_for(_COLOUR, text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write `lines`."""
        for line in lines:
            self.write(line)

    @property
    def unguarded(self) -> TextIO:
        """The stream itself where it is no terminal: for bytes that go on to a program or a file as they came."""
        return cast("TextIO", self) if self._stream.isatty() else self._stream

    @property
    def drawing(self) -> TextIO:
        """The stream for a library that moves the cursor."""
        return cast("TextIO", _Drawing(self._stream, self.declared_encoding))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Drawing:
    """Lets colours and movements of the cursor pass, and no other sequences."""

    def __init__(self, stream: TextIO, encoding: str) -> None:
        self._stream = stream
        self.encoding = encoding

    def write(self, text: str) -> int:
        self._stream.write(_but_for(_DRAWING, text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def guarded(color: Callable[[], str] = lambda: "auto") -> Iterator[None]:
    """While the body runs, stdout and stderr are :class:`GuardedStream`.

    :param color: `auto`, `always` or `never`; asked with each text.
    """
    before = sys.stdout, sys.stderr
    guard(color)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def guard(color: Callable[[], str] = lambda: "auto") -> None:
    """Guard what stands as stdout and stderr now, unless it is guarded already."""
    if not isinstance(sys.stdout, GuardedStream):
        sys.stdout = cast("TextIO", GuardedStream(sys.stdout, _coloured(sys.stdout, color)))
    if not isinstance(sys.stderr, GuardedStream):
        sys.stderr = cast("TextIO", GuardedStream(sys.stderr, _coloured(sys.stderr, color)))


def encoding_of(stream: TextIO) -> str:
    """The characters that whoever reads `stream` can see, as an encoding."""
    return stream.declared_encoding if isinstance(stream, GuardedStream) else stream.encoding or "ascii"


def unguarded(stream: TextIO) -> TextIO:
    """`stream` for bytes or lines that are not ours to change, unless it is a terminal."""
    return stream.unguarded if isinstance(stream, GuardedStream) else stream


def drawing(stream: TextIO) -> TextIO:
    """`stream` for a library that moves the cursor."""
    return stream.drawing if isinstance(stream, GuardedStream) else stream


def write_coloured(stream: TextIO, text: str) -> None:
    """Write what a library has put in colour."""
    (stream.write_coloured if isinstance(stream, GuardedStream) else stream.write)(text)


def make_encodable() -> None:
    """Let stdout and stderr replace what they cannot encode; ASCII ones get UTF-8, as click would do behind our back.

    :raises OSError: what is still buffered cannot be written.
    """
    for standard in (sys.stdout, sys.stderr):
        stream = standard.guarded if isinstance(standard, GuardedStream) else standard
        if isinstance(stream, io.TextIOWrapper):
            ascii_only = stream.encoding.lower() in ("ascii", "us-ascii", "ansi_x3.4-1968", "646")
            stream.reconfigure(encoding="utf-8" if ascii_only else None, errors="replace")


def _coloured(stream: TextIO, color: Callable[[], str]) -> Callable[[], bool]:
    def wanted() -> bool:
        chosen = color()
        return chosen == "always" or (chosen == "auto" and not os.environ.get("NO_COLOR") and stream.isatty())

    return wanted


def _but_for(own: re.Pattern[str], text: str) -> str:
    parts = own.split(text)
    parts[::2] = [visible(part) for part in parts[::2]]
    return "".join(parts)


def _readable(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
