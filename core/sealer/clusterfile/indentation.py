"""Documents whose `metadata` and `spec` have children that are not indented."""

from __future__ import annotations

from collections.abc import Mapping

from sealer.clusterfile.nodes import Entries, Node, Scalar
from sealer.clusterfile.report import Report
from sealer.clusterfile.shapes import Record

_SECTIONS = ("metadata", "spec")


def lifted(root: Entries, document: Record, report: Report) -> Entries:
    """The document with such children where they belong; each section that gets some is warned of.

    A field belongs to the section that stands above it, is empty, and knows a field of that name.
    """
    moved: dict[str, Entries] = {}
    section = ""
    result = Entries(root.line, root.column)
    for name, (key, node) in root.entries.items():
        if name in document.fields:
            section = name if name in _SECTIONS and isinstance(node, Scalar) and node.is_null else ""
            result.entries[name] = (key, node)
        elif section and _knows(document, section, key):
            children = moved.setdefault(section, Entries(key.line, key.column))
            children.entries[name] = (key, node)
        else:
            result.entries[name] = (key, node)
    for name, children in moved.items():
        _warn(name, children.entries, report)
        result.entries[name] = (result.entries[name][0], children)
    return result if moved else root


def _knows(document: Record, section: str, key: Scalar) -> bool:
    shape = document.fields[section].shape
    return isinstance(shape, Record) and shape.named(key) in shape.fields


def _warn(section: str, children: Mapping[str, tuple[Scalar, Node]], report: Report) -> None:
    first = next(iter(children.values()))[0]
    names = ", ".join(children)
    what = "is" if len(children) == 1 else "are"
    report.warn(first, section, f"{names} {what} not indented; read as part of {section}")
