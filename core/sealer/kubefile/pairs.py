"""Lists of `name=value`."""

from __future__ import annotations

import re

from sealer.kubefile.reader import InstructionError, Reader


def read_pairs(reader: Reader) -> list[tuple[str, int, str, int]]:
    """The pairs of ENV and LABEL: name, its offset, value, its offset."""
    reader.need_rest("name=value")
    words = reader.words()
    first, begin = words[0]
    if "=" not in first:
        if len(words) < 2:
            raise InstructionError(f"{reader.name} {first} has no value: {reader.name} {first}=...", begin)
        reader.warnings.append((begin, f"write it as {reader.name} {first}=..."))
        return [(first, begin, reader.line.text[words[1][1] :], words[1][1])]
    return [split_pair(*word) for word in words]


def split_pair(text: str, offset: int) -> tuple[str, int, str, int]:
    """One `name=value`: name, its offset, value, its offset.

    :raises InstructionError: it is none.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise InstructionError(f"'{text}' is not of the form name=value; quote a value that has blanks", offset)
    if not name:
        raise InstructionError("the name before '=' is missing", offset)
    return name, offset, value, offset + len(name) + 1


def need_name(name: str, offset: int) -> None:
    """Refuse what can be no name of a variable.

    :raises InstructionError: it is refused.
    """
    if not re.fullmatch(r"[^\s\"'$=\\\0]+", name):
        raise InstructionError(f"'{name}' is not a valid name of a variable", offset)
