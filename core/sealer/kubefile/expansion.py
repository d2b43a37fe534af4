"""Quotes, escapes and variables of a word, by Docker's rules.

`$NAME`, `${NAME}`, `${NAME:-word}`, `${NAME-word}`, `${NAME:+word}`, `${NAME+word}`, `${NAME:?message}` and
`${NAME?message}`; nothing is expanded in single quotes; the escape character takes the meaning from what follows.
"""

from __future__ import annotations

from collections.abc import Mapping

from sealer.kubefile.model import Word

DEEPEST = 20
_ESCAPED_IN_QUOTES = ('"', "$")


class ExpansionError(Exception):
    """A word cannot be read. `offset` counts the characters before the trouble."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


def expand(word: Word, variables: Mapping[str, str], escape: str = "\\") -> str:
    """The word's value.

    :raises ExpansionError: a quote or a brace is not closed, or a variable that must be set is not.
    """
    return _Reader(word.text, variables, escape).read()


def expand_document(word: Word, variables: Mapping[str, str], escape: str = "\\") -> str:
    """The text of a here-document: as in a shell's, quotes are characters like any other.

    :raises ExpansionError: see :func:`expand`.
    """
    return _Reader(word.text, variables, escape).read_document()


def check(word: Word, escape: str, *, document: bool = False) -> None:
    """See whether a word can be read, whatever its variables will hold.

    :param document: it is the text of a here-document.
    :raises ExpansionError: it cannot.
    """
    reader = _Reader(word.text, None, escape)
    if document:
        reader.read_document()
    else:
        reader.read()


class _Reader:
    """One pass over a text. Without variables it only checks: every branch is read and nothing need be set."""

    def __init__(self, text: str, variables: Mapping[str, str] | None, escape: str) -> None:
        self._text = text
        self._variables = variables
        self._escape = escape
        self._at = 0
        self._depth = 0

    def read(self) -> str:
        return self._until("")

    def read_document(self) -> str:
        parts: list[str] = []
        while self._at < len(self._text):
            char = self._text[self._at]
            if char == "$":
                parts.append(self._variable())
                continue
            following = self._text[self._at + 1 : self._at + 2]
            if char == self._escape and following and following in ("$", "\n", self._escape):
                char = "" if following == "\n" else following
                self._at += 1
            parts.append(char)
            self._at += 1
        return "".join(parts)

    def _until(self, stop: str) -> str:
        parts: list[str] = []
        while self._at < len(self._text):
            char = self._text[self._at]
            if char == stop:
                return "".join(parts)
            if char == "'":
                parts.append(self._single())
            elif char == '"':
                parts.append(self._double())
            elif char == "$":
                parts.append(self._variable())
            else:
                if char == self._escape and self._at + 1 < len(self._text):
                    self._at += 1
                    char = self._text[self._at]
                parts.append(char)
                self._at += 1
        if stop:
            raise ExpansionError("'${' without its '}'", self._at)
        return "".join(parts)

    def _single(self) -> str:
        start = self._at
        end = self._text.find("'", start + 1)
        if end < 0:
            raise ExpansionError("a single quote that is not closed", start)
        self._at = end + 1
        return self._text[start + 1 : end]

    def _double(self) -> str:
        start = self._at
        self._at += 1
        parts: list[str] = []
        while self._at < len(self._text):
            char = self._text[self._at]
            if char == '"':
                self._at += 1
                return "".join(parts)
            if char == "$":
                parts.append(self._variable())
                continue
            following = self._text[self._at + 1 : self._at + 2]
            if char == self._escape and following and following in (*_ESCAPED_IN_QUOTES, self._escape):
                char = following
                self._at += 1
            parts.append(char)
            self._at += 1
        raise ExpansionError("a double quote that is not closed", start)

    def _variable(self) -> str:
        start = self._at
        self._at += 1
        braced = self._text[self._at : self._at + 1] == "{"
        self._at += braced
        name = self._name()
        if not braced:
            return self._value(name) if name else "$"
        if not name:
            raise ExpansionError("'${' without a name", start)
        value = self._modified(name, start)
        if self._text[self._at : self._at + 1] != "}":
            raise ExpansionError("'${' without its '}'", start)
        self._at += 1
        return value

    def _name(self) -> str:
        end = self._at
        while end < len(self._text) and _is_name(self._text[end], first=end == self._at):
            end += 1
        name, self._at = self._text[self._at : end], end
        return name

    def _value(self, name: str) -> str:
        return (self._variables or {}).get(name, "")

    def _modified(self, name: str, start: int) -> str:
        colon = self._text[self._at : self._at + 1] == ":"
        self._at += colon
        operator = self._text[self._at : self._at + 1]
        if operator == "}" and not colon:
            return self._value(name)
        if not operator:
            raise ExpansionError("'${' without its '}'", start)
        if operator not in "-+?":
            raise ExpansionError("in '${...}' only ':-', '-', ':+', '+', ':?' and '?' are known", start)
        self._at += 1
        self._depth += 1
        if self._depth > DEEPEST:
            raise ExpansionError("variables are nested too deeply", start)
        word = self._until("}")
        self._depth -= 1
        present = bool(self._value(name)) if colon else name in (self._variables or {})
        if operator == "+":
            return word if present else ""
        if operator == "?" and not present and self._variables is not None:
            raise ExpansionError(f"{name} must be set: {word}" if word else f"{name} must be set", start)
        return self._value(name) if present else word


def _is_name(char: str, *, first: bool) -> bool:
    return char.isascii() and (char.isalpha() or char == "_" or (char.isdigit() and not first))
