"""The grammar of HOSTNAME's data: lines of `ip name`."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass

from sealer.clusterfile.model import PluginDocument
from sealer.errors import InputError, Problem
from sealer.hosts import canonical_address

LONGEST = 64  # characters that Linux keeps (HOST_NAME_MAX); RFC 1123 would allow 255
LONGEST_LABEL = 63
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?")
_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class _Named:
    address: str
    name: str
    line: int
    address_column: int
    name_column: int


def parse_names(document: PluginDocument) -> dict[str, str]:
    """The names by address.

    :raises InputError: with every line that is wrong.
    """
    if not isinstance(document.data, str):
        raise _wrong([document.problem("lines of 'ip name' are expected; did you forget 'data: |'?")])
    problems: list[Problem] = []
    found = list(_lines(document, document.data, problems))
    problems.extend(_twice(document, found))
    if not found and not problems:
        problems.append(document.problem("no line of the form 'ip name'"))
    if problems:
        raise _wrong(sorted(problems, key=lambda problem: problem.position))
    return {named.address: named.name for named in found}


def _wrong(problems: list[Problem]) -> InputError:
    return InputError("the HOSTNAME plugin is not right", problems=problems)


def _lines(document: PluginDocument, text: str, problems: list[Problem]) -> Iterator[_Named]:
    for number, line in enumerate(text.split("\n"), start=1):
        words = [(match.group(), match.start() + 1) for match in _WORD.finditer(line.partition("#")[0])]
        if not words:
            continue
        wrong = _wrong_words(words)
        if wrong:
            message, column = wrong
            problems.append(document.problem(message, number, column))
            continue
        (address, address_column), (name, name_column) = words
        yield _Named(canonical_address(address), name, number, address_column, name_column)


def _wrong_words(words: list[tuple[str, int]]) -> tuple[str, int] | None:
    """What is wrong with a line, and its column."""
    first, column = words[0]
    if not _is_address(first):
        swapped = len(words) == 2 and _is_address(words[1][0])
        hint = "; the address comes first, then the name" if swapped else ""
        return f"'{first}' is not an IP address{hint}", column
    if len(words) == 1:
        return f"'{first}' has no name; a line is 'ip name'", column
    if len(words) > 2:
        return f"'{words[2][0]}' is too much; a line is 'ip name'", words[2][1]
    name, column = words[1]
    wrong = wrong_name(name)
    return (wrong, column) if wrong else None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True


def wrong_name(name: str) -> str:
    """Why `name` is no name for a host; empty if it is one."""
    if _is_address(name):
        return f"'{name}' is an address, not a name"
    if len(name) > LONGEST:
        return f"'{name}' has {len(name)} characters; a host's name has at most {LONGEST}"
    for label in name.split("."):
        if len(label) > LONGEST_LABEL:
            return f"'{label}' has {len(label)} characters; between dots there are at most {LONGEST_LABEL}"
        if not _LABEL.fullmatch(label):
            return f"'{name}' is not a host's name: letters, digits and dashes, dots between them, no dash at an end"
    return ""


def _twice(document: PluginDocument, found: list[_Named]) -> Iterator[Problem]:
    addresses: dict[str, int] = {}
    names: dict[str, int] = {}
    for named in found:
        if (line := addresses.setdefault(named.address, named.line)) != named.line:
            at = document.at(line)
            message = f"'{named.address}' has a name already, in line {at.line}"
            yield document.problem(message, named.line, named.address_column)
        if (line := names.setdefault(named.name.lower(), named.line)) != named.line:
            at = document.at(line)
            message = f"the name '{named.name}' is given already, in line {at.line}"
            yield document.problem(message, named.line, named.name_column)
