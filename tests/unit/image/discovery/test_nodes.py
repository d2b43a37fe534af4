"""The tree of a document: bounded whatever the text, and true to its lines."""

from __future__ import annotations

import time

import pytest

from sealer.image.discovery import nodes
from sealer.image.discovery.nodes import Listing, Table, Text, UnreadableError, parse, parse_json


def one(text: str) -> nodes.Node:
    [root] = parse(text)
    return root


def word(node: nodes.Node | None) -> str:
    assert isinstance(node, Text)
    return node.text


@pytest.mark.parametrize("text", ["[" * 200_000 + "]" * 200_000, "- " * 5000 + "x", "{a: " * 5000, "? " * 5000])
def test_depth_cannot_exhaust_anything(text: str) -> None:
    """PyYAML's own composer ends the process at the first of these."""
    with pytest.raises(UnreadableError, match="levels"):
        list(parse(text))


def test_aliases_are_the_node_itself() -> None:
    lines = ["a0: &a0 [x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 60))]
    root = one("\n".join(lines))
    assert isinstance(root, Table)
    last, before = root.get("a59"), root.get("a58")
    assert isinstance(last, Listing)
    assert all(item is before for item in last.items)


def test_merges_that_grow_are_refused() -> None:
    wide = "w: &w {" + ", ".join(f"k{n}: 1" for n in range(2000)) + "}"
    many = "\n".join(f"m{n}: {{<<: *w}}" for n in range(1000))
    with pytest.raises(UnreadableError, match="values"):
        list(parse(f"{wide}\n{many}"))


def test_a_mapping_cannot_contain_itself() -> None:
    with pytest.raises(UnreadableError, match="an alias of 'a', which is nowhere"):
        list(parse("a: &a\n  b: *a\n"))


def test_merged_keys_are_overridden_and_in_order() -> None:
    root = one("x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz: {<<: [*x, *y], c: 3}\n")
    assert isinstance(root, Table)
    z = root.table("z")
    assert z
    assert [word(z.get(name)) for name in "abc"] == ["1", "1", "3"]


def test_what_yaml_takes_for_something_else_is_no_text() -> None:
    root = one("a: true\nb: 1.20\nc: ~\nd:\ne: 'true'\nf: !!str 1\ng: !Ref x\nh: nginx\ni: 2001-01-01\n")
    assert isinstance(root, Table)
    texts = {name: value for name, (_, value) in root.by_name.items() if isinstance(value, Text)}
    assert [name for name, value in texts.items() if value.is_text] == ["e", "f", "g", "h"]
    assert texts["g"].tag == "!Ref"
    assert texts["f"].tag == ""


def test_repeated_keys_stay_and_the_last_one_counts() -> None:
    root = one("a: 1\na: 2\n")
    assert isinstance(root, Table)
    assert [word(value) for _, value in root.pairs] == ["1", "2"]
    assert word(root.get("a")) == "2"


def test_a_schema_is_read_over() -> None:
    root = one("openAPIV3Schema:\n  a: &deep {image: x}\n  b: [{c: d}]\nafter:\n  image: y\n  alias: *deep\n")
    assert isinstance(root, Table)
    schema, after = root.table("openAPIV3Schema"), root.table("after")
    assert schema is not None
    assert not schema.pairs
    assert after
    assert word(after.get("image")) == "y"
    assert isinstance(after.get("alias"), Table)


def test_lines_count_from_where_the_text_begins() -> None:
    root = one_from("a: 1\r\nb:\r\n  - x\r\n", 10)
    assert isinstance(root, Table)
    listing = root.get("b")
    assert isinstance(listing, Listing)
    assert (root.pairs[0][0].line, listing.items[0].line) == (10, 12)


def one_from(text: str, line: int) -> nodes.Node:
    [root] = parse(text, line)
    return root


@pytest.mark.parametrize("text", ["a: [", "a: b: c", "\t- x", "*x", "a: 'b"])
def test_no_yaml(text: str) -> None:
    with pytest.raises(UnreadableError):
        list(parse(text))


def test_json_that_yaml_refuses() -> None:
    roots = list(parse_json('{"a": "\\ud83d\\ude00",\n "image": "x",\n "image": "y"}\n\n{"image": null}'))
    assert [type(root) for root in roots] == [Table, Table]
    first = roots[0]
    assert isinstance(first, Table)
    assert [(word(value), value.line) for _, value in first.pairs[1:]] == [("x", 2), ("y", 3)]


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a"', "[1] x", '{"a": "\\x"}'])
def test_no_json(text: str) -> None:
    with pytest.raises(UnreadableError):
        list(parse_json(text))


def test_json_is_as_deep_as_yaml() -> None:
    with pytest.raises(UnreadableError, match="levels"):
        list(parse_json("[" * 200 + "]" * 200))


def test_a_long_bracket_is_given_up_at_once() -> None:
    """The parser looks at every open bracket for every further one; it must not get that far."""
    begun = time.monotonic()
    with pytest.raises(UnreadableError):
        list(parse("[" * 8_000_000))
    assert time.monotonic() - begun < 10
