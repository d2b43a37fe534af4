"""What every instruction's reader works with: the logical line in words, flags and JSON lists."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from sealer.documents import load_json
from sealer.errors import Position
from sealer.kubefile.expansion import ExpansionError, check
from sealer.kubefile.lines import LogicalLine
from sealer.kubefile.model import Word
from sealer.kubefile.urls import without_login
from sealer.kubefile.words import split_words

# `RUN [ "$A" = b ] && ...` is a test of the shell; a list is what ends in a bracket, too, and has commas or one string.
_LOOKS_LIKE_JSON = re.compile(r"""\[\s*(?P<q>["'])[^"']*(?P=q)\s*(?:,.*)?\]""", re.DOTALL)


class InstructionError(Exception):
    """An instruction is wrong.

    :param offset: counts the characters of the logical line.
    :param position: where it is wrong, if that is not in the logical line itself.
    """

    def __init__(self, message: str, offset: int, position: Position | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.position = position


@dataclass
class Reader:
    """What is being read.

    :param start: offset of the first character after the instruction's name.
    :param warnings: gets offsets and messages.
    """

    line: LogicalLine
    name: str
    start: int
    escape: str
    warnings: list[tuple[int, str]] = field(default_factory=list)

    @property
    def rest(self) -> str:
        """What follows the instruction's name."""
        return self.line.text[self.start :]

    @property
    def position(self) -> Position:
        """Where the instruction begins."""
        return self.line.at(0)

    @property
    def title(self) -> str:
        """The instruction in one line, without the passwords of URLs."""
        title = f"{self.name} {' '.join(self.rest.split())}".strip()
        if self.line.documents and (lines := self.line.documents[0].content.split("\n", 1)[0].strip()):
            title = f"{title} ({lines}...)"
        return without_login(title)

    def need_rest(self, what: str) -> None:
        """Refuse an instruction without arguments."""
        if not self.rest.strip():
            raise InstructionError(f"{self.name} needs {what}", 0)

    def word(self, text: str, offset: int) -> Word:
        """A word, checked for quotes and braces."""
        end = offset + len(text)
        pieces = tuple(
            (start - offset, line, column) for start, line, column in self.line.pieces if offset < start < end
        )
        word = Word(text, self.line.at(offset), pieces)
        try:
            check(word, self.escape)
        except ExpansionError as error:
            raise InstructionError(error.message, min(offset + error.offset, len(self.line.text))) from None
        return word

    def plain(self, value: str, offset: int) -> Word:
        """A word that means just what it says, as in a JSON list."""
        special = re.compile(rf"[{re.escape(self.escape)}\"'$]")
        return Word(special.sub(lambda match: self.escape + match[0], value), self.line.at(offset))

    def words(self) -> list[tuple[str, int]]:
        """The pieces between blanks, quotes and escapes respected, with their offsets."""
        return split_words(self.line.text, self.start, self.escape)

    def flags(self, known: Mapping[str, str]) -> tuple[dict[str, tuple[str, int]], list[tuple[str, int]]]:
        """Split off leading `--name=value` words.

        :param known: names, each with the reason why it is refused, or an empty text if it is not.
        """
        words = self.words()
        flags: dict[str, tuple[str, int]] = {}
        while words and words[0][0].startswith("--"):
            text, offset = words.pop(0)
            name, _, value = text[2:].partition("=")
            if name not in known:
                raise InstructionError(f"{self.name} does not know the flag '--{name}'", offset)
            if known[name]:
                raise InstructionError(f"--{name} is not supported: {known[name]}", offset)
            if not value:
                raise InstructionError(f"--{name} needs a value: --{name}=...", offset)
            flags[name] = (value, offset)
        return flags, words

    def json_list(self, begin: int, *, only: bool = False) -> list[str] | None:
        """The JSON form's strings, or None where the text is no JSON list of strings: then it is words, as in Docker.

        :param only: refuse what looks like a list and is none; otherwise it is warned of.
        """
        text = self.line.text[begin:].strip()
        if not text.startswith("["):
            return None
        try:
            value = load_json(text)
        except ValueError:
            value = None
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            if not all(map(_is_text, value)):
                raise InstructionError("half of a surrogate pair, which is no character", begin)
            return value
        if _LOOKS_LIKE_JSON.fullmatch(text):
            if only:
                raise InstructionError("neither a JSON list of strings in double quotes, nor a command", begin)
            self.warnings.append(
                (begin, "not a JSON list of strings in double quotes: it is read as words, as in Docker")
            )
        return None


def without_nul(text: str, offset: int) -> str:
    """A text that may reach a command or a file's name.

    :raises InstructionError: it may not.
    """
    if "\0" in text:
        raise InstructionError("a NUL character, which no command may hold", offset)
    return text


def _is_text(text: str) -> bool:
    """Whether it can be written as UTF-8: JSON lets one name half a character."""
    return not any("\ud800" <= char <= "\udfff" for char in text)
