"""The documents of a file whose content is YAML or JSON, whatever its name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sealer.image.discovery.nodes import Listing, Node, Table, UnreadableError, parse, parse_json
from sealer.image.discovery.templated import Templated, neutralised

_SEPARATOR = re.compile(r"(?m)^---(?=[ \t\r]|$)")
_DIRECTIVE = re.compile(r"(?m)^%[A-Z]+[ \t]")
_ILLEGAL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LINE_END = re.compile("\r\n|[\n\r]")
_DEFINITION = re.compile(r"(?m)^kind:[ \t]*[\"']?CustomResourceDefinition[\"']?[ \t]*(?:#.*)?\r?$")

# Without one of these, no rule can find anything, and a document is not parsed.
_HINTS = (
    "image",
    "repositor",
    "docker://",
    "@sha256:",
    "kubeadm.k8s.io",
    "k8s.elastic.co",
    "monitoring.coreos.com",
    "hub",
)
_PATH_AND_TAG = re.compile(r"/[a-z0-9][a-z0-9._/-]{0,199}:[A-Za-z0-9_]")
_MOST_FAULTS = 20  # documents of one file that are no YAML


@dataclass(frozen=True)
class Document:
    """One document."""

    root: Node
    templated: Templated


@dataclass(frozen=True)
class Broken:
    """Text that mentions images, and is no valid document.

    :param text: all of it.
    :param first: number of its first line.
    :param why: what is wrong.
    :param line: where.
    """

    text: str
    first: int
    why: str
    line: int


def decoded(content: bytes) -> str:
    """The text of a file; what is no character becomes a sign that says so."""
    if content.startswith(b"\xff\xfe"):
        text = content.decode("utf-16-le", "replace")
    elif content.startswith(b"\xfe\xff"):
        text = content.decode("utf-16-be", "replace")
    else:
        text = content.decode("utf-8", "replace")
    text = text.removeprefix("\ufeff")
    return text if text.isascii() and not _CONTROL.search(text) else _ILLEGAL.sub("\ufffd", text)


_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def may_mention(text: str) -> bool:
    """Whether a rule may find something."""
    lower = text.lower()
    return any(hint in lower for hint in _HINTS) or bool(_PATH_AND_TAG.search(text))


def documents(text: str, line: int = 1) -> Iterator[Document | Broken]:
    """Each document that may mention an image; definitions of custom resources never do.

    Documents are parsed one by one, so that a fault in one leaves the others readable.

    :param line: of the text's first line, in the file.
    """
    faults = 0
    for first, chunk in _chunks(text, line):
        if not may_mention(chunk) or _DEFINITION.search(chunk):
            continue
        for found in _parsed(chunk, first):
            faults += isinstance(found, Broken)
            if faults > _MOST_FAULTS:
                return
            yield found


def lines(text: str) -> list[str]:
    """The lines of a text, as YAML counts them."""
    return _LINE_END.split(text)


def _chunks(text: str, line: int) -> Iterator[tuple[int, str]]:
    """The text cut where a document begins. In YAML, nothing else can begin a line with these dashes."""
    if _DIRECTIVE.search(text):  # it belongs to the document below its dashes
        yield line, text
        return
    start = 0
    for separator in _SEPARATOR.finditer(text):
        if separator.start() > start:
            yield line, text[start : separator.start()]
            line += text.count("\n", start, separator.start())
            start = separator.start()
    yield line, text[start:]


def _parsed(chunk: str, first: int) -> Iterator[Document | Broken]:
    templated = neutralised(chunk)
    roots: list[Node] = []
    fault = None
    try:
        roots.extend(parse(templated.text, first))
    except UnreadableError as error:
        fault = error
    if fault and chunk.lstrip()[:1] in ("{", "["):
        try:
            roots = list(parse_json(chunk, first))
            fault = None
        except UnreadableError:
            pass
    for root in roots:
        if isinstance(root, Table | Listing):
            yield Document(root, templated)
    if fault:
        yield Broken(chunk, first, str(fault), fault.line)
