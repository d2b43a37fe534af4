"""What a shape makes of a node: a value that still knows its path and place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar, overload

from sealer.clusterfile.nodes import Node
from sealer.redaction import Secret

T = TypeVar("T")


class Value:
    """A value of a field.

    :ivar content: text, number, boolean, secret or JSON; of a list, a list of values; of a mapping, values by key.
    :ivar path: e.g. `spec.hosts[0].ips[1]`.
    :ivar broken: keys that were given, and not understood.
    """

    __slots__ = ("broken", "content", "node", "path")

    def __init__(self, node: Node, path: str, content: object, broken: frozenset[str] = frozenset()) -> None:
        self.node = node
        self.path = path
        self.content = content
        self.broken = broken

    @property
    def line(self) -> int:
        """Line, from 1."""
        return self.node.line

    @property
    def column(self) -> int:
        """Column, from 1."""
        return self.node.column

    def the(self, kind: type[T]) -> T:
        """The content, of which the shape made a `kind`."""
        assert isinstance(self.content, kind)
        return self.content

    def __contains__(self, key: str) -> bool:
        return isinstance(self.content, dict) and key in self.content

    def get(self, *keys: str) -> Value | None:
        """The value that the keys lead to, if it was given and understood."""
        value = self
        for key in keys:
            if not isinstance(value.content, dict) or key not in value.content:
                return None
            value = value.content[key]
        return value

    @overload
    def value(self, key: str, default: str) -> str: ...
    @overload
    def value(self, key: str, default: bool) -> bool: ...
    @overload
    def value(self, key: str, default: int) -> int: ...
    def value(self, key: str, default: str | int | bool) -> str | int | bool:
        """A text, number or boolean of a mapping."""
        found = self.get(key)
        return default if found is None else found.the(type(default))

    def secret(self, key: str) -> Secret | None:
        """A secret of a mapping; None where there is none, or an empty one."""
        found = self.get(key)
        return found.the(Secret) if found is not None and found.content else None

    def items(self, key: str = "") -> list[Value]:
        """The items of this list, or of the list in a mapping; a single value counts as a list of one."""
        found = self.get(key) if key else self
        if found is None:
            return []
        return list(found.content) if isinstance(found.content, list) else [found]

    def entries(self, key: str = "") -> Mapping[str, Value]:
        """The values of this mapping, or of the mapping in it."""
        found = self.get(key) if key else self
        return found.content if found is not None and isinstance(found.content, dict) else {}

    def texts(self, key: str) -> tuple[str, ...]:
        """The texts of a list in a mapping."""
        return tuple(item.the(str) for item in self.items(key))

    def text_map(self, key: str) -> dict[str, str]:
        """The texts of a mapping in a mapping."""
        return {name: value.the(str) for name, value in self.entries(key).items()}
