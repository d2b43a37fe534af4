"""A check of the part of JSON Schema that drivers describe their fields with.

`jsonschema` takes 95 ms to import and says "Additional properties are not allowed"; this names the nearest field.
The keywords are `type`, `properties`, `required`, `additionalProperties` (true, false or a schema), `items`, `enum`,
`minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum`, `minItems`, `maxItems`, `minLength`, `maxLength`,
`pattern`; `description`, `title`, `default` and `examples` are for readers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from sealer.errors import Position, Problem
from sealer.events import Json
from sealer.suggestions import close_matches

_FOR_READERS = frozenset({"description", "title", "default", "examples"})
_OF_NUMBERS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
_OF_SIZES = frozenset({"minLength", "maxLength", "minItems", "maxItems"})
_OF_VALUES = frozenset({"type", "enum", "pattern"}) | _OF_NUMBERS | _OF_SIZES
_OF_CONTENTS = frozenset({"properties", "required", "additionalProperties", "items"})
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


def defects(schema: object, path: str = "its schema") -> list[str]:
    """What keeps a schema from being used, for its author: keywords that are unknown here, or have no fitting value.

    A keyword in a field that nobody has given yet is as wrong as one in a field that everybody gives.
    """
    return list(_defects(schema, path))


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """A clause that names the nearest of `known`, or all of them where none is near; empty for no names."""
    near = close_matches(name.lower(), [one.lower() for one in known], n=1, cutoff=0.6)
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
        yield from ((path, message) for message in _out_of_bounds(value, schema))
    if isinstance(value, str):
        shortest, longest, pattern = (schema.get(name) for name in ("minLength", "maxLength", "pattern"))
        if isinstance(shortest, int) and len(value) < shortest:
            yield path, "must not be empty" if shortest == 1 else f"must have at least {shortest} characters"
        if isinstance(longest, int) and len(value) > longest:
            yield path, f"must have at most {longest} characters"
        if isinstance(pattern, str) and not re.search(pattern, value):
            yield path, f"'{value}' does not match {pattern}"


def _out_of_bounds(value: float, schema: Mapping[str, Json]) -> Iterator[str]:
    least, above, most, below = (
        bound if isinstance(bound := schema.get(name), int | float) else None
        for name in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
    )
    if least is not None and value < least:
        yield f"must be at least {least}, not {value}"
    if above is not None and value <= above:
        yield f"must be greater than {above}, not {value}"
    if most is not None and value > most:
        yield f"must be at most {most}, not {value}"
    if below is not None and value >= below:
        yield f"must be less than {below}, not {value}"


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
    fewest, greatest, items = (schema.get(name) for name in ("minItems", "maxItems", "items"))
    if isinstance(fewest, int) and len(value) < fewest:
        yield path, f"must have at least {fewest} {'entry' if fewest == 1 else 'entries'}"
    if isinstance(greatest, int) and len(value) > greatest:
        yield path, f"must have at most {greatest} {'entry' if greatest == 1 else 'entries'}"
    if isinstance(items, Mapping):
        for index, item in enumerate(value):
            yield from _check(item, items, f"{path}[{index}]")


def _defects(schema: object, path: str) -> Iterator[str]:
    if not isinstance(schema, Mapping):
        yield f"{path}: it is {_shown(schema)}, not a mapping"  # type: ignore[arg-type]  # shown whatever it is
        return
    for keyword, value in schema.items():
        if keyword not in KEYWORDS:
            near = did_you_mean(str(keyword), sorted(KEYWORDS))
            yield f"{path}: the keyword '{keyword}' is unknown here{near}"
        elif keyword in _FORMS and (wanted := _FORMS[keyword](value)):
            yield f"{path}.{keyword}: {wanted}"
        elif keyword == "properties":
            for name, inner in value.items():
                yield from _defects(inner, f"{path}.{name}")
        elif keyword == "items" or (keyword == "additionalProperties" and not isinstance(value, bool)):
            yield from _defects(value, f"{path}.{keyword}")
    properties, required = schema.get("properties", {}), schema.get("required", ())
    if schema.get("additionalProperties") is False and isinstance(properties, Mapping) and isinstance(required, list):
        for name in required:
            if name not in properties:
                yield f"{path}.required: '{name}' is needed, and there is no such field"


def _types_form(value: object) -> str:
    names = value if isinstance(value, list) and value else [value]
    unknown = [name for name in names if not (isinstance(name, str) and name in _TYPES)]
    return f"'{unknown[0]}' is no type{did_you_mean(str(unknown[0]), list(_TYPES))}" if unknown else ""


def _pattern_form(value: object) -> str:
    try:
        re.compile(value)  # type: ignore[call-overload]  # what is no text is told so
    except (re.error, TypeError) as error:
        return f"it is no regular expression ({error})"
    return ""


def _number_form(value: object) -> str:
    return "" if isinstance(value, int | float) and not isinstance(value, bool) else "it is no number"


def _size_form(value: object) -> str:
    return "" if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else "it is no size"


def _names_form(value: object) -> str:
    names = isinstance(value, list) and all(isinstance(name, str) for name in value)
    return "" if names else "it is no list of names"


_FORMS: Mapping[str, Callable[[object], str]] = {
    "type": _types_form,
    "pattern": _pattern_form,
    "required": _names_form,
    "enum": lambda value: "" if isinstance(value, list) else "it is no list",
    "properties": lambda value: "" if isinstance(value, Mapping) else "it is no mapping of fields",
    **dict.fromkeys(_OF_NUMBERS, _number_form),
    **dict.fromkeys(_OF_SIZES, _size_form),
}
