"""From the text of a Kubefile to logical lines: comments out, continuations joined, every character's place known.

The here-documents of an instruction belong to its logical line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sealer.errors import Position
from sealer.kubefile.heredocs import HereDocument, announced
from sealer.kubefile.model import Piece, place

DEFAULT_ESCAPE = "\\"
_DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*")


@dataclass(frozen=True)
class LogicalLine:
    """One instruction's text.

    :param pieces: one for each physical line that is part of it.
    :param documents: the here-documents that follow it.
    """

    text: str
    file: str
    pieces: tuple[Piece, ...]
    documents: tuple[HereDocument, ...] = ()

    def at(self, offset: int) -> Position:
        """Where a character of `text` stands in the file."""
        return place(self.file, self.pieces, offset)


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
    position = Position(file, bad, 1) if bad else None
    return Source(tuple(_join(enumerate(physical, 1), file, escape)), escape, position)


def _escape(physical: list[str]) -> tuple[str, int]:
    """The `# escape=` directive: only in the comments before everything else."""
    for number, line in enumerate(physical, 1):
        match = _DIRECTIVE.fullmatch(line.strip())
        if match is None:
            break
        if match[1].lower() == "escape":
            return (match[2], 0) if match[2] in ("\\", "`") else (DEFAULT_ESCAPE, number)
    return DEFAULT_ESCAPE, 0


def _join(physical: Iterator[tuple[int, str]], file: str, escape: str) -> Iterator[LogicalLine]:
    continued = re.compile(rf"{re.escape(escape)}[ \t]*$")
    text = ""
    pieces: list[Piece] = []
    for number, line in physical:
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
            yield _whole(text, file, pieces, physical, escape)
            text, pieces = "", []
    if text.strip():
        yield _whole(text, file, pieces, physical, escape)


def _whole(text: str, file: str, pieces: list[Piece], following: Iterator[tuple[int, str]], escape: str) -> LogicalLine:
    """The instruction, with its here-documents taken from the lines that follow."""
    text = text.rstrip()
    documents = [document.filled(following) for document in announced(text, escape)]
    return LogicalLine(text, file, tuple(pieces), tuple(documents))
