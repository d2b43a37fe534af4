"""Reads the blocks of a Go template: `if`, `with`, `range`, `else`, `end`, and the variables they declare."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sealer.templates.expressions import Words, pipeline
from sealer.templates.lexer import Action, TemplateError, Text, Token, cut
from sealer.templates.syntax import Assignment, Branch, Copy, Expression, If, Literal, Node, Output, Range, With

DEEPEST = 50  # blocks inside one another
_BLOCKS = ("if", "with", "range")
_ELSEWHERE = ("define", "template", "block", "break", "continue")


@dataclass
class _Block:
    """A block that is still open: its finished branches, and the nodes of the branch being read."""

    kind: str
    offset: int
    head: _Head
    scope: int  # how many variables there were before it
    inside: int  # and with those that its heads declare
    nodes: list[Node] = field(default_factory=list)
    branches: list[Branch] = field(default_factory=list)
    body: tuple[Node, ...] | None = None  # of `with` and `range`, once their `else` was met
    otherwise: bool = False


@dataclass(frozen=True)
class _Head:
    """What follows the word `if`, `with` or `range`."""

    condition: Expression
    variables: tuple[str, ...] = ()


_NOWHERE = _Head(Literal(False, 0))  # stands for a head that could not be read


def parse(text: str) -> tuple[tuple[Node, ...], list[TemplateError]]:
    """Read a template; gives what could be read and everything that is wrong with its syntax."""
    return _Parser().read(cut(text))


class _Parser:
    def __init__(self) -> None:
        self._faults: list[TemplateError] = []
        self._nodes: list[Node] = []
        self._open: list[_Block] = []
        self._variables: list[str] = [""]

    def read(self, items: Iterator[Text | Action]) -> tuple[tuple[Node, ...], list[TemplateError]]:
        for item in items:
            if isinstance(item, Text):
                self._here.append(Copy(item.text))
                continue
            try:
                self._action(item)
            except TemplateError as fault:
                self._faults.append(fault)
        for block in self._open:
            self._faults.append(TemplateError(f"this '{block.kind}' has no '{{{{ end }}}}'", block.offset))
        return tuple(self._nodes), self._faults

    @property
    def _here(self) -> list[Node]:
        return self._open[-1].nodes if self._open else self._nodes

    def _action(self, action: Action) -> None:
        words = Words(action, self._variables)
        first = words.peek()
        keyword = first.text if first and first.kind == "word" else ""
        if keyword in _BLOCKS:
            self._begin(words.take(), words, action)
        elif keyword == "else":
            self._else(words.take(), words, action)
        elif keyword == "end":
            self._end(words.take(), words)
        elif keyword in _ELSEWHERE:
            raise TemplateError(f"'{keyword}' is not supported in the templates of a rootfs", words.take().offset)
        elif first or action.fault:
            self._statement(words, action)

    def _statement(self, words: Words, action: Action) -> None:
        if assigned := words.assignment():
            name, sign = assigned
            if sign.text == ":=":
                value = self._whole(words, action, declaring=name.text)
                self._variables.append(name.text)
            elif name.text in self._variables[1:]:
                value = self._whole(words, action)
            else:
                raise TemplateError(f"the variable '${name.text}' was never declared by ':='", name.offset)
            self._here.append(Assignment(name.text, value, sign.text == ":="))
        else:
            self._here.append(Output(self._whole(words, action)))

    def _whole(self, words: Words, action: Action, declaring: str | None = None) -> Expression:
        """The expression up to the end of the action."""
        try:
            if action.fault:
                raise action.fault
            expression = pipeline(words)
            words.finish()
        except TemplateError:
            if declaring is not None:
                self._variables.append(declaring)  # so that its uses are no further mistakes
            raise
        return expression

    def _head(self, word: Token, words: Words, action: Action) -> _Head:
        names: list[Token] = []
        if word.text == "range" and (pair := words.pair()):
            names = list(pair)
        elif assigned := words.assignment():
            name, sign = assigned
            if sign.text != ":=":
                raise TemplateError(f"'{word.text}' declares its variable by ':='", sign.offset)
            names = [name]
        if not words.peek() and not action.fault:
            raise TemplateError(f"'{word.text}' needs something to look at", word.offset)
        return _Head(self._whole(words, action), tuple(name.text for name in names))

    def _begin(self, word: Token, words: Words, action: Action) -> None:
        if len(self._open) >= DEEPEST:
            raise TemplateError(f"more than {DEEPEST} blocks inside one another", word.offset)
        block = _Block(word.text, word.offset, _NOWHERE, len(self._variables), len(self._variables))
        self._open.append(block)  # also when its head is wrong: its `end` is there all the same
        self._read_head(block, word, words, action)

    def _read_head(self, block: _Block, word: Token, words: Words, action: Action) -> None:
        block.head = self._head(word, words, action)
        self._variables.extend(block.head.variables)
        block.inside = len(self._variables)

    def _else(self, word: Token, words: Words, action: Action) -> None:
        if not self._open or self._open[-1].otherwise:
            raise TemplateError("this 'else' belongs to no 'if', 'with' or 'range'", word.offset)
        block = self._open[-1]
        self._close_branch(block)
        following = words.peek()
        if following is None and not action.fault:
            block.otherwise = True
        elif following and following.text == "if" and block.kind == "if":
            block.head = _NOWHERE
            self._read_head(block, words.take(), words, action)
        else:
            block.otherwise = True
            raise TemplateError("after 'else' comes nothing, or after that of an 'if' another 'if'", word.offset)

    def _close_branch(self, block: _Block) -> None:
        body = tuple(block.nodes)
        block.nodes = []
        if block.kind == "if":
            block.branches.append(Branch(block.head.condition, body, *block.head.variables))
        else:
            block.body = body
        del self._variables[block.scope if block.kind == "range" else block.inside :]

    def _end(self, word: Token, words: Words) -> None:
        if not self._open:
            raise TemplateError("this 'end' belongs to no 'if', 'with' or 'range'", word.offset)
        block = self._open[-1]
        otherwise: tuple[Node, ...] = ()
        if block.otherwise:
            otherwise = tuple(block.nodes)
        else:
            self._close_branch(block)
        del self._variables[block.scope :]
        self._open.pop()
        self._here.append(_finished(block, otherwise))
        words.finish()


def _finished(block: _Block, otherwise: tuple[Node, ...]) -> Node:
    body, names = block.body or (), block.head.variables
    if block.kind == "if":
        return If(tuple(block.branches), otherwise)
    if block.kind == "with":
        return With(Branch(block.head.condition, body, *names), otherwise)
    index, element = (names[0], names[1]) if len(names) == 2 else (None, names[0] if names else None)
    return Range(block.head.condition, body, otherwise, index, element)
