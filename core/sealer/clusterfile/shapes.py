"""Shapes of fields. One table of them is both the decoder and the JSON Schema, so that the two cannot drift apart."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sealer.clusterfile.nodes import Entries, Items, Node, Scalar, described
from sealer.clusterfile.report import Report, nearest, quoted
from sealer.clusterfile.scalars import TRUE_WORDS
from sealer.clusterfile.values import Value
from sealer.events import Json

Schema = dict[str, Json]
# What programs write in a field that was not given: Go writes every field that has no `omitempty`.
NOTHING: tuple[Json, ...] = (None, "", {}, [])


class Shape(abc.ABC):
    """What may stand in a place.

    :cvar zeros: further values that stand for nothing.
    """

    zeros: tuple[Json, ...] = ()

    def read(self, node: Node, path: str, report: Report) -> Value | None:
        """Understand a node; None when it cannot be, and the report says why."""
        return self._read(node, path, report)

    def schema(self) -> Schema:
        """The same as JSON Schema (draft 2020-12)."""
        return self._schema()

    def is_nothing(self, node: Node) -> bool:
        """Whether a node stands where nothing was given: null, an empty text, an empty mapping or list."""
        return node_is_nothing(node)

    @abc.abstractmethod
    def _read(self, node: Node, path: str, report: Report) -> Value | None: ...

    @abc.abstractmethod
    def _schema(self) -> Schema: ...


def node_is_nothing(node: Node) -> bool:
    """Whether a node is null, an empty text, an empty mapping or an empty list."""
    if isinstance(node, Scalar):
        return node.is_null or not node.text
    return not (node.items if isinstance(node, Items) else node.entries)


class Ignored(Shape):
    """What other tools write and sealer does not read."""

    def _read(self, node: Node, path: str, report: Report) -> Value | None:
        if not isinstance(node, Entries) or node.entries:
            report.warn(node, path, "has no meaning here")
        return Value(node, path, None)

    def _schema(self) -> Schema:
        return {}


class ListOf(Shape):
    """A list; with `or_one`, its only item may stand without the list."""

    def __init__(self, item: Shape, *, or_one: bool = False) -> None:
        self.item = item
        self._or_one = or_one

    def _read(self, node: Node, path: str, report: Report) -> Value | None:
        if self._or_one and isinstance(node, Scalar):
            return self.item.read(node, path, report)
        if not isinstance(node, Items):
            report.error(node, path, f"a list is needed, not {described(node)}")
            return None
        read = [self._read_item(item, f"{path}[{index}]", report) for index, item in enumerate(node.items)]
        return Value(node, path, [value for value in read if value is not None])

    def _read_item(self, node: Node, path: str, report: Report) -> Value | None:
        if isinstance(node, Scalar) and node.is_null:
            report.error(node, path, "nothing stands here")
            return None
        return self.item.read(node, path, report)

    def _schema(self) -> Schema:
        items: Schema = {"type": "array", "items": self.item.schema()}
        return {"anyOf": [items, self.item.schema()]} if self._or_one else items


class MapOf(Shape):
    """A mapping with keys of the user's choice.

    :param nulls: give an empty value to the item's shape instead of leaving it out.
    :param check_key: gives what is wrong with a key, or nothing.
    """

    def __init__(self, item: Shape, *, nulls: bool = False, check_key: Callable[[str], str] | None = None) -> None:
        self._item = item
        self._nulls = nulls
        self._check_key = check_key

    def _read(self, node: Node, path: str, report: Report) -> Value | None:
        if not isinstance(node, Entries):
            report.error(node, path, f"a mapping is needed, not {described(node)}")
            return None
        read: dict[str, Value] = {}
        for name, (key, item) in node.entries.items():
            inner = f"{path}.{_step(name)}"
            if self._check_key and (wrong := self._check_key(name)):
                report.error(key, inner, wrong)
                continue
            empty = isinstance(item, Scalar) and item.is_null and not self._nulls
            given = Scalar("", item.line, item.column, plain=False) if empty else item
            value = self._item.read(given, inner, report)
            if value is not None:
                read[name] = value
        return Value(node, path, read)

    def _schema(self) -> Schema:
        return {"type": "object", "additionalProperties": {"anyOf": [self._item.schema(), {"type": "null"}]}}


class OneOf(Shape):
    """Another shape for each sort of node. Where `words` and `mapping` or `items` are given, the node decides."""

    def __init__(self, *, words: Shape | None = None, items: Shape | None = None, mapping: Shape | None = None) -> None:
        self._words = words
        self._items = items
        self._mapping = mapping
        self.shapes = tuple(shape for shape in (words, items, mapping) if shape)

    def _read(self, node: Node, path: str, report: Report) -> Value | None:
        sort = {Scalar: self._words, Items: self._items, Entries: self._mapping}[type(node)]
        if sort is None:
            names = {"a text": self._words, "a list": self._items, "a mapping": self._mapping}
            allowed = " or ".join(name for name, shape in names.items() if shape)
            report.error(node, path, f"{allowed} is needed, not {described(node)}")
            return None
        return sort.read(node, path, report)

    def is_nothing(self, node: Node) -> bool:
        """Whether nothing was given, as the shape for this sort of node sees it."""
        sort = {Scalar: self._words, Items: self._items, Entries: self._mapping}[type(node)]
        return sort.is_nothing(node) if sort else super().is_nothing(node)

    def _schema(self) -> Schema:
        return {"anyOf": [shape.schema() for shape in self.shapes]}


@dataclass(frozen=True)
class Field:
    """A field of a record.

    :param about: what it is for, one line: the schema's description.
    :param empty_counts: an empty value says something here, and only null counts as not given.
    """

    shape: Shape
    about: str
    required: bool = False
    empty_counts: bool = False

    def is_given(self, node: Node) -> bool:
        """Whether a node says something in this field; what a required one says is for its shape to judge."""
        if self.required or self.empty_counts:
            return not (isinstance(node, Scalar) and node.is_null)
        return not self.shape.is_nothing(node)


class Record(Shape):
    """A mapping whose fields are known.

    :param others: the shape of fields not in the table; None: there may be none.
    :param rename: gives the field that a key stands for.
        A key that YAML takes for `true` is warned of.
    """

    def __init__(
        self,
        fields: Mapping[str, Field],
        *,
        others: Shape | None = None,
        rename: Callable[[Scalar], str] | None = None,
    ) -> None:
        self.fields = fields
        self._others = others
        self._rename = rename

    def _read(self, node: Node, path: str, report: Report) -> Value | None:
        if not isinstance(node, Entries):
            report.error(node, path, f"a mapping is needed, not {described(node)}")
            return None
        read: dict[str, Value] = {}
        broken: set[str] = set()
        for name, (key, item) in self._named(node, path, report).items():
            inner = f"{path}.{_step(name)}" if path else _step(name)
            field = self._field(name, key, inner, report)
            if field is None or not field.is_given(item):
                continue
            value = field.shape.read(item, inner, report)
            if value is None:
                broken.add(name)
            else:
                read[name] = value
        for name, field in self.fields.items():
            if field.required and name not in read and name not in broken:
                report.error(node, f"{path}.{name}" if path else name, "is missing")
        return Value(node, path, read, frozenset(broken))

    def is_nothing(self, node: Node) -> bool:
        """Whether none of its fields is given."""
        if not isinstance(node, Entries):
            return super().is_nothing(node)
        for key, item in node.entries.values():
            field = self.fields.get(self.named(key)) or (Field(self._others, "") if self._others else None)
            if field is None or not (field.shape.is_nothing(item) and not field.empty_counts):
                return False
        return True

    def named(self, key: Scalar) -> str:
        """The field that a key stands for."""
        return self._rename(key) if self._rename else key.text

    def _named(self, node: Entries, path: str, report: Report) -> Mapping[str, tuple[Scalar, Node]]:
        if self._rename is None:
            return node.entries
        named: dict[str, tuple[Scalar, Node]] = {}
        for key, item in node.entries.values():
            name = self._rename(key)
            if key.plain and key.text in TRUE_WORDS:
                report.warn(
                    key, f"{path}.{name}", f"{key.text} without quotes is YAML's true; read as the field '{name}'"
                )
            if name in named:
                report.error(key, f"{path}.{name}", f"is given twice, first in line {named[name][0].line}")
            else:
                named[name] = (key, item)
        return named

    def _field(self, name: str, key: Scalar, path: str, report: Report) -> Field | None:
        if field := self.fields.get(name):
            return field
        if self._others is None:
            hint = self._hint(name)
            report.error(key, path, f"unknown field; {hint}")
        return Field(self._others, "") if self._others else None

    def _hint(self, name: str) -> str:
        if near := nearest(name, self.fields):
            return f"did you mean {quoted(near)}?"
        for inner, field in self.fields.items():
            if isinstance(field.shape, Record) and name in field.shape.fields:
                return f"it belongs into {inner}, indented"
        return f"known are {', '.join(self.fields)}"

    def _schema(self) -> Schema:
        properties: Schema = {
            name: {**_or_nothing(field), **({"description": field.about} if field.about else {})}
            for name, field in self.fields.items()
        }
        schema: Schema = {"type": "object", "properties": properties}
        schema["additionalProperties"] = self._others.schema() if self._others else False
        if required := [name for name, field in self.fields.items() if field.required]:
            schema["required"] = list(required)
        return schema


def _or_nothing(field: Field) -> Schema:
    """The schema of a field; one that is not required may be there and empty."""
    schema = field.shape.schema()
    if field.required or not schema:
        return schema
    return {"anyOf": [schema, {"enum": [*NOTHING, *field.shape.zeros]}]}


def _step(name: str) -> str:
    """A key as part of a path."""
    return name if name.isprintable() and len(name) <= 60 else quoted(name)
