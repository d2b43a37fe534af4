from __future__ import annotations

import pytest

from sealer.image.ignore import Ignore


@pytest.mark.parametrize(
    ("rules", "ignored", "kept"),
    [
        ("*.log", ["a.log"], ["d/a.log", "a.logs"]),
        ("**/*.log", ["a.log", "d/e/a.log"], ["a.txt"]),
        ("d", ["d", "d/x", "d/e/f"], ["dd", "e/d"]),
        ("/d/", ["d", "d/x"], ["e"]),
        ("d/**", ["d/x", "d/e/f"], ["d"]),
        ("# said\n\n*\n!a", ["b", "c/a"], ["a"]),
        ("d\n!d/x", ["d", "d/y"], ["d/x"]),
        ("a?c\n[xy]", ["abc", "x"], ["ac", "z", "a/c"]),
        ("[!a]", ["b"], ["a"]),
        ("[", ["["], ["a"]),
        ("a\\*", ["a*"], ["ab"]),
    ],
)
def test_patterns(rules: str, ignored: list[str], kept: list[str]) -> None:
    ignore = Ignore.parse(rules)
    assert [path for path in ignored + kept if ignore.ignores(path)] == ignored
