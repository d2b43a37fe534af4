"""Lists for people: columns that line up, headers in capitals, nothing to rule them off."""

from __future__ import annotations

from collections.abc import Sequence


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """`rows` below `headers`, each column as wide as its widest cell."""
    lines = [tuple(header.upper() for header in headers), *rows]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def some(names: Sequence[str], most: int = 3) -> str:
    """`a, b, c`; of many the first ones, and how many more there are."""
    if len(names) <= most:
        return ", ".join(names)
    if most < 2:  # there is no room for a name beside the number
        return f"{len(names)} in all"
    return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} more"
