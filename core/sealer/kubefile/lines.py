"""From the text of a Kubefile to logical lines: comments out, continuations joined, every character's place known."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from sealer.errors import Position

DEFAULT_ESCAPE = "\\"
_DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*")


@dataclass(frozen=True)
class LogicalLine:
    """One instruction's text.

    :param pieces: offset in `text` and the position in the file, for each physical line that is part of it.
    """

    text: str
    file: str
    pieces: tuple[tuple[int, int, int], ...]

    def at(self, offset: int) -> Position:
        """Where a character of `text` stands in the file."""
        index = max(bisect_right(self.pieces, (offset, 1 << 60, 0)) - 1, 0)
        start, line, column = self.pieces[index]
        return Position(self.file, line, column + offset - start)


@dataclass(frozen=True)
class Source:
    """A whole Kubefile in logical lines.

    :param escape: the character that escapes and continues a line.
    """

    lines: tuple[LogicalLine, ...]
    escape: str
    bad_escape: Position | None = None


def split(text: str, file: str) -> Source:
    """Find the logical lines."""
    physical = re.split(r"\r\n|\n|\r", text.removeprefix("\ufeff"))
    escape, bad = _escape(physical)
    continued = re.compile(rf"{re.escape(escape)}[ \t]*$")
    position = Position(file, bad, 1) if bad else None
    return Source(tuple(_join(physical, file, continued)), escape, position)


def _escape(physical: list[str]) -> tuple[str, int]:
    """The `# escape=` directive: only in the comments before everything else."""
    for number, line in enumerate(physical, 1):
        match = _DIRECTIVE.fullmatch(line.strip())
        if match is None:
            break
        if match[1].lower() == "escape":
            return (match[2], 0) if match[2] in ("\\", "`") else (DEFAULT_ESCAPE, number)
    return DEFAULT_ESCAPE, 0


def _join(physical: list[str], file: str, continued: re.Pattern[str]) -> Iterator[LogicalLine]:
    text = ""
    pieces: list[tuple[int, int, int]] = []
    for number, line in enumerate(physical, 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue  # also in the middle of an instruction, as Docker has it
        if not text:
            pieces = []  # a lone escape character said only that there is more
        lead = 0 if text else len(line) - len(line.lstrip())
        piece = line[lead:]
        pieces.append((len(text), number, lead + 1))
        more = continued.search(piece)
        text += piece[: more.start()] if more else piece
        if not more:
            yield LogicalLine(text.rstrip(), file, tuple(pieces))
            text, pieces = "", []
    if text.strip():
        yield LogicalLine(text.rstrip(), file, tuple(pieces))
