from __future__ import annotations

import importlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealer.errors import Position
from sealer.extension.schema import check, defects

jsonschema: Any = importlib.import_module("jsonschema")  # has no type hints
SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 3, "pattern": "^[a-z]*$"},
        "size": {"type": "integer", "minimum": 1, "maximum": 9},
        "share": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 8},
        "kind": {"enum": ["small", "large"]},
        "ratio": {"type": ["number", "null"]},
        "tags": {"type": "array", "minItems": 1, "maxItems": 1, "items": {"type": "string"}},
        "limits": {"type": "object", "additionalProperties": {"type": "boolean"}},
    },
}


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({}, "f: 'name' is needed"),
        ({"name": "a", "sise": 1}, "f.sise: unknown field 'sise'; did you mean 'size'?"),
        (
            {"name": "a", "zzzz": 1},
            "f.zzzz: unknown field 'zzzz'; known are name, size, share, kind, ratio, tags, limits",
        ),
        ({"name": 7}, "f.name: must be a text, not '7'"),
        ({"name": ""}, "f.name: must not be empty"),
        ({"name": "A"}, "f.name: 'A' does not match ^[a-z]*$"),
        ({"name": "a", "size": True}, "f.size: must be a whole number, not true"),
        ({"name": "a", "size": 10}, "f.size: must be at most 9, not 10"),
        ({"name": "a", "share": 0}, "f.share: must be greater than 0, not 0"),
        ({"name": "a", "share": 8.5}, "f.share: must be less than 8, not 8.5"),
        ({"name": "abcd"}, "f.name: must have at most 3 characters"),
        ({"name": "a", "tags": ["b", "c"]}, "f.tags: must have at most 1 entry"),
        ({"name": "a", "kind": "medium"}, "f.kind: 'medium' is not one of small, large"),
        ({"name": "a", "ratio": "x"}, "f.ratio: must be a number or nothing, not 'x'"),
        ({"name": "a", "tags": []}, "f.tags: must have at least 1 entry"),
        ({"name": "a", "tags": [None]}, "f.tags[0]: must be a text, not empty"),
        ({"name": "a", "limits": {"x": "y"}}, "f.limits.x: must be true or false, not 'y'"),
        (["name"], "f: must be a mapping, not a list"),
    ],
)
def test_what_is_said(value: Any, problem: str) -> None:
    assert [str(one) for one in check(value, SCHEMA, "f", Position("x", 1, 2))] == [f"x:1:2: {problem}"]


def test_an_unknown_keyword_is_no_schema() -> None:
    with pytest.raises(ValueError, match="keyword 'allOf'"):
        check({}, {"allOf": []}, "f", Position("x"))


@pytest.mark.parametrize(
    ("schema", "defect"),
    [
        ("text", "its schema: it is 'text', not a mapping"),
        ({"minItem": 1}, "its schema: the keyword 'minItem' is unknown here; did you mean 'minItems'?"),
        ({"properties": {"a": {"type": "strng"}}}, "its schema.a.type: 'strng' is no type; did you mean 'string'?"),
        ({"properties": {"a": {"items": {"format": "ip"}}}}, "its schema.a.items: the keyword 'format' is unknown"),
        ({"additionalProperties": {"anyOf": []}}, "its schema.additionalProperties: the keyword 'anyOf' is unknown"),
        ({"properties": {"a": {"pattern": "("}}}, "its schema.a.pattern: it is no regular expression"),
        ({"properties": ["a"]}, "its schema.properties: it is no mapping of fields"),
        ({"properties": {"a": {"required": True}}}, "its schema.a.required: it is no list of names"),
        ({"properties": {"a": {"minimum": "1"}}}, "its schema.a.minimum: it is no number"),
        ({"properties": {"a": {"minLength": -1}}}, "its schema.a.minLength: it is no size"),
        ({"properties": {"a": {"enum": "b"}}}, "its schema.a.enum: it is no list"),
        (
            {"properties": {"a": {}}, "additionalProperties": False, "required": ["b"]},
            "its schema.required: 'b' is needed, and there is no such field",
        ),
    ],
)
def test_what_is_wrong_with_a_schema(schema: Any, defect: str) -> None:
    (found,) = defects(schema)
    assert found.startswith(defect)


def test_nothing_is_wrong_with_a_schema() -> None:
    assert defects(SCHEMA) == []


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-2, 12)
    | st.floats(allow_nan=False)
    | st.sampled_from(["", "a", "A1", "small"])
)
values = st.dictionaries(
    st.sampled_from(["name", "size", "share", "kind", "ratio", "tags", "limits", "other"]),
    scalars | st.lists(scalars, max_size=2) | st.dictionaries(st.sampled_from(["x"]), scalars),
)


@given(values)
def test_it_agrees_with_jsonschema(value: Any) -> None:
    # JSON Schema calls 1.0 an integer; a user who writes 1.0 where a count is wanted is told so.
    if isinstance(value.get("size"), float):
        return
    assert bool(check(value, SCHEMA, "f", Position("x"))) == (
        not jsonschema.Draft202012Validator(SCHEMA).is_valid(value)
    )
