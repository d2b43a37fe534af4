"""Reads what stands inside one action of a Go template: operands, function calls, pipes, parentheses."""

from __future__ import annotations

from sealer.suggestions import close_matches
from sealer.templates.functions import FUNCTIONS
from sealer.templates.lexer import Action, TemplateError, Token
from sealer.templates.syntax import Call, Dot, Expression, Field, Literal, Operand, Variable

DEEPEST = 50  # parentheses inside one another, and fields of fields


class Words:
    """The tokens of one action, taken one after the other."""

    def __init__(self, action: Action, variables: list[str]) -> None:
        self._tokens = action.tokens
        self._next = 0
        self._start = action.offset
        self.variables = variables
        self.depth = 0

    def peek(self, ahead: int = 0) -> Token | None:
        """The next token, or None at the end."""
        position = self._next + ahead
        return self._tokens[position] if position < len(self._tokens) else None

    def take(self) -> Token:
        """The next token, which must be there."""
        token = self._tokens[self._next]
        self._next += 1
        return token

    def take_mark(self, mark: str) -> Token | None:
        """The next token if it is this mark."""
        token = self.peek()
        return self.take() if token and token.kind == "mark" and token.text == mark else None

    def assignment(self) -> tuple[Token, Token] | None:
        """`$name :=` or `$name =`, taken if it is there."""
        name, sign = self.peek(), self.peek(1)
        if name and sign and name.kind == "variable" and sign.kind == "mark" and sign.text in (":=", "="):
            if not name.text:
                raise TemplateError("'$' alone is what the template began with; a variable has a name", name.offset)
            self._next += 2
            return name, sign
        return None

    def pair(self) -> tuple[Token, Token] | None:
        """`$index, $element :=`, taken if it is there."""
        index, comma, element, sign = (self.peek(ahead) for ahead in range(4))
        if not (index and comma and element and sign and comma.kind == "mark" and comma.text == ","):
            return None
        if index.kind != "variable" or element.kind != "variable" or sign.text != ":=":
            raise TemplateError("'range' declares its variables as in '$index, $element := ...'", comma.offset)
        self._next += 4
        return index, element

    def finish(self) -> None:
        """Nothing may be left."""
        if token := self.peek():
            raise TemplateError(f"'{token.text}' is not expected here", token.offset)

    @property
    def offset(self) -> int:
        """Where the next token stands, or the last one, or the action."""
        token = self.peek() or (self._tokens[-1] if self._tokens else None)
        return token.offset if token else self._start


def pipeline(words: Words) -> Expression:
    """Commands joined by `|`; the value of each is the last argument of the next."""
    value = _command(words, None)
    while words.take_mark("|"):
        value = _command(words, value)
        words.depth += 1  # a pipe nests calls
        if words.depth > DEEPEST:
            raise TemplateError(f"more than {DEEPEST} pipes or parentheses in one action", words.offset)
    return value


def _command(words: Words, piped: Expression | None) -> Expression:
    offset = words.offset
    operands: list[Operand] = []
    while operand := _operand(words):
        operands.append(operand)
    if not operands:
        raise TemplateError("a value or a function is missing here", offset)
    first, rest = operands[0].expression, operands[1:]
    for operand in rest:
        if operand.is_function:
            raise TemplateError("a function that is an argument stands in parentheses", operand.expression.offset)
    arguments = [operand.expression for operand in rest] + ([piped] if piped is not None else [])
    if operands[0].is_function and isinstance(first, Call):
        return _call(first.function, arguments, first.offset)
    if arguments:
        raise TemplateError("this is no function, it takes no argument and nothing can be piped into it", first.offset)
    return first


def _call(name: str, arguments: list[Expression], offset: int) -> Call:
    least, most = FUNCTIONS[name].least, FUNCTIONS[name].most
    if len(arguments) < least or (most is not None and len(arguments) > most):
        wanted = str(least) if most == least else f"{least} to {most}" if most else f"at least {least}"
        raise TemplateError(f"'{name}' takes {wanted} arguments, here it has {len(arguments)}", offset)
    return Call(name, tuple(arguments), offset)


def _operand(words: Words) -> Operand | None:
    token = words.peek()
    if token is None:
        return None
    if token.kind == "word":
        return Operand(_function(words.take()), is_function=True)
    value: Expression
    if token.kind == "value":
        words.take()
        return Operand(Literal(token.value, token.offset))
    if words.take_mark("("):
        value = _parenthesis(words, token)
    elif token.kind == "variable":
        value = _variable(words)
    elif token.kind == "field":
        words.take()
        value = Field(Dot(token.offset), token.text, token.offset)
    elif token.kind == "dot":
        words.take()
        value = Dot(token.offset)
    else:
        return None
    return Operand(_fields(words, value))


def _fields(words: Words, value: Expression) -> Expression:
    """The `.b.c` of `$a.b.c`."""
    count = 0
    while (token := words.peek()) and token.kind == "field" and not token.spaced:
        words.take()
        value = Field(value, token.text, token.offset)
        count += 1
        if count > DEEPEST:
            raise TemplateError(f"more than {DEEPEST} fields of fields", token.offset)
    return value


def _parenthesis(words: Words, opening: Token) -> Expression:
    words.depth += 1
    if words.depth > DEEPEST:
        raise TemplateError(f"more than {DEEPEST} pipes or parentheses in one action", opening.offset)
    value = pipeline(words)
    if not words.take_mark(")"):
        raise TemplateError("this '(' is never closed by ')'", opening.offset)
    return value


def _variable(words: Words) -> Expression:
    token = words.take()
    if token.text not in words.variables:
        raise TemplateError(f"the variable '${token.text}' was never declared by ':='", token.offset)
    return Variable(token.text, token.offset)


def _function(token: Token) -> Call:
    if token.text not in FUNCTIONS:
        near = close_matches(token.text, FUNCTIONS, n=1, cutoff=0.75)
        hint = f"; did you mean '{near[0]}'?" if near else f"; write '.{token.text}' for a variable"
        raise TemplateError(f"there is no function '{token.text}'{hint}", token.offset)
    return Call(token.text, (), token.offset)
