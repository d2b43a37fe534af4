"""Computes what a Go template says, within bounds of work and size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sealer.suggestions import close_matches
from sealer.templates.functions import FUNCTIONS, LONGEST, MOST_ITEMS, ArgumentError
from sealer.templates.lexer import TemplateError
from sealer.templates.syntax import (
    Assignment,
    Branch,
    Call,
    Copy,
    Dot,
    Expression,
    Field,
    If,
    Literal,
    Node,
    Output,
    Range,
    Variable,
    With,
)
from sealer.templates.values import Dotted, Undefined, Value, described, is_true, sanitised, written

MOST_WORK = 500_000  # nodes and expressions looked at: about a second


class TooMuchError(Exception):
    """The template computes without end, or writes too much."""


class _Told(Exception):  # noqa: N818  # what is wrong is noted already; only the action is given up
    """The action cannot be computed."""


class Evaluation:
    """One rendering. `faults` collects what is wrong; each place and message once, however often a loop comes by."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._root = Dotted(values)
        self._variables: list[tuple[str, Value]] = [("", self._root)]
        self._written: list[str] = []
        self._length = 0
        self._work = 0
        self.faults: dict[tuple[int, str], TemplateError] = {}

    @property
    def text(self) -> str:
        """What was written so far."""
        return "".join(self._written)

    def run(self, nodes: Sequence[Node]) -> None:
        """Write what `nodes` say.

        :raises TooMuchError: a bound was reached.
        """
        self._nodes(nodes, self._root)

    def _note(self, message: str, offset: int) -> None:
        self.faults.setdefault((offset, message), TemplateError(message, offset))

    def _count(self, work: int = 1) -> None:
        self._work += work
        if self._work > MOST_WORK:
            raise TooMuchError(f"the template takes more than {MOST_WORK} steps")

    def _write(self, text: str) -> None:
        self._length += len(text)
        if self._length > LONGEST:
            raise TooMuchError(f"the template writes more than {LONGEST} characters")
        self._written.append(text)

    def _nodes(self, nodes: Sequence[Node], dot: Value) -> None:
        for node in nodes:
            self._count()
            try:
                self._node(node, dot)
            except _Told:
                continue

    def _node(self, node: Node, dot: Value) -> None:
        match node:
            case Copy(text):
                self._write(text)
            case Output(expression):
                self._output(expression, dot)
            case Assignment(name, expression, declares):
                self._assign(name, self._assigned(expression, dot), declares)
            case If():
                self._if(node, dot)
            case With():
                self._with(node, dot)
            case Range():
                self._range(node, dot)

    def _output(self, expression: Expression, dot: Value) -> None:
        value = self._defined(self._value(expression, dot), expression.offset)
        try:
            self._write(written(value))
        except TypeError as error:
            self._note(str(error), expression.offset)

    def _assigned(self, expression: Expression, dot: Value) -> Value:
        try:
            return self._value(expression, dot)
        except _Told:
            return ""  # noted; the variable exists all the same

    def _assign(self, name: str, value: Value, declares: bool) -> None:
        if declares:
            self._variables.append((name, value))
            return
        for place in range(len(self._variables) - 1, 0, -1):
            if self._variables[place][0] == name:
                self._variables[place] = (name, value)
                return

    def _branch(self, branch: Branch, dot: Value) -> Value:
        value = self._value(branch.condition, dot)
        if branch.variable is not None:
            self._variables.append((branch.variable, value))
        return value

    def _scoped(self, nodes: Sequence[Node], dot: Value) -> None:
        outside = len(self._variables)
        self._nodes(nodes, dot)
        del self._variables[outside:]

    def _if(self, node: If, dot: Value) -> None:
        outside = len(self._variables)
        try:
            for branch in node.branches:
                if is_true(self._branch(branch, dot)):
                    self._scoped(branch.body, dot)
                    return
            self._scoped(node.otherwise, dot)
        finally:
            del self._variables[outside:]

    def _with(self, node: With, dot: Value) -> None:
        outside = len(self._variables)
        try:
            value = self._branch(node.branch, dot)
            if is_true(value):
                self._scoped(node.branch.body, value)
            else:
                self._scoped(node.otherwise, dot)
        finally:
            del self._variables[outside:]

    def _range(self, node: Range, dot: Value) -> None:
        value = self._defined(self._value(node.over, dot), node.over.offset)
        elements = self._elements(value, node.over.offset)
        outside = len(self._variables)
        for index, element in elements:
            self._count()
            if node.index is not None:
                self._variables.append((node.index, index))
            if node.element is not None:
                self._variables.append((node.element, element))
            self._nodes(node.body, element)
            del self._variables[outside:]
        if not elements:
            self._scoped(node.otherwise, dot)

    def _elements(self, value: Value, offset: int) -> list[tuple[Value, Value]]:
        if isinstance(value, str):
            words = value.split(None, MOST_ITEMS)
            if len(words) > MOST_ITEMS:
                self._note(f"'range' goes over a text of more than {MOST_ITEMS} words", offset)
                raise _Told
            return list(enumerate(words))
        if isinstance(value, tuple):
            return list(enumerate(value))
        if isinstance(value, Dotted):
            return sorted(value.values.items())
        self._note(f"'range' goes over a list, or the words of a text, not over {described(value)}", offset)
        raise _Told

    def _defined(self, value: Value, offset: int) -> str | int | float | bool | tuple[str, ...] | Dotted:
        if isinstance(value, Undefined):
            self._note(_undefined(value, self._root), value.offset if value.offset >= 0 else offset)
            raise _Told
        return value

    def _value(self, expression: Expression, dot: Value) -> Value:
        self._count()
        match expression:
            case Literal(value):
                return value
            case Dot():
                return dot
            case Variable(name):
                return self._variable(name)
            case Field(of, name, offset):
                return self._field(self._value(of, dot), name, offset)
            case Call():
                return self._call(expression, dot)

    def _variable(self, name: str) -> Value:
        for known, value in reversed(self._variables):
            if known == name:
                return value
        raise _Told  # its declaration could not be read; that is noted

    def _field(self, of: Value, name: str, offset: int) -> Value:
        of = self._defined(of, offset)
        if not isinstance(of, Dotted):
            self._note(f"{described(of)} has no '.{name}'; all variables are '$', so it may be '$.{name}'", offset)
            raise _Told
        value = of.get(name)
        return Undefined(name, offset) if value is None else value

    def _call(self, call: Call, dot: Value) -> Value:
        if call.function in ("and", "or"):
            return self._logic(call, dot)
        function = FUNCTIONS[call.function]
        values = [self._value(argument, dot) for argument in call.arguments]
        if not function.undefined:
            self._all_defined(values, call)
        try:
            result = function.run(*values)
        except ArgumentError as fault:
            self._note(f"{call.function}: {fault}", call.offset)
            raise _Told from None
        if isinstance(result, tuple):
            self._count(len(result))  # lists are held, and may be many
        if isinstance(result, str):
            self._count(len(result) // 100)
            if len(result) > LONGEST:
                raise TooMuchError(f"'{call.function}' makes a text of more than {LONGEST} characters")
        return Undefined(result.name, call.offset) if isinstance(result, Undefined) and result.offset < 0 else result

    def _all_defined(self, values: Sequence[Value], call: Call) -> None:
        missing = [value for value in values if isinstance(value, Undefined)]
        for value in missing:
            self._note(_undefined(value, self._root), value.offset)
        if missing:
            raise _Told

    def _logic(self, call: Call, dot: Value) -> Value:
        value: Value = ""
        for argument in call.arguments:
            value = self._value(argument, dot)
            if is_true(value) == (call.function == "or"):
                break
        return value


def _undefined(missing: Undefined, root: Dotted) -> str:
    near = close_matches(sanitised(missing.name), root.names, n=1)
    hint = f"did you mean '{near[0]}'?" if near else "give it in env, or write '| default \"...\"'"
    return f"the variable '{missing.name}' is not defined; {hint}"
