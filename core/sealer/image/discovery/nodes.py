"""YAML and JSON as a tree of nodes that know their lines.

Built from the parser's events and not by its composer, which crashes the process where brackets are nested deeply. A
repeated key stays, an alias is the very node it stands for, so that no document grows by them, and a tag of somebody
else's language is kept and not obeyed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import yaml

DEEPEST = 100
MOST_NODES = 1_500_000  # merged keys counted
SCHEMA = "openAPIV3Schema"  # megabytes of descriptions: it is read over, an empty mapping stands for it

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RESOLVER: Any = yaml.SafeLoader("")
_STANDARD = "tag:yaml.org,2002:"
_TEXT_TAGS = ("!", f"{_STANDARD}str")
_LONGEST_NUMBER = 64
_NO_TEXT = re.compile(r"[-+.0-9~<=]|[nNtTfFyYoO]|$")  # what a plain scalar of another type begins with


class UnreadableError(Exception):
    """This is no YAML.

    :ivar line: where that shows, from 1.
    """

    def __init__(self, why: str, line: int) -> None:
        super().__init__(why)
        self.line = line


class Text:
    """A scalar.

    :ivar text: as written, without quotes.
    :ivar is_text: False: YAML takes it for a number, a truth value or nothing.
    :ivar tag: of another language than YAML's own: `!Ref`.
    :ivar style: `|`, `>`, `'`, `"`, or nothing.
    """

    __slots__ = ("is_text", "line", "style", "tag", "text")

    def __init__(self, text: str, line: int, *, style: str = "", is_text: bool = True, tag: str = "") -> None:
        self.text = text
        self.line = line
        self.style = style
        self.is_text = is_text
        self.tag = tag


class Listing:
    """A sequence."""

    __slots__ = ("items", "line")

    def __init__(self, line: int) -> None:
        self.items: list[Node] = []
        self.line = line


class Table:
    """A mapping: every pair in the order written, and what it takes over from others (`<<`)."""

    __slots__ = ("_by_name", "line", "merged", "pairs")

    def __init__(self, line: int) -> None:
        self.pairs: list[tuple[Text, Node]] = []
        self.merged: dict[str, tuple[Text, Node]] = {}
        self.line = line
        self._by_name: dict[str, tuple[Text, Node]] | None = None

    @property
    def by_name(self) -> dict[str, tuple[Text, Node]]:
        """Key and value by the key's text; of a repeated key the last one."""
        if self._by_name is None:
            self._by_name = {**self.merged, **{key.text: (key, value) for key, value in self.pairs}}
        return self._by_name

    def get(self, name: str) -> Node | None:
        """The value of a key."""
        found = self.by_name.get(name)
        return found[1] if found else None

    def word(self, *names: str) -> str:
        """The text of the first of these keys that has one, numbers as written; else empty."""
        for name in names:
            value = self.get(name)
            if isinstance(value, Text) and not is_nothing(value) and not value.tag:
                return value.text.strip()
        return ""

    def table(self, name: str) -> Table | None:
        """The mapping that a key has."""
        value = self.get(name)
        return value if isinstance(value, Table) else None


Node = Text | Listing | Table


def is_nothing(text: Text) -> bool:
    """Whether a scalar is YAML's null."""
    return not text.is_text and text.text in ("", "~", "null", "Null", "NULL")


def parse(text: str, line: int = 1) -> Iterator[Node]:
    """Each document of a text that is not empty.

    :param line: of the text's first line, in the file.
    :raises UnreadableError: it is no YAML, or nested too deeply, or too large with what it takes over.
    """
    builder = _Builder(line)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            root = builder.take(event)
            if root is not None:
                yield root
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        why = str(getattr(error, "problem", None) or "it cannot be read")
        raise UnreadableError(why, line + (mark.line if mark else 0)) from error


class _Builder:
    def __init__(self, first: int) -> None:
        self._first = first
        self._open: list[tuple[Listing | Table, str | None, Text | None]] = []
        self._anchors: dict[str, Node] = {}
        self._count = 0
        self._roots: list[Node] = []
        self._over = 0  # levels below a schema

    def take(self, event: yaml.Event) -> Node | None:
        """Read one event; gives a document when it is whole."""
        if self._over:
            self._pass(event)
            return None
        match event:
            case yaml.ScalarEvent():
                self._attach(self._text(event), event.anchor)
            case yaml.MappingStartEvent():
                self._begin(Table(self._line(event)), event)
            case yaml.SequenceStartEvent():
                self._begin(Listing(self._line(event)), event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                node, anchor, _ = self._open.pop()
                if isinstance(node, Table):
                    self._merge(node)
                self._attach(node, anchor)
            case yaml.AliasEvent():
                anchor = event.anchor or ""
                if anchor not in self._anchors:
                    raise UnreadableError(f"an alias of '{anchor[:40]}', which is nowhere", self._line(event))
                self._attach(self._anchors[anchor], None)
            case yaml.DocumentEndEvent():
                self._anchors.clear()
                return self._roots.pop() if self._roots else None
        return None

    def _line(self, event: Any) -> int:
        line: int = event.start_mark.line
        return line + self._first

    def _text(self, event: Any) -> Text:
        tag: str = event.tag or ""
        is_text = bool(event.style) or tag in _TEXT_TAGS or not _is_typed(event.value)
        foreign = "" if not tag or tag.startswith(_STANDARD) or tag == "!" else tag
        return Text(event.value, self._line(event), style=event.style or "", is_text=is_text, tag=foreign)

    def _pass(self, event: Any) -> None:
        """Read over what is in a schema; an alias of something in it, elsewhere, is nothing."""
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._over += 1
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._over -= 1
        if anchor := getattr(event, "anchor", None):
            self._anchors.setdefault(anchor, Table(self._line(event)))

    def _begin(self, node: Listing | Table, event: Any) -> None:
        key = self._open[-1][2] if self._open else None
        if key is not None and key.text == SCHEMA:
            self._over = 1
            self._attach(node, event.anchor)
            return
        if len(self._open) >= DEEPEST:
            raise UnreadableError(f"more than {DEEPEST} levels", self._line(event))
        self._open.append((node, event.anchor, None))

    def _attach(self, node: Node, anchor: str | None) -> None:
        self._add(1, node.line)
        if anchor:
            self._anchors[anchor] = node  # now that it is whole: nothing can contain itself
        if not self._open:
            self._roots.append(node)
            return
        parent, own, key = self._open[-1]
        if isinstance(parent, Listing):
            parent.items.append(node)
        elif key is None:
            # A key may be a mapping; `{{ .Values.x }}` outside of quotes is one.
            named = node if isinstance(node, Text) else Text("", node.line, is_text=False)
            self._open[-1] = (parent, own, named)
        else:
            parent.pairs.append((key, node))
            self._open[-1] = (parent, own, None)

    def _merge(self, table: Table) -> None:
        for key, value in table.pairs:
            if key.text != "<<" or key.style:
                continue
            for source in value.items if isinstance(value, Listing) else [value]:
                if isinstance(source, Table):
                    self._add(len(source.by_name), table.line)
                    table.merged = {**source.by_name, **table.merged}

    def _add(self, nodes: int, line: int) -> None:
        self._count += nodes
        if self._count > MOST_NODES:
            raise UnreadableError(f"more than {MOST_NODES} values", line)


def _is_typed(text: str) -> bool:
    """Whether YAML sees something else than text in a scalar without quotes."""
    return len(text) <= _LONGEST_NUMBER and bool(_NO_TEXT.match(text)) and _resolves(text)


@lru_cache(maxsize=4096)
def _resolves(text: str) -> bool:
    tag: str = _RESOLVER.resolve(yaml.ScalarNode, text, (True, False))
    return tag != f"{_STANDARD}str"


def parse_json(text: str, line: int = 1) -> Iterator[Node]:
    """JSON values, one after the other. The slow way, for what the YAML parser refuses; lines are looked up.

    :raises UnreadableError: it is no JSON.
    """
    decoder = json.JSONDecoder(object_pairs_hook=_Pairs)
    at = 0
    while at < len(text):
        blank = _BLANK.match(text, at)
        at = blank.end() if blank else at
        if at == len(text):
            return
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise UnreadableError("it is neither YAML nor JSON", line + text.count("\n", 0, at)) from error
        yield _Lines(text, at, line).node(value, 0)
        at = end


_BLANK = re.compile(r"\s*")


class _Pairs(list[tuple[str, object]]):
    """An object with every pair, also of repeated keys."""


class _Lines:
    """Makes nodes of JSON values, and looks for each text behind the one before it."""

    def __init__(self, text: str, start: int, line: int) -> None:
        self._text = text
        self._at = start
        self._line = line + text.count("\n", 0, start)

    def node(self, value: object, depth: int) -> Node:
        if depth > DEEPEST:
            raise UnreadableError(f"more than {DEEPEST} levels", self._line)
        if isinstance(value, _Pairs):
            table = Table(self._line)
            for name, held in value:
                key = Text(name, self._place(name))
                table.pairs.append((key, self.node(held, depth + 1)))
            return table
        if isinstance(value, list):
            listing = Listing(self._line)
            listing.items = [self.node(held, depth + 1) for held in value]
            return listing
        if isinstance(value, str):
            return Text(value, self._place(value), style='"')
        return Text("null" if value is None else json.dumps(value), self._line, is_text=False)

    def _place(self, word: str) -> int:
        found = self._text.find(f'"{word}"', self._at)
        if found >= 0:
            self._line += self._text.count("\n", self._at, found)
            self._at = found
        return self._line
