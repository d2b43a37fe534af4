"""Cutting an instruction into words."""

from __future__ import annotations


def split_words(text: str, start: int, escape: str) -> list[tuple[str, int]]:
    """The pieces between blanks, quotes and escapes respected, with their offsets.

    :param start: offset to begin at.
    """
    found: list[tuple[str, int]] = []
    begin, quote, skip = -1, "", False
    for offset in range(start, len(text)):
        char = text[offset]
        if skip:
            skip = False
        elif char == escape and quote != "'":
            skip = True
        elif quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char in " \t":
            if begin >= 0:
                found.append((text[begin:offset], begin))
            begin = -1
            continue
        begin = offset if begin < 0 else begin
    if begin >= 0:
        found.append((text[begin:], begin))
    return found
