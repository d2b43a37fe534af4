"""Sizes of memory and disks."""

from __future__ import annotations

import re

from sealer.clusterfile.nodes import Node, Scalar, described
from sealer.clusterfile.report import Report, quoted
from sealer.clusterfile.shapes import Schema, Shape
from sealer.clusterfile.values import Value

_SIZE = re.compile(r"(?P<number>[1-9][0-9]{0,8}) ?(?P<unit>|Mi|Gi|Ti|M|G|T|MB|GB|TB|MiB|GiB|TiB)", re.ASCII)
_IN_MIB = {"": 1024, "M": 1, "G": 1024, "T": 1024 * 1024}


class Size(Shape):
    """A size: a number alone counts GiB, as in the first form; `512Mi`, `4Gi` and `1Ti` say what they count.

    :param in_mib: how many MiB the value's unit has: 1 or 1024.
    """

    zeros = (0, "0")

    def __init__(self, in_mib: int) -> None:
        self._in_mib = in_mib

    def is_nothing(self, node: Node) -> bool:
        """Whether nothing was given: no size is 0."""
        return super().is_nothing(node) or (isinstance(node, Scalar) and node.text == "0")

    def _read(self, node: Node, path: str, report: Report) -> Value | None:
        if not isinstance(node, Scalar):
            report.error(node, path, f"a size is needed, not {described(node)}")
            return None
        match = _SIZE.fullmatch(node.text.strip())
        mib = int(match["number"]) * _IN_MIB[match["unit"][:1]] if match else 0
        if not mib or mib % self._in_mib:
            report.error(
                node, path, f"a size in GiB is needed, or one with its unit such as 4Gi, not {quoted(node.text)}"
            )
            return None
        return Value(node, path, mib // self._in_mib)

    def _schema(self) -> Schema:
        return {
            "anyOf": [
                {"type": "integer", "minimum": 1},
                {"type": "string", "pattern": f"^(?:{_plain(_SIZE.pattern)})$"},
            ]
        }


def _plain(pattern: str) -> str:
    """Without named groups, which ECMA 262 writes in another way."""
    return re.sub(r"\?P<\w+>", "?:", pattern)
