"""What a Go template computes with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Undefined:
    """A variable that nobody gave; a mistake as soon as it is used for anything but a test or a default."""

    name: str
    offset: int


class Dotted:
    """The variables a template sees as `.`: under their own names, and sanitised to what Go can name."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = values
        self._named = {sanitised(name): value for name, value in values.items()} | dict(values)

    def get(self, name: str) -> str | None:
        """A variable's text, or None."""
        return self._named.get(name)

    @cached_property
    def names(self) -> list[str]:
        """Every name that `.name` can be."""
        return sorted(name for name in self._named if name == sanitised(name))


Value = str | int | float | bool | tuple[str, ...] | Dotted | Undefined


def sanitised(name: str) -> str:
    """An environment variable's name with `_` for each character that a shell name may not have."""
    safe = "".join(sign if sign.isascii() and (sign.isalnum() or sign == "_") else "_" for sign in name)
    return "_" + safe[1:] if safe[:1].isdigit() else safe


def is_true(value: Value) -> bool:
    """Go's truth: everything but zero, the empty and the undefined. The text `false` is true."""
    if isinstance(value, Undefined):
        return False
    if isinstance(value, Dotted):
        return bool(value.values)
    return bool(value)


def written(value: Value) -> str:
    """A value as Go prints it.

    :raises TypeError: it is `.` itself, or undefined.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, tuple):
        return "[" + " ".join(value) + "]"
    raise TypeError("'.' is all variables together; name one of them, as in '.Port'")


def _float(value: float) -> str:
    """Go's `%v`: the shortest digits that give the number back, with an exponent from 1e21."""
    return str(int(value)) if value == int(value) and abs(value) < 1e21 else repr(value)


def described(value: Value) -> str:
    """What kind of value it is, for a message."""
    if isinstance(value, bool):
        return "a truth value"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, int | float):
        return "a number"
    return "a list" if isinstance(value, tuple) else "all variables together"
