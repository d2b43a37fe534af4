"""Shapes of single values: texts, numbers, words."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from sealer.clusterfile.nodes import Node, Scalar, described
from sealer.clusterfile.report import Report, not_one_of, quoted
from sealer.clusterfile.scalars import FALSE_WORDS, TRUE_WORDS, resolve
from sealer.clusterfile.shapes import Schema, Shape
from sealer.clusterfile.values import Value
from sealer.redaction import Secret


def _scalar(node: Node, path: str, report: Report, wanted: str) -> Scalar | None:
    if not isinstance(node, Scalar):
        report.error(node, path, f"{wanted} is needed, not {described(node)}")
        return None
    return node


class Text(Shape):
    """A text, as it is written: `010`, `1.20` and `yes` stay so.

    :param pattern: what all of it must match.
    :param check: gives what is wrong with it, or nothing.
    :param rule: what it has to be, in words; said when the pattern does not match.
    :param wanted: what to ask for where there is a list or a mapping.
    :param quoted_numbers: refuse what YAML makes a number of, because a number is never meant here.
    """

    def __init__(
        self,
        rule: str = "a text",
        pattern: str = "",
        *,
        check: Callable[[str], str] | None = None,
        quoted_numbers: bool = False,
        wanted: str = "a text",
    ) -> None:
        self._rule = rule
        self._pattern = re.compile(pattern) if pattern else None
        self._check = check
        self._quoted_numbers = quoted_numbers
        self._wanted = wanted

    def _read(self, node: Node, path: str, report: Report) -> Value | None:
        scalar = _scalar(node, path, report, self._wanted)
        if scalar is None:
            return None
        if wrong := self._wrong(scalar):
            report.error(scalar, path, wrong)
            return None
        return Value(scalar, path, scalar.text)

    def _wrong(self, scalar: Scalar) -> str:
        text = scalar.text
        if "\0" in text:
            return "the character U+0000 may not stand in a text"
        if self._quoted_numbers and scalar.plain and isinstance(resolve(text), int | float):
            return f'YAML makes {resolve(text)!s:.40} of it; quote it: "{text[:40]}"'
        if self._pattern and not self._pattern.fullmatch(text):
            return f"{self._rule} is needed, not {quoted(text)}"
        return self._check(text) if self._check else ""

    def _schema(self) -> Schema:
        if self._quoted_numbers:
            return {"type": "string"}
        if self._pattern:
            return {"type": "string", "pattern": f"^(?:{self._pattern.pattern})$"}
        return {"type": ["string", "number", "boolean"]}


class SecretText(Shape):
    """A text that is never shown: no complaint about it says what it is."""

    def _read(self, node: Node, path: str, report: Report) -> Value | None:
        scalar = _scalar(node, path, report, "a text")
        if scalar is None:
            return None
        if "\0" in scalar.text or "\n" in scalar.text.strip("\n"):
            report.error(scalar, path, "a text on one line is needed")
            return None
        return Value(scalar, path, Secret(scalar.text.rstrip("\n")))

    def _schema(self) -> Schema:
        return {"type": ["string", "number"], "writeOnly": True}


class Choice(Shape):
    """One of some words.

    :param rule: what it is, in words; e.g. `a strategy is overwrite or merge`.
    """

    def __init__(self, rule: str, words: Sequence[str]) -> None:
        self._rule = rule
        self._words = tuple(words)

    def _read(self, node: Node, path: str, report: Report) -> Value | None:
        scalar = _scalar(node, path, report, "a text")
        if scalar is None:
            return None
        if scalar.text not in self._words:
            report.error(scalar, path, not_one_of(self._rule, scalar.text, self._words))
            return None
        return Value(scalar, path, scalar.text)

    def _schema(self) -> Schema:
        return {"enum": list(self._words)}


class Whole(Shape):
    """A whole number; it may be quoted, as the first form of the Clusterfile has it."""

    def __init__(self, least: int, most: int) -> None:
        self._least = least
        self._most = most
        self.zeros = (0, "0") if least > 0 else ()

    def is_nothing(self, node: Node) -> bool:
        """Whether nothing was given: 0, too, where no number can be 0."""
        return super().is_nothing(node) or (self._least > 0 and isinstance(node, Scalar) and node.text == "0")

    def _read(self, node: Node, path: str, report: Report) -> Value | None:
        scalar = _scalar(node, path, report, "a whole number")
        if scalar is None:
            return None
        text = scalar.text.strip()
        number = int(text) if re.fullmatch("[0-9]{1,18}", text, re.ASCII) else -1
        if not self._least <= number <= self._most:
            rule = f"a whole number between {self._least} and {self._most} is needed"
            report.error(scalar, path, f"{rule}, not {quoted(scalar.text)}")
            return None
        return Value(scalar, path, number)

    def _schema(self) -> Schema:
        number: Schema = {"type": "integer", "minimum": self._least, "maximum": self._most}
        return {"anyOf": [number, {"type": "string", "pattern": "^[0-9]+$"}]}


class Flag(Shape):
    """True or false."""

    def _read(self, node: Node, path: str, report: Report) -> Value | None:
        scalar = _scalar(node, path, report, "true or false")
        if scalar is None:
            return None
        if scalar.text not in TRUE_WORDS | FALSE_WORDS:
            report.error(scalar, path, f"true or false is needed, not {quoted(scalar.text)}")
            return None
        return Value(scalar, path, scalar.text in TRUE_WORDS)

    def _schema(self) -> Schema:
        return {"type": "boolean"}
