"""The tree that a Go template is read into. Every `offset` is a place in the template, in characters from 0."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Literal:
    """A text, number or truth value."""

    value: str | int | float | bool
    offset: int


@dataclass(frozen=True)
class Dot:
    """`.`"""

    offset: int


@dataclass(frozen=True)
class Variable:
    """`$name`; `$` alone has the name ''."""

    name: str
    offset: int


@dataclass(frozen=True)
class Field:
    """`.name` of something."""

    of: Expression
    name: str
    offset: int


@dataclass(frozen=True)
class Call:
    """A function with its arguments; one that is piped in comes last."""

    function: str
    arguments: tuple[Expression, ...]
    offset: int


Expression = Literal | Dot | Variable | Field | Call


@dataclass(frozen=True)
class Copy:
    """Text outside of actions."""

    text: str


@dataclass(frozen=True)
class Output:
    """`{{ expression }}`"""

    expression: Expression


@dataclass(frozen=True)
class Assignment:
    """`$name := expression`, or `=` for a variable that exists already."""

    name: str
    expression: Expression
    declares: bool


@dataclass(frozen=True)
class Branch:
    """A condition and what it guards; `variable` is declared by `if $x := ...`."""

    condition: Expression
    body: tuple[Node, ...]
    variable: str | None = None


@dataclass(frozen=True)
class If:
    """`if`, any number of `else if`, `else`."""

    branches: tuple[Branch, ...]
    otherwise: tuple[Node, ...] = ()


@dataclass(frozen=True)
class With:
    """`with`, whose body's dot is the condition's value; `else with` nests in `otherwise`."""

    branch: Branch
    otherwise: tuple[Node, ...] = ()


@dataclass(frozen=True)
class Range:
    """`range`; `index` and `element` are the variables it declares, if any."""

    over: Expression
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...] = ()
    index: str | None = None
    element: str | None = None


Node = Copy | Output | Assignment | If | With | Range


@dataclass(frozen=True)
class Operand:
    """One part of a command, before it is known to be a function's argument."""

    expression: Expression
    is_function: bool = field(default=False)
