"""Small texts that stand for much, and texts within texts: an error in no time, never a crash."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from sealer.documents import DEEPEST, DocumentError, load_json, load_yaml

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)
MERGED = "a0: &a0 {k0: x, l0: y}\n" + "".join(
    f"a{n}: &a{n}\n  k{n}: [*a{n - 1}, *a{n - 1}]\n  <<: *a{n - 1}\n" for n in range(1, 40)
)

HOSTILE: dict[str, tuple[Callable[[Any], Any], str | bytes]] = {
    "aliases of aliases": (load_yaml, BOMB),
    "merged aliases": (load_yaml, MERGED),
    "an alias in what it stands for": (load_yaml, "&a [*a]"),
    "lists in lists": (load_yaml, "[" * 100_000),
    "mappings in mappings": (load_yaml, "{a: " * 100_000),
    "block lists in block lists": (load_yaml, "- " * 5_000 + "x"),
    "many values": (load_yaml, "[" + "a," * 3_000_000 + "]"),
    "a number of many digits": (load_yaml, "9" * 100_000),
    "a day that no month has": (load_yaml, "2001-02-31"),
    "a key that is a list": (load_yaml, "{[a]: b}"),
    "a foreign tag": (load_yaml, "!!python/object/apply:os.system [id]"),
    "two documents": (load_yaml, "a\n---\nb"),
    "no YAML": (load_yaml, "a: b: c"),
    "a control character": (load_yaml, "a: \x07"),
    "JSON lists in lists": (load_json, "[" * 100_000),
    "JSON lists that end": (load_json, "[" * 900 + "]" * 900),
    "JSON objects in objects": (load_json, '{"a":' * 100_000),
    "a JSON number of many digits": (load_json, "9" * 100_000),
    "no JSON": (load_json, "{"),
    "bytes that are no text": (load_json, b"\xff\xfe\xff"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_are_errors_at_once(name: str) -> None:
    load, text = HOSTILE[name]
    began = time.monotonic()
    with pytest.raises(DocumentError) as caught:
        load(text)
    assert time.monotonic() - began < 10
    assert 0 < len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


def test_what_people_write_is_read() -> None:
    assert load_yaml("a: &b [1, yes]\nc: *b\n") == {"a": [1, True], "c": [1, True]}
    assert load_yaml("base: &base {x: 1}\nown: {<<: *base, y: 2}") == {"base": {"x": 1}, "own": {"x": 1, "y": 2}}
    assert load_yaml("") is None
    assert load_json('{"a": [1, {"b": null}]}') == {"a": [1, {"b": None}]}
    assert load_json(b"[]") == []
    deep = "[" * DEEPEST + "]" * DEEPEST
    assert load_json(deep) == load_yaml(deep)
