"""`env`: a map, or a list of `K=V`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sealer.clusterfile.nodes import Entries, Items, Node, Scalar, described
from sealer.clusterfile.report import Report, quoted
from sealer.clusterfile.shapes import Schema, Shape
from sealer.clusterfile.values import Value

# What the kernel itself exports to everything that runs on a host; nobody overrides it.
RESERVED = frozenset(
    {
        "ClusterName", "HostIP", "HostName", "HostRole", "MasterIPs", "NodeIPs", "PreviousMasterIPs",
        "PreviousNodeIPs", "SealerOperation", "RegistryDomain", "RegistryPort", "RegistryURL",
    }
)  # fmt: skip
_ILLEGAL = re.compile(r"^[0-9]|[^A-Za-z0-9_]", re.ASCII)
_BAD_KEY = re.compile(r"[=\0\s]|^$")


def shell_name(key: str) -> str:
    """The shell variable that `key` is also exported as: `docker_dir` for `docker-dir`."""
    return _ILLEGAL.sub("_", key)


_Pair = tuple[str, Node, str | None]  # a variable's name, where it stands, its text


class Environment(Shape):
    """Both forms of `env`. The texts stay as written, and no complaint shows one: it may be secret."""

    def _read(self, node: Node, path: str, report: Report) -> Value | None:
        if isinstance(node, Entries):
            pairs: list[_Pair] = [
                (key.text, key, self._value(item, f"{path}.{key.text}", report)) for key, item in node.entries.values()
            ]
        elif isinstance(node, Items):
            pairs = [self._pair(item, f"{path}[{index}]", report) for index, item in enumerate(node.items)]
        else:
            report.error(node, path, f"a mapping or a list of KEY=VALUE is needed, not {described(node)}")
            return None
        read: dict[str, Value] = {}
        for key, at, text in pairs:
            if text is None:
                continue
            if _BAD_KEY.search(key):
                wrong = "the name of a variable has no blank and no '=' in it" if key else "a variable needs a name"
                report.error(at, path, wrong)
                continue
            inner = f"{path}.{key}"
            if key in RESERVED:
                report.warn(at, inner, "is set by sealer itself; this value has no effect")
            # The list form may name a variable several times: its values are joined, as those of a list are.
            read[key] = Value(at, inner, f"{read[key].the(str)} {text}" if key in read else text)
        check_names(read, report)
        return Value(node, path, read)

    def _value(self, node: Node, path: str, report: Report) -> str | None:
        if isinstance(node, Items) and all(isinstance(item, Scalar) for item in node.items):
            texts = [self._value(item, path, report) for item in node.items]
            return " ".join(text for text in texts if text is not None)
        if not isinstance(node, Scalar):
            report.error(node, path, f"a text or a list of texts is needed, not {described(node)}")
            return None
        if "\0" in node.text:
            report.error(node, path, "the character U+0000 may not stand in a text")
            return None
        return node.text

    def _pair(self, node: Node, path: str, report: Report) -> _Pair:
        text = self._value(node, path, report) if isinstance(node, Scalar) else None
        key, equals, value = (text or "").partition("=")
        if isinstance(node, Scalar) and (text is None or equals):
            return key.strip(), node, text and value
        report.error(node, path, "KEY=VALUE is needed")
        return "", node, None

    def _schema(self) -> Schema:
        scalar: Schema = {"type": ["string", "number", "boolean", "null"]}
        value: Schema = {"anyOf": [scalar, {"type": "array", "items": scalar}]}
        return {
            "anyOf": [
                {"type": "object", "additionalProperties": value},
                {"type": "array", "items": {"type": "string", "pattern": "="}},
            ]
        }


def check_names(variables: Mapping[str, Value], report: Report, others: Mapping[str, str] | None = None) -> None:
    """See that no two variables become the same shell variable.

    :param variables: where each stands, by its name.
    :param others: names of variables that are exported beside them, by shell name; the same name is the same variable.
    """
    first: dict[str, str] = {}
    for key, at in variables.items():
        name = shell_name(key)
        other = (others or {}).get(name) or first.setdefault(name, key)
        if other != key:
            report.error(at, at.path, f"{quoted(other)} and {quoted(key)} are both exported as {name}")
