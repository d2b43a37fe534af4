"""Cuts a Go template into text, and into the tokens of its actions (`{{ ... }}`)."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from sealer.errors import Position
from sealer.templates.literals import LiteralError, number, unquoted


class TemplateError(Exception):
    """One thing wrong with a template, at an offset of its text."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


@dataclass(frozen=True)
class Token:
    """One word of an action.

    :param kind: `word`, `field` (`.Name`), `dot`, `variable` (`$` or `$name`), `value` (a literal) or `mark`.
    :param text: of a field or variable: its name without the sign; otherwise as written.
    :param offset: where it starts in the template, in characters from 0.
    :param value: of a literal.
    :param spaced: whether a blank stands before it: `$x.Name` is one operand, `$x .Name` are two.
    """

    kind: str
    text: str
    offset: int
    value: str | int | float | bool = ""
    spaced: bool = False


@dataclass(frozen=True)
class Text:
    """What is copied as it is."""

    text: str


@dataclass(frozen=True)
class Action:
    """The inside of one `{{ ... }}`; `fault` is set where it could not be read to its end."""

    tokens: tuple[Token, ...]
    offset: int
    fault: TemplateError | None = None


class Places:
    """Turns offsets of a text into lines and columns."""

    def __init__(self, text: str, file: str) -> None:
        self._file = file
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def at(self, offset: int) -> Position:
        """The place of a character, line and column from 1."""
        line = bisect_right(self._starts, offset)
        return Position(self._file, line, offset - self._starts[line - 1] + 1)


_BLANK = re.compile(r"[ \t\r\n]+")
_TOKEN = re.compile(
    r"""
      (?P<string>"(?:[^"\\\n]|\\.)*" | `[^`]*`)
    | (?P<number>[+-]?
        (?: 0[xX][0-9a-fA-F_]+
          | (?:[0-9][0-9_]*(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)? ))(?![\w.])
    | (?P<field>\.[^\W\d]\w*)
    | (?P<dot>\.)
    | (?P<variable>\$\w*)
    | (?P<word>[^\W\d]\w*)
    | (?P<mark>:=|[=|(),])
    """,
    re.VERBOSE,
)
_CONSTANTS = {"true": True, "false": False}


def cut(text: str) -> Iterator[Text | Action]:
    """Cut a template into text and actions, `{{-` and `-}}` applied; an empty text is left out."""
    position = 0
    trim = False
    while True:
        opening = text.find("{{", position)
        end = len(text) if opening < 0 else opening
        piece = text[position:end]
        if trim:
            piece = piece.lstrip(" \t\r\n")
        trims_left = opening >= 0 and bool(re.compile(r"\{\{-[ \t\r\n]").match(text, opening))
        if trims_left:
            piece = piece.rstrip(" \t\r\n")
        if piece:
            yield Text(piece)
        if opening < 0:
            return
        action, position, trim = _action(text, opening, opening + (3 if trims_left else 2))
        yield action


def _action(text: str, opening: int, position: int) -> tuple[Action, int, bool]:
    """Read one action; gives it, where the text goes on, and whether that text is trimmed."""
    tokens: list[Token] = []
    spaced = False
    while True:
        if blank := _BLANK.match(text, position):
            position, spaced = blank.end(), True
        if text.startswith("}}", position):
            return Action(tuple(tokens), opening), position + 2, False
        if spaced and text.startswith("-}}", position):
            return Action(tuple(tokens), opening), position + 3, True
        if not tokens and text.startswith("/*", position) and (end := text.find("*/", position + 2)) >= 0:
            position = end + 2
            continue
        try:
            token, position = _token(text, position, opening, spaced)
        except TemplateError as fault:
            closing = text.find("}}", position)
            resume = len(text) if closing < 0 else closing + 2
            return Action(tuple(tokens), opening, fault), resume, closing >= 0 and text[closing - 1] == "-"
        tokens.append(token)
        spaced = False


def _token(text: str, position: int, opening: int, spaced: bool) -> tuple[Token, int]:
    match = _TOKEN.match(text, position)
    if not match:
        raise TemplateError(_unreadable(text, position), opening if position >= len(text) else position)
    kind, word, end = match.lastgroup or "", match[0], match.end()
    try:
        if kind == "string":
            return Token("value", word, position, unquoted(word), spaced), end
        if kind == "number":
            return Token("value", word, position, number(word), spaced), end
    except LiteralError as fault:
        raise TemplateError(str(fault), position) from None
    if kind == "field" and text.startswith("-", end) and not text.startswith("-}}", end):
        raise TemplateError(_hyphen(text, position, end), position)
    if kind in ("field", "variable"):
        return Token(kind, word[1:], position, "", spaced), end
    if word in _CONSTANTS:
        return Token("value", word, position, _CONSTANTS[word], spaced), end
    return Token(kind, word, position, "", spaced), end


_MISREAD = (
    ('"', "this text is never closed by '\"' on its line"),
    ("`", "this raw text is never closed by '`'"),
    ("/*", "a comment is alone between '{{' and '}}', and ends with '*/'"),
    ("'", "a text stands between double quotes or back-quotes"),
)


def _unreadable(text: str, position: int) -> str:
    if position >= len(text):
        return "this '{{' is never closed by '}}'"
    for sign, message in _MISREAD:
        if text.startswith(sign, position):
            return message
    if text[position] in "+-0123456789":
        return "this is no number"
    return f"the sign {text[position]!r} has no meaning here"


def _hyphen(text: str, start: int, end: int) -> str:
    rest = re.compile(r"[\w-]*").match(text, end)
    name = text[start + 1 : rest.end() if rest else end]
    return f"a name has no '-' here: write '.{name.replace('-', '_')}' or 'index . \"{name}\"'"
