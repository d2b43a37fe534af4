"""What a reader has to complain about, collected so that a user sees all of it at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from sealer.errors import InputError, Position, Problem
from sealer.suggestions import close_matches

LONGEST_QUOTE = 60


class Located(Protocol):
    """Anything that has a line and a column, both from 1."""

    @property
    def line(self) -> int:
        """Line, from 1."""

    @property
    def column(self) -> int:
        """Column, from 1."""


class Report:
    """Errors and warnings about one text."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.complete = True  # False: the text could not be read to its end
        self._errors: list[Problem] = []
        self._warnings: list[Problem] = []

    def position(self, at: Located) -> Position:
        """Where `at` stands."""
        return Position(self.file, at.line, at.column)

    def error(self, at: Located, path: str, message: str) -> None:
        """Something that cannot be right."""
        self._errors.append(Problem(self.position(at), path, message))

    def warn(self, at: Located, path: str, message: str) -> None:
        """Something that was understood in spite of how it was written, or will hardly be what was meant."""
        self._warnings.append(Problem(self.position(at), path, message))

    def add(self, problems: Iterable[Problem]) -> None:
        """Errors that somebody else found."""
        self._errors.extend(problems)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """All warnings, in the order of the text."""
        return _in_order(self._warnings)

    def finish(self, warn: Callable[[Problem], None] | None) -> None:
        """Tell of the warnings, and end the reading if there is anything to complain about.

        :raises InputError: with every error in the order of the text, each once.
        """
        if warn:
            for warning in self.warnings:
                warn(warning)
        if not self._errors:
            return
        problems = _in_order(self._errors)
        what = str(problems[0]) if len(problems) == 1 else f"{len(problems)} mistakes in {self.file}"
        raise InputError(what, problems=problems)


def _in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(dict.fromkeys(problems), key=lambda problem: problem.position))


def quoted(word: str) -> str:
    """A user's word for a message: in quotes, on one line, not longer than a line bears."""
    if len(word) > LONGEST_QUOTE:
        word = word[:LONGEST_QUOTE] + "…"
    return "'" + "".join(char if char.isprintable() else repr(char)[1:-1] for char in word) + "'"


def nearest(word: str, words: Iterable[str]) -> str:
    """The one of `words` that `word` is probably meant to be, or nothing."""
    by_lower = {known.lower(): known for known in words}
    if len(word) > LONGEST_QUOTE:
        return ""
    found = close_matches(word.strip().lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else ""


def not_one_of(rule: str, word: str, words: Iterable[str]) -> str:
    """`rule, not 'nodee'; did you mean 'node'?`, or `rule, not 'x'` where nothing comes near."""
    near = nearest(word, words)
    return f"{rule}, not {quoted(word)}" + (f"; did you mean {quoted(near)}?" if near else "")
