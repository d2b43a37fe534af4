"""A check of the part of JSON Schema that drivers describe their fields with.

`jsonschema` takes 95 ms to import and says "Additional properties are not allowed"; this names the nearest field.
The keywords are `type`, `properties`, `required`, `additionalProperties` (true, false or a schema), `items`, `enum`,
`minimum`, `maximum`, `minItems`, `minLength`, `pattern`; `description`, `title` and `default` are for readers.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence

from sealer.errors import Position, Problem
from sealer.events import Json

_FOR_READERS = frozenset({"description", "title", "default", "examples"})
_OF_VALUES = frozenset({"type", "enum", "minimum", "maximum", "minLength", "pattern"})
_OF_CONTENTS = frozenset({"properties", "required", "additionalProperties", "items", "minItems"})
KEYWORDS = _OF_VALUES | _OF_CONTENTS | _FOR_READERS
_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (Mapping,),
    "array": (list, tuple),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_IN_WORDS = {
    "object": "a mapping",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}


def check(value: Json, schema: Mapping[str, Json], path: str, position: Position) -> list[Problem]:
    """Everything in `value` that `schema` does not allow.

    :param path: of the field that holds `value`, e.g. `spec.provider`.
    :param position: where it stands.
    :raises ValueError: the schema has a keyword that this check does not know: better than to pass over it.
    """
    return [Problem(position, where, message) for where, message in _check(value, schema, path)]


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """A clause that names the nearest of `known`, or all of them where none is near; empty for no names."""
    near = difflib.get_close_matches(name.lower(), [one.lower() for one in known], n=1, cutoff=0.6)
    if near:
        return f"; did you mean '{next(one for one in known if one.lower() == near[0])}'?"
    return f"; known are {', '.join(known)}" if known else ""


_Found = Iterator[tuple[str, str]]


def _check(value: Json, schema: Mapping[str, Json], path: str) -> _Found:
    unknown = sorted(schema.keys() - KEYWORDS)
    if unknown:
        raise ValueError(f"{path}: the schema's keyword '{unknown[0]}' is not one of {', '.join(sorted(KEYWORDS))}")
    if wrong := _wrong_type(value, schema.get("type")):
        yield path, wrong
        return
    yield from _check_value(value, schema, path)
    if isinstance(value, Mapping):
        yield from _check_object(value, schema, path)
    elif isinstance(value, list | tuple):
        yield from _check_array(value, schema, path)


def _wrong_type(value: Json, wanted: Json) -> str:
    names = [str(one) for one in (wanted if isinstance(wanted, list) else [wanted] if wanted else [])]
    for name in names:
        # In Python True is an int; for a user it is not.
        if isinstance(value, _TYPES[name]) and (name == "boolean" or not isinstance(value, bool)):
            return ""
    if not names:
        return ""
    return f"must be {' or '.join(_IN_WORDS[name] for name in names)}, not {_shown(value)}"


def _shown(value: Json) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, list | tuple) else f"'{value}'"


def _check_value(value: Json, schema: Mapping[str, Json], path: str) -> _Found:
    allowed = schema.get("enum")
    if isinstance(allowed, list) and value not in allowed:
        names = [str(one) for one in allowed]
        yield path, f"{_shown(value)} is not one of {', '.join(names)}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        least, most = schema.get("minimum"), schema.get("maximum")
        if isinstance(least, int | float) and value < least:
            yield path, f"must be at least {least}, not {value}"
        if isinstance(most, int | float) and value > most:
            yield path, f"must be at most {most}, not {value}"
    if isinstance(value, str):
        shortest, pattern = schema.get("minLength"), schema.get("pattern")
        if isinstance(shortest, int) and len(value) < shortest:
            yield path, "must not be empty" if shortest == 1 else f"must have at least {shortest} characters"
        if isinstance(pattern, str) and not re.search(pattern, value):
            yield path, f"'{value}' does not match {pattern}"


def _check_object(value: Mapping[str, Json], schema: Mapping[str, Json], path: str) -> _Found:
    properties = schema.get("properties")
    known = properties if isinstance(properties, Mapping) else {}
    further = schema.get("additionalProperties", True)
    required = schema.get("required")
    for name in required if isinstance(required, list) else []:
        if name not in value:
            yield path, f"'{name}' is needed"
    for name, item in value.items():
        inner, own = f"{path}.{name}", known.get(name, further)
        if isinstance(own, Mapping):
            yield from _check(item, own, inner)
        elif own is False:
            yield inner, f"unknown field '{name}'{did_you_mean(str(name), list(known))}"


def _check_array(value: Sequence[Json], schema: Mapping[str, Json], path: str) -> _Found:
    fewest, items = schema.get("minItems"), schema.get("items")
    if isinstance(fewest, int) and len(value) < fewest:
        yield path, f"must have at least {fewest} {'entry' if fewest == 1 else 'entries'}"
    if isinstance(items, Mapping):
        for index, item in enumerate(value):
            yield from _check(item, items, f"{path}[{index}]")
