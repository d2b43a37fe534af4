"""The grammar that data about hosts shares: lines of `ips words`, where ips are an address, a list or a range."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sealer.clusterfile.model import PluginDocument
from sealer.errors import InputError, Problem
from sealer.hosts import parse_addresses

_ADDRESS = r"[\[\]0-9A-Fa-f.:]*[.:][\[\]0-9A-Fa-f.:]*(?:%[0-9A-Za-z_.]+)?"
_ADDRESSES = re.compile(rf"\s*({_ADDRESS}(?:\s*[,-]\s*{_ADDRESS})*)(?=\s|$)")
_WORD = re.compile(r"[^\s,]+")


@dataclass(frozen=True)
class Word:
    """A word of a line.

    :param line, column: where it stands in the data, from 1.
    """

    text: str
    line: int
    column: int


@dataclass(frozen=True)
class HostLine:
    """One line: what is said of which hosts.

    :param addresses: canonical, in the order written.
    :param words: separated by blanks or commas; at least one.
    """

    addresses: tuple[str, ...]
    words: tuple[Word, ...]


def host_lines(document: PluginDocument, form: str, check: Callable[[str], str]) -> tuple[HostLine, ...]:
    """Understand `document.data`; `#` begins a comment.

    :param form: how a line is written, for messages: `ips key=value`.
    :param check: what is wrong with a word; empty if nothing.
    :raises InputError: with every line that is wrong.
    """
    wrong = f"the {document.type} plugin is not right"
    if not isinstance(document.data, str):
        raise InputError(
            wrong, problems=[document.problem(f"lines of '{form}' are expected; did you forget 'data: |'?")]
        )
    problems: list[Problem] = []
    found = tuple(_lines(document, document.data, form, check, problems))
    if not found and not problems:
        problems.append(document.problem(f"no line of the form '{form}'"))
    if problems:
        raise InputError(wrong, problems=problems)
    return found


def _lines(
    document: PluginDocument, text: str, form: str, check: Callable[[str], str], problems: list[Problem]
) -> Iterator[HostLine]:
    for number, line in enumerate(text.split("\n"), start=1):
        content = line.partition("#")[0].rstrip()
        if not content.strip():
            continue
        start = len(content) - len(content.lstrip()) + 1
        match = _ADDRESSES.match(content)
        try:
            addresses = tuple(address for address, _ in parse_addresses(match[1])) if match else ()
        except ValueError as error:
            problems.append(document.problem(str(error), number, start))
            continue
        if not match:
            first = content.split()[0]
            problems.append(document.problem(f"'{first}' is not an IP address; a line is '{form}'", number, start))
            continue
        words = [Word(one.group(), number, one.start() + 1) for one in _WORD.finditer(content, match.end())]
        if not words:
            problems.append(document.problem(f"nothing is said of '{match[1]}'; a line is '{form}'", number, start))
        bad = [(word, message) for word in words if (message := check(word.text))]
        problems.extend(document.problem(message, word.line, word.column) for word, message in bad)
        if words and not bad:
            yield HostLine(addresses, tuple(words))
