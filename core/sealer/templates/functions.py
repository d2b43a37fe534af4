"""The functions of Go templates, those built into Go and the ones of Helm's that charts and configurations use."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sealer.templates.literals import LARGEST, quoted
from sealer.templates.values import Dotted, Undefined, Value, described, is_true, written

LONGEST = 16 * 1024 * 1024  # characters of one value
MOST_ITEMS = 100_000  # of one list
WIDEST = 1000  # blanks of one indentation


class ArgumentError(ValueError):
    """Arguments that a function cannot work with."""


@dataclass(frozen=True)
class Function:
    """One function.

    :param least: number of arguments it needs.
    :param most: number it takes; None: any.
    :param undefined: whether an argument may be undefined.
    """

    run: Callable[..., Value]
    least: int = 1
    most: int | None = 1
    undefined: bool = False


def _text(value: Value) -> str:
    try:
        return written(value)
    except TypeError as error:
        raise ArgumentError(str(error)) from None


def _default(fallback: Value, value: Value) -> Value:
    return value if is_true(value) else fallback


def _coalesce(*values: Value) -> Value:
    return next((value for value in values if is_true(value)), values[-1])


def _ternary(yes: Value, no: Value, test: Value) -> Value:
    return yes if is_true(test) else no


def _texts(values: Sequence[Value]) -> list[str]:
    """The texts of some values, which together are not too long."""
    texts, length = [], 0
    for value in values:
        texts.append(_text(value))
        length += len(texts[-1])
        _fits(length)
    return texts


def _quote(*values: Value) -> str:
    return " ".join(map(quoted, _texts(values)))


def _squote(*values: Value) -> str:
    return " ".join(f"'{text}'" for text in _texts(values))


def _b64enc(value: Value) -> str:
    return base64.b64encode(_text(value).encode()).decode()


def _b64dec(value: Value) -> str:
    try:
        return base64.b64decode(_text(value), validate=True).decode()
    except UnicodeDecodeError:
        raise ArgumentError("what this base64 stands for is no UTF-8 text") from None
    except (binascii.Error, ValueError):
        raise ArgumentError("this is no base64") from None


def _int(value: Value) -> int:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float):
        return int(value)
    text = _text(value).strip()
    if not re.fullmatch(r"[+-]?[0-9]{1,19}", text) or abs(int(text)) > LARGEST:
        raise ArgumentError(f"'{_short(text)}' is no whole number")
    return int(text)


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:40] + "..."


def _indent(width: Value, value: Value) -> str:
    if not isinstance(width, int) or not 0 <= width <= WIDEST:
        raise ArgumentError(f"an indentation is a number from 0 to {WIDEST}")
    text, blanks = _text(value), " " * width
    _fits(len(text) + width * (text.count("\n") + 1))
    return blanks + text.replace("\n", "\n" + blanks)


def _nindent(width: Value, value: Value) -> str:
    return "\n" + _indent(width, value)


def _fits(length: int) -> None:
    if length > LONGEST:
        raise ArgumentError(f"the result would have more than {LONGEST} characters")


def _replace(old: Value, new: Value, value: Value) -> str:
    found, put, text = _text(old), _text(new), _text(value)
    _fits(len(text) + len(put) * (text.count(found) if found else len(text) + 1))
    return text.replace(found, put)


def _split(separator: Value, value: Value) -> tuple[str, ...]:
    between, text = _text(separator), _text(value)
    if (text.count(between) if between else len(text)) >= MOST_ITEMS:
        raise ArgumentError(f"the list would have more than {MOST_ITEMS} elements")
    return tuple(text.split(between)) if between else tuple(text)


def _join(separator: Value, values: Value) -> str:
    parts = values if isinstance(values, tuple) else (_text(values),)
    between = _text(separator)
    _fits(sum(map(len, parts)) + len(between) * len(parts))
    return between.join(parts)


def _len(value: Value) -> int:
    if isinstance(value, tuple):
        return len(value)
    if isinstance(value, Dotted):
        return len(value.values)
    if isinstance(value, str):
        return len(value.encode())
    raise ArgumentError(f"{described(value)} has no length")


def _index(value: Value, key: Value) -> Value:
    if isinstance(value, Dotted) and isinstance(key, str):
        found = value.get(key)
        return Undefined(key, -1) if found is None else found
    if isinstance(value, tuple) and isinstance(key, int) and not isinstance(key, bool):
        if not 0 <= key < len(value):
            raise ArgumentError(f"there is no element {key} in a list of {len(value)}")
        return value[key]
    raise ArgumentError(f"{described(value)} has no element by {described(key)}")


def _same_kind(first: Value, second: Value) -> None:
    numbers = [isinstance(value, int | float) and not isinstance(value, bool) for value in (first, second)]
    if type(first) is not type(second) and not all(numbers):
        raise ArgumentError(
            f"{described(first)} and {described(second)} cannot be compared; variables are texts: "
            "compare with \"3\", or write '(int .Name)'"
        )
    if isinstance(first, tuple | Dotted):
        raise ArgumentError(f"{described(first)} cannot be compared")


def _eq(first: Value, *others: Value) -> bool:
    for other in others:
        _same_kind(first, other)
    return first in others


def _ordered(first: Value, second: Value) -> int:
    _same_kind(first, second)
    if isinstance(first, bool):
        raise ArgumentError("truth values have no order")
    if isinstance(first, str) and isinstance(second, str):
        return (first > second) - (first < second)
    if isinstance(first, int | float) and isinstance(second, int | float):
        return (first > second) - (first < second)
    raise ArgumentError(f"{described(first)} has no order")


_VERB = re.compile(r"%([-0]?)([0-9]{0,3})([a-zA-Z%])")


def _printf(form: Value, *values: Value) -> str:
    left = list(values)
    _fits(sum(len(value) for value in values if isinstance(value, str)))

    def one(match: re.Match[str]) -> str:
        flag, width, verb = match.groups()
        if verb == "%":
            return "%"
        if not left:
            raise ArgumentError(f"there is no argument for '{match[0]}'")
        text = _formatted(verb, left.pop(0))
        size = int(width or 0)
        return text.ljust(size) if flag == "-" else text.zfill(size) if flag == "0" else text.rjust(size)

    pattern = _text(form)
    _fits(len(pattern) * WIDEST if re.search("%[-0-9]", pattern) and len(pattern) > WIDEST else 0)
    text = _VERB.sub(one, pattern)
    if left:
        raise ArgumentError(f"{len(left)} more arguments than the format has places")
    return text


def _formatted(verb: str, value: Value) -> str:
    if verb in "sv":
        return _text(value)
    if verb == "q":
        return quoted(_text(value))
    if verb == "d":
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        raise ArgumentError(f"'%d' needs a number, not {described(value)}; write '(int .Name)'")
    raise ArgumentError(f"'%{verb}' is not supported; %s %v %q %d are")


def _print(*values: Value) -> str:
    return "".join(_texts(values))


FUNCTIONS: dict[str, Function] = {
    # `and` and `or` look at their arguments one by one; the evaluator does that
    "and": Function(lambda *values: values[-1], most=None, undefined=True),
    "or": Function(lambda *values: values[-1], most=None, undefined=True),
    "not": Function(lambda value: not is_true(value), undefined=True),
    "default": Function(_default, 2, 2, undefined=True),
    "coalesce": Function(_coalesce, most=None, undefined=True),
    "empty": Function(lambda value: not is_true(value), undefined=True),
    "ternary": Function(_ternary, 3, 3),
    "eq": Function(_eq, 2, None),
    "ne": Function(lambda first, second: not _eq(first, second), 2, 2),
    "lt": Function(lambda first, second: _ordered(first, second) < 0, 2, 2),
    "le": Function(lambda first, second: _ordered(first, second) <= 0, 2, 2),
    "gt": Function(lambda first, second: _ordered(first, second) > 0, 2, 2),
    "ge": Function(lambda first, second: _ordered(first, second) >= 0, 2, 2),
    "quote": Function(_quote, most=None),
    "squote": Function(_squote, most=None),
    "b64enc": Function(_b64enc),
    "b64dec": Function(_b64dec),
    "upper": Function(lambda value: _text(value).upper()),
    "lower": Function(lambda value: _text(value).lower()),
    "trim": Function(lambda value: _text(value).strip()),
    "trimPrefix": Function(lambda part, value: _text(value).removeprefix(_text(part)), 2, 2),
    "trimSuffix": Function(lambda part, value: _text(value).removesuffix(_text(part)), 2, 2),
    "hasPrefix": Function(lambda part, value: _text(value).startswith(_text(part)), 2, 2),
    "hasSuffix": Function(lambda part, value: _text(value).endswith(_text(part)), 2, 2),
    "contains": Function(lambda part, value: _text(part) in _text(value), 2, 2),
    "replace": Function(_replace, 3, 3),
    "indent": Function(_indent, 2, 2),
    "nindent": Function(_nindent, 2, 2),
    "toString": Function(_text),
    "int": Function(_int),
    "split": Function(_split, 2, 2),
    "splitList": Function(_split, 2, 2),
    "join": Function(_join, 2, 2),
    "len": Function(_len),
    "index": Function(_index, 2, 2),
    "print": Function(_print, most=None),
    "printf": Function(_printf, most=None),
}
