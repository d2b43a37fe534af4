"""YAML as a tree of nodes that know where they stand.

Built from the parser's events and not by its composer: so the text of every scalar stays as it was written, a repeated
key is seen, and neither depth nor aliases can exhaust anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from sealer.clusterfile.report import Report, quoted
from sealer.clusterfile.scalars import NULL_WORDS

DEEPEST = 100
MOST_NODES = 500_000  # counted with what aliases stand for
LONGEST_TEXT = 32 << 20  # characters

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_TEXT_TAGS = frozenset({"!", f"{_TAG}str"})
_PLAIN_TAGS = frozenset({f"{_TAG}{name}" for name in ("int", "float", "bool", "null", "map", "seq")})
_ILLEGAL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LINE_END = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


class Scalar:
    """One text.

    :ivar text: as written, without quotes.
    :ivar plain: without quotes and tag, so that YAML would look for a type.
    :ivar style: `|`, `>`, `'`, `"`, or nothing.
    :ivar start, end: offsets in the whole text, from 0.
    """

    __slots__ = ("column", "end", "line", "plain", "start", "style", "text")
    size = 1

    def __init__(self, text: str, line: int, column: int, style: str = "", plain: bool = True) -> None:
        self.text = text
        self.line = line
        self.column = column
        self.style = style
        self.plain = plain
        self.start = self.end = -1

    @property
    def is_null(self) -> bool:
        """Whether nothing was given."""
        return self.plain and self.text in NULL_WORDS


class Items:
    """A sequence; `flow`: written in brackets."""

    __slots__ = ("column", "flow", "items", "line", "size")

    def __init__(self, line: int, column: int, flow: bool = False) -> None:
        self.items: list[Node] = []
        self.line = line
        self.column = column
        self.flow = flow
        self.size = 1


class Entries:
    """A mapping, in the order written; every key is there once."""

    __slots__ = ("column", "entries", "line", "size")

    def __init__(self, line: int, column: int) -> None:
        self.entries: dict[str, tuple[Scalar, Node]] = {}
        self.line = line
        self.column = column
        self.size = 1


Node = Scalar | Items | Entries
NOTHING = Scalar("", 0, 0)


def described(node: Node) -> str:
    """What a node is, for a message; never what it contains."""
    if isinstance(node, Items):
        return "a list"
    if isinstance(node, Entries):
        return "a mapping"
    return "nothing" if node.is_null else "text"


def split_lines(text: str) -> list[str]:
    """The lines as YAML counts them."""
    return _LINE_END.split(text)


def documents(text: str, report: Report) -> Iterator[Node]:
    """Each document of `text` that is not empty. What is wrong with the YAML itself goes to `report`."""
    if len(text) > LONGEST_TEXT:
        report.error(Scalar("", 1, 1), "", f"{len(text)} characters; at most {LONGEST_TEXT} are read")
        report.complete = False
        return
    if illegal := _ILLEGAL.search(text):
        before = split_lines(text[: illegal.start()])
        at = Scalar("", len(before), len(before[-1]) + 1)
        report.error(at, "", f"the character U+{ord(illegal[0]):04X} is not allowed in YAML")
        report.complete = False
        return
    yield from _Builder(text, report).documents()


class _Frame:
    """A sequence or mapping that is not yet closed."""

    __slots__ = ("anchor", "key", "merged", "node")

    def __init__(self, node: Items | Entries, anchor: str | None) -> None:
        self.node = node
        self.anchor = anchor
        self.key: Scalar | None = None
        self.merged: list[Node] = []

    @property
    def step(self) -> str:
        """The part of a path that leads from here to the node that is being read."""
        if isinstance(self.node, Items):
            return f"[{len(self.node.items)}]"
        return f".{self.key.text[:40]}" if self.key else ""


class _StopReadingError(Exception):
    """The rest of the text cannot be made sense of."""


class _Builder:
    def __init__(self, text: str, report: Report) -> None:
        self._text = text
        self._report = report
        self._stack: list[_Frame] = []
        self._anchors: dict[str, Node] = {}
        self._root: Node | None = None
        self._nodes = 0

    def documents(self) -> Iterator[Node]:
        try:
            for event in yaml.parse(self._text, Loader=_LOADER):
                self._take(event)
                if isinstance(event, yaml.DocumentEndEvent):
                    root, self._root = self._root, None
                    self._anchors.clear()
                    if root is not None and not (isinstance(root, Scalar) and root.is_null):
                        yield root
        except yaml.YAMLError as error:
            self._report.complete = False
            self._syntax(error)
        except _StopReadingError:
            self._report.complete = False

    def _syntax(self, error: yaml.YAMLError) -> None:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        at = Scalar("", mark.line + 1, mark.column + 1) if mark else Scalar("", 1, 1)
        # libyaml ends a quoted scalar that is never closed at the end of the file: name its beginning, too.
        context, context_mark = getattr(error, "context", None), getattr(error, "context_mark", None)
        message = str(getattr(error, "problem", None) or "it cannot be read")
        if context and context_mark and context_mark.line != at.line - 1:
            message = f"{message} ({context} that begins in line {context_mark.line + 1})"
        lines = split_lines(self._text)
        line = lines[at.line - 1] if at.line <= len(lines) else ""
        if line[at.column - 1 : at.column] == "\t" or line.lstrip(" ").startswith("\t"):
            message += "; indent YAML with spaces, not tabs"
        elif "::" in line:
            message += "; an IPv6 address in a list in brackets needs quotes"
        self._report.error(at, "", f"invalid YAML: {message}")

    def _take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._attach(self._scalar(event), event.anchor)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._open(event)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            frame = self._stack.pop()
            for merged in frame.merged:
                self._merge(frame.node, merged)
            self._attach(frame.node, frame.anchor)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)

    def _scalar(self, event: Any) -> Scalar:
        start = event.start_mark
        scalar = Scalar(event.value, start.line + 1, start.column + 1, event.style or "", not event.style)
        scalar.start, scalar.end = start.index, event.end_mark.index
        if event.tag is not None:
            scalar.plain = self._known_tag(event.tag, scalar)
        if not scalar.text.isascii() and _SURROGATE.search(scalar.text):
            self._report.error(scalar, self._path(), "half of a surrogate pair is no character")
            scalar.text = ""
        self._count(scalar, 1)
        return scalar

    def _known_tag(self, tag: str, at: Node) -> bool:
        """Whether YAML would still look for a type."""
        if tag not in _TEXT_TAGS and tag not in _PLAIN_TAGS:
            self._report.error(at, self._path(), "a YAML tag has no meaning here; quote the text if it begins with '!'")
        return tag in _PLAIN_TAGS

    def _open(self, event: Any) -> None:
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        node: Items | Entries
        if isinstance(event, yaml.MappingStartEvent):
            node = Entries(line, column)
        else:
            node = Items(line, column, bool(event.flow_style))
        if event.tag is not None:
            self._known_tag(event.tag, node)
        self._count(node, 1)
        if len(self._stack) >= DEEPEST:
            self._report.error(node, "", f"nested more than {DEEPEST} levels deep")
            raise _StopReadingError
        self._stack.append(_Frame(node, event.anchor))

    def _alias(self, event: Any) -> None:
        at = Scalar("", event.start_mark.line + 1, event.start_mark.column + 1)
        node = self._anchors.get(event.anchor)
        if node is None:
            # The name is not shown: it may be a password that begins with '*'.
            if any(frame.anchor == event.anchor for frame in self._stack):
                self._report.error(at, self._path(), "this alias stands inside of what it stands for")
            else:
                self._report.error(
                    at, self._path(), "no anchor (&) has the name of this alias (*); quote a text that begins with '*'"
                )
            node = at
        self._count(at, node.size)
        self._attach(node, None)

    def _count(self, at: Node, size: int) -> None:
        self._nodes += size
        if self._nodes > MOST_NODES:
            self._report.error(at, "", f"more than {MOST_NODES} values, with what aliases stand for")
            raise _StopReadingError

    def _attach(self, node: Node, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._stack:
            self._root = node
            return
        frame = self._stack[-1]
        frame.node.size += node.size
        if isinstance(frame.node, Items):
            frame.node.items.append(node)
        elif frame.key is None:
            frame.key = self._key(node)
        else:
            self._entry(frame, frame.node, frame.key, node)
            frame.key = None

    def _key(self, node: Node) -> Scalar:
        if isinstance(node, Scalar):
            return node
        self._report.error(node, self._path(), f"a key is text, not {described(node)}")
        return Scalar("", node.line, node.column, plain=False)

    def _entry(self, frame: _Frame, node: Entries, key: Scalar, value: Node) -> None:
        if key.plain and key.text == "<<":
            frame.merged.extend(value.items if isinstance(value, Items) else [value])
        elif earlier := node.entries.get(key.text):
            message = f"the key {quoted(key.text)} is given twice, first in line {earlier[0].line}"
            self._report.error(key, self._path(), message)
        else:
            node.entries[key.text] = (key, value)

    def _merge(self, into: Items | Entries, other: Node) -> None:
        if not isinstance(into, Entries) or not isinstance(other, Entries):
            self._report.error(other, self._path(), f"'<<' takes in a mapping, not {described(other)}")
            return
        for name, entry in other.entries.items():
            into.entries.setdefault(name, entry)

    def _path(self) -> str:
        return "".join(frame.step for frame in self._stack).lstrip(".")
