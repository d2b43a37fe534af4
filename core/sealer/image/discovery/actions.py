"""Computes the actions of templates, as far as they only look up values and put them together."""

from __future__ import annotations

from collections.abc import Mapping

from sealer.image.discovery.nodes import Listing, Node, Table, Text, is_nothing
from sealer.templates.expressions import Words, pipeline
from sealer.templates.functions import FUNCTIONS, ArgumentError
from sealer.templates.lexer import Action, TemplateError, cut
from sealer.templates.syntax import Call, Dot, Expression, Field, Literal, Variable
from sealer.templates.values import Undefined, Value, is_true, sanitised, written

Plain = str | bool | None | list["Plain"] | dict[str, "Plain"]
_Any = Value | dict[str, Plain]


class _UnknownError(Exception):
    """What this is can only be known when it is rendered."""


class Actions:
    """Puts out what an action would, or says that it cannot.

    :param root: what `.` is, outside of blocks.
    """

    def __init__(self, root: Mapping[str, Plain]) -> None:
        self._root = dict(root)

    @classmethod
    def of_variables(cls, variables: Mapping[str, str]) -> Actions:
        """For the templates of a rootfs, which see the environment of an image."""
        return cls({**{sanitised(name): text for name, text in variables.items()}, **variables})

    def __call__(self, action: str) -> str | None:
        """The text that `{{ action }}` puts out; None: it cannot be known."""
        cuts = list(cut("{{" + action + "}}"))
        if len(cuts) != 1 or not isinstance(cuts[0], Action) or cuts[0].fault:
            return None
        words = Words(cuts[0], [""])
        try:
            expression = pipeline(words)
            words.finish()
            value = self._value(expression, 0)
            return None if isinstance(value, Undefined | dict) else written(value)
        except (TemplateError, _UnknownError, ArgumentError, TypeError, RecursionError):
            return None

    def _value(self, expression: Expression, depth: int) -> _Any:
        match expression:
            case Literal(value):
                return value
            case Dot():
                return self._root
            case Variable(""):
                return self._root
            case Field(of, name, offset):
                holder = self._value(of, depth + 1)
                found = holder.get(name) if isinstance(holder, dict) else None
                if isinstance(found, list):
                    raise _UnknownError
                return Undefined(name, offset) if found is None else found
            case Call():
                return self._call(expression, depth)
        raise _UnknownError

    def _call(self, call: Call, depth: int) -> Value:
        values = [self._value(argument, depth + 1) for argument in call.arguments]
        if call.function in ("and", "or"):
            return self._plain(next((one for one in values if is_truth(one) == (call.function == "or")), values[-1]))
        function = FUNCTIONS[call.function]
        if not function.undefined and any(isinstance(one, Undefined) for one in values):
            raise _UnknownError
        return function.run(*[self._plain(one) for one in values])

    @staticmethod
    def _plain(value: _Any) -> Value:
        if isinstance(value, dict):
            raise _UnknownError
        return value


def is_truth(value: _Any) -> bool:
    """Go's truth."""
    return bool(value) if isinstance(value, dict) else is_true(value)


def plain(node: Node, known: dict[int, Plain] | None = None) -> Plain:
    """A node as values are; what several aliases stand for is one value."""
    known = {} if known is None else known
    if isinstance(node, Text):
        if is_nothing(node):
            return None
        if not node.is_text and node.text.lower() in ("true", "false"):
            return node.text.lower() == "true"
        return node.text
    if id(node) in known:
        return known[id(node)]
    if isinstance(node, Listing):
        listing: list[Plain] = []
        known[id(node)] = listing
        listing.extend(plain(item, known) for item in node.items)
        return listing
    table: dict[str, Plain] = {}
    known[id(node)] = table
    table.update((name, plain(value, known)) for name, (_, value) in node.by_name.items())
    return table


def overlaid(below: Node, above: Node, work: list[int] | None = None) -> Node:
    """Values over default values, as Helm merges them: mappings key by key, all else whole.

    What comes from above has no line: it stands in another file.
    """
    work = [0] if work is None else work
    work[0] += 1
    if not isinstance(below, Table) or not isinstance(above, Table) or work[0] > _MOST_WORK:
        return _elsewhere(above)
    merged = Table(below.line)
    upper = above.by_name
    for name, (key, value) in below.by_name.items():
        merged.pairs.append((key, overlaid(value, upper[name][1], work) if name in upper else value))
    merged.pairs.extend((key, _elsewhere(value)) for name, (key, value) in upper.items() if name not in below.by_name)
    return merged


_MOST_WORK = 100_000


def _elsewhere(node: Node, known: dict[int, Node] | None = None) -> Node:
    known = {} if known is None else known
    if id(node) in known:
        return known[id(node)]
    if isinstance(node, Text):
        return Text(node.text, 0, style=node.style, is_text=node.is_text, tag=node.tag)
    if isinstance(node, Listing):
        listing = Listing(0)
        known[id(node)] = listing
        listing.items = [_elsewhere(item, known) for item in node.items]
        return listing
    table = Table(0)
    known[id(node)] = table
    table.pairs = [(key, _elsewhere(value, known)) for _, (key, value) in node.by_name.items()]
    return table
