"""Lists for people: columns that line up, headers in capitals, nothing to rule them off."""

from __future__ import annotations

import itertools
import shutil
import sys
from collections.abc import Sequence
from typing import TextIO

_GAP = "  "
NARROWEST = 8  # characters that a column keeps, if it has as many


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], *, whole: bool = False) -> str:
    """`rows` below `headers`, each column as wide as its widest cell, or as narrow as the terminal needs.

    Cells that do not fit go on in the next line: nothing is cut off.

    :param whole: every row on one line, however wide.
    """
    lines = [tuple(header.upper() for header in headers), *rows]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    if not whole and (room := room_of(sys.stdout)):
        widths = _fitting(widths, room)
    return "\n".join(text for line in lines for text in _texts(line, widths))


def room_of(stream: TextIO) -> int:
    """Columns that a person sees; 0: it is no terminal, and programs read whole lines.

    `COLUMNS` alone does not count: what has loaded readline, or a shell that exports it, hands it to every program.
    """
    if not stream.isatty():
        return 0
    return shutil.get_terminal_size((80, 24)).columns


def _fitting(widths: Sequence[int], room: int) -> list[int]:
    """The widths, the widest made narrower until all fit into `room`; none below :data:`NARROWEST`."""
    found = list(widths)
    over = sum(found) + len(_GAP) * (len(found) - 1) - room
    while over > 0:
        widest = max(range(len(found)), key=lambda number: found[number])
        if found[widest] <= NARROWEST:
            break
        found[widest] -= 1
        over -= 1
    return found


def _texts(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    """A row as one line, or as several where a cell is wider than its column."""
    if all(len(cell) <= width for cell, width in zip(line, widths, strict=True)):
        return [_GAP.join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()]
    cells = [_wrapped(cell, width) for cell, width in zip(line, widths, strict=True)]
    return [
        _GAP.join(f"{part:<{width}}" for part, width in zip(parts, widths, strict=True)).rstrip()
        for parts in itertools.zip_longest(*cells, fillvalue="")
    ]


def _wrapped(text: str, width: int) -> list[str]:
    """A cell's lines: cut at blanks, a long name behind one of its `/`, `:`, `.`, `-`, `@` or `,`, or where it must."""
    found: list[str] = []
    while len(text) > width:
        cut = text.rfind(" ", 1, width + 1)
        if cut < 1:
            cut = max(text.rfind(sign, width // 2, width) for sign in "/:.-@,") + 1 or width
        found.append(text[:cut].rstrip())
        text = text[cut:].lstrip()
    return [*found, text]


def some(names: Sequence[str], most: int = 3) -> str:
    """`a, b, c`; of many the first ones, and how many more there are."""
    if len(names) <= most:
        return ", ".join(names)
    if most < 2:  # there is no room for a name beside the number
        return f"{len(names)} in all"
    return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} more"
