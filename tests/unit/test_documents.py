"""Small texts that stand for much, and texts within texts: an error in no time, never a crash."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable
from pathlib import Path
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
    "many JSON values": (load_json, "[" + "{}," * 10_000_000 + "{}]"),
    "many JSON values as bytes": (load_json, b"[" + b"1," * 3_000_000 + b"1]"),
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


ROOT = Path(__file__).resolve().parents[2]
READERS = {
    "json": {"load", "loads", "JSONDecoder"},
    "yaml": {"load", "load_all", "safe_load", "safe_load_all", "full_load", "unsafe_load", "compose", "compose_all"},
}
# Files that read a text in another way, and why they may.
OTHER_READERS = {
    "core/sealer/documents.py": "the bounded readers themselves",
    "core/sealer/image/containment.py": "has the standard library alone, and reads what sealer asks of it",
    "core/sealer/image/contained.py": "reads what its own process reports",
    "core/sealer/image/discovery/nodes.py": "counts levels itself, as it wants lines",
    "core/sealer/templates/yamltree.py": "reads what it has just written",
    "core/sealer/testing/expectations.py": "reads what it has just written",
    "core/sealer/cluster/journal.py": "its own file, a line at a time; facts that were written must be read again",
    "core/sealer/cluster/lock.py": "its own file, of which it reads 4096 bytes",
    "builtin_plugins/sealer-plugin-kubeadm/src/sealer_plugin_kubeadm/configuration.py": "reads what it wrote",
    "builtin_plugins/sealer-plugin-kubeadm/src/sealer_plugin_kubeadm/user_kubeconfig.py": "a kubeconfig it has made",
    "builtin_plugins/sealer-plugin-kubeadm/src/sealer_plugin_kubeadm/base/versions.py": "a file of its own package",
    "plugins/sealer-plugin-nspawn/src/sealer_plugin_nspawn/record.py": "its own file",
    "plugins/sealer-plugin-nspawn/src/sealer_plugin_nspawn/exits.py": "what this machine's own programs print",
    "plugins/sealer-plugin-nspawn/src/sealer_plugin_nspawn/network.py": "what this machine's own programs print",
}


def other_readers(path: Path) -> list[str]:
    """Calls in a file that read YAML or JSON without bounds."""
    return [
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.attr in READERS.get(node.value.id, ())
    ]


def test_what_others_wrote_is_read_by_the_bounded_readers_alone() -> None:
    """Of the kernel and every plugin that lies here."""
    places = [ROOT / "core/sealer", *ROOT.glob("builtin_plugins/*/src"), *ROOT.glob("plugins/*/src")]
    found = {
        path.relative_to(ROOT).as_posix()
        for place in places
        for path in place.rglob("*.py")
        if "skeleton" not in path.parts and other_readers(path)
    }
    assert found == set(OTHER_READERS), "use sealer.documents, or say in OTHER_READERS why not"
