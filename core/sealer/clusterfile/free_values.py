"""Values whose type is for somebody else to check: a driver's fields, a chart's values, kubeadm's documents."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sealer.clusterfile.nodes import Entries, Items, Node, Scalar
from sealer.clusterfile.report import Report
from sealer.clusterfile.scalars import changes_when_read, resolve
from sealer.clusterfile.shapes import NOTHING, Schema, Shape
from sealer.clusterfile.values import Value
from sealer.errors import Position
from sealer.events import Json

_VERSION = re.compile(r"(?:version|tag)\Z", re.IGNORECASE)


class Anything(Shape):
    """Any value that JSON has.

    :param only: `mapping` where it must be one.
    :param strict_versions: every number in a field called a version is refused, not only one that YAML changes.
    """

    def __init__(self, *, strict_versions: bool = False) -> None:
        self._strict_versions = strict_versions

    def _read(self, node: Node, path: str, report: Report) -> Value | None:
        return Value(node, path, self._json(node, path, "", report))

    def _json(self, node: Node, path: str, name: str, report: Report) -> Json:
        if isinstance(node, Items):
            return [self._json(item, f"{path}[{index}]", "", report) for index, item in enumerate(node.items)]
        if isinstance(node, Entries):
            return {
                key: self._json(item, f"{path}.{key}" if path else key, key, report)
                for key, (_, item) in node.entries.items()
            }
        value = resolve(node.text) if node.plain else node.text
        if _VERSION.search(name) and node.plain and self._is_spoilt(node, value):
            report.error(
                node, path, f'YAML makes the number {value!s:.40} of {node.text[:40]}; quote it: "{node.text[:40]}"'
            )
        if isinstance(value, str) and "\0" in value:
            report.error(node, path, "the character U+0000 may not stand in a text")
        return value

    def _is_spoilt(self, node: Scalar, value: Json) -> bool:
        if self._strict_versions:
            return isinstance(value, int | float) and not isinstance(value, bool)
        return changes_when_read(node.text)

    def _schema(self) -> Schema:
        return {}


def without_nothing(value: Mapping[str, Json]) -> dict[str, Json]:
    """A mapping without the fields, at any depth, that are null or empty, and so count as not given."""
    found = {name: without_nothing(item) if isinstance(item, dict) else item for name, item in value.items()}
    return {name: item for name, item in found.items() if item not in NOTHING}


def positions(node: Node, path: str, file: str) -> dict[str, Position]:
    """Where each field below `path` stands, by its path."""
    found = {path: Position(file, node.line, node.column)}
    if isinstance(node, Items):
        for index, item in enumerate(node.items):
            found.update(positions(item, f"{path}[{index}]", file))
    elif isinstance(node, Entries):
        for name, (key, item) in node.entries.items():
            inner = f"{path}.{name}" if path else name
            found.update(positions(item, inner, file))
            found[inner] = Position(file, key.line, key.column)
    return found
