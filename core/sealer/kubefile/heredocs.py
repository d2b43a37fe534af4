"""Here-documents: the texts that an instruction brings along, each up to a line that is its name alone.

`<<NAME`, `<<-NAME` (tabs at the beginning of each line do not count), and `<<"NAME"` (nothing is expanded), as words of
their own in RUN, COPY and ADD; in RUN, as in the shell, blanks may stand before the name. https://docs.docker.com/reference/dockerfile/#here-documents
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace

from sealer.kubefile.model import Piece
from sealer.kubefile.words import split_words

INSTRUCTIONS = frozenset({"RUN", "COPY", "ADD"})
_WORD = re.compile(r"(?P<fd>\d*)<<(?P<tabs>-?)(?P<quote>[\"']?)(?P<name>[A-Za-z_][\w.-]*)(?P=quote)")
_ALONE = re.compile(_WORD.pattern.replace("(?P<quote>", "[ \\t]*(?P<quote>"))
_OPERATOR = re.compile(r"\d*<<-?")
_SHEBANG = re.compile(r"#![ \t]*(?P<program>\S+)(?:[ \t]+(?P<argument>.*?))?[ \t]*\n")


@dataclass(frozen=True)
class HereDocument:
    """One here-document.

    :param offset: of its word in the logical line.
    :param expand: whether variables in it count: its name has no quotes.
    :param tabs: whether tabs at the beginning of a line count.
    :param lines: as they stand in the file, each with its number.
    :param closed: whether its end was found.
    """

    name: str
    offset: int
    expand: bool
    tabs: bool
    lines: tuple[tuple[int, str], ...] = ()
    closed: bool = False

    def filled(self, following: Iterator[tuple[int, str]]) -> HereDocument:
        """The document with its lines, taken from those that follow."""
        lines: list[tuple[int, str]] = []
        for number, line in following:
            if (line if self.tabs else line.lstrip("\t")) == self.name:
                return replace(self, lines=tuple(lines), closed=True)
            lines.append((number, line))
        return replace(self, lines=tuple(lines))

    @property
    def raw(self) -> str:
        """The lines as they stand."""
        return "".join(f"{line}\n" for _, line in self.lines)

    @property
    def content(self) -> str:
        """What it says: tabs are out that do not count."""
        return "".join(f"{line}\n" for _, line in self._counting)

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """Where each line of `content` stands."""
        found: list[Piece] = []
        length = 0
        for (number, line), (_, raw) in zip(self._counting, self.lines, strict=True):
            found.append((length, number, 1 + len(raw) - len(line)))
            length += len(line) + 1
        return tuple(found)

    @property
    def _counting(self) -> list[tuple[int, str]]:
        return [(number, line if self.tabs else line.lstrip("\t")) for number, line in self.lines]


def announced(text: str, escape: str) -> list[HereDocument]:
    """The here-documents that a logical line asks for, still empty."""
    name = re.match(r"\S*", text)
    if name is None or name[0].upper() not in INSTRUCTIONS or "<<" not in text:
        return []
    words = split_words(text, name.end(), escape)
    if name[0].upper() == "RUN":
        words = _joined(text, words)
    return [
        HereDocument(match["name"], offset, expand=not match["quote"], tabs=not match["tabs"])
        for word, offset in words
        if (match := _WORD.fullmatch(word))
    ]


def _joined(text: str, words: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """The words, with `<<` and a name behind blanks as one; in `$((a << b))` it shifts bits."""
    found: list[tuple[str, int]] = []
    for word, offset in words:
        before, begin = found[-1] if found else ("", 0)
        if _OPERATOR.fullmatch(before) and text.count("((", 0, begin) <= text.count("))", 0, begin):
            found[-1] = before + word, begin
        else:
            found.append((word, offset))
    return found


def shell_text(command: str, documents: tuple[HereDocument, ...]) -> str:
    """What the shell gets for a RUN with here-documents.

    One that is all of the command is the script itself, run by the program that a first line `#!program` names. In
    all other cases the shell reads the documents, as it does in a script.
    """
    if not documents:
        return command
    if not _ALONE.fullmatch(command):
        return "\n".join([command, *(f"{document.raw}{document.name}" for document in documents)])
    (document,) = documents
    shebang = _SHEBANG.match(document.content)
    if shebang is None:
        return document.content
    # The kernel gives the rest of the line as one argument. The content reaches the program without a file that
    # would have to be removed again.
    words = [shebang["program"], *([shebang["argument"]] if shebang["argument"] else []), "/dev/fd/3"]
    return f"exec {shlex.join(words)} 3<<'{document.name}'\n{document.content}{document.name}\n"
