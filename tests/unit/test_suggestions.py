"""Hints for mistyped words, within bounds."""

from __future__ import annotations

import time

import pytest

from sealer import suggestions
from sealer.errors import InputError
from sealer.suggestions import close_matches
from sealer.templates.gotemplate import render


def test_thousands_of_unknown_names_get_hints_for_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suggestions, "_compared", 0)
    values = {f"name{number}": "" for number in range(2000)}
    text = "".join(f"{{{{ .nome{number} }}}}" for number in range(10_000))
    began = time.monotonic()
    with pytest.raises(InputError) as caught:
        render(text, values, "f")
    assert time.monotonic() - began < 10
    assert "did you mean" in caught.value.problems[0].message
    assert "did you mean" not in caught.value.problems[-1].message


def test_a_word_of_great_length_is_like_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suggestions, "_compared", 0)
    assert close_matches("aple", ["apple", "pear", "a" * 1_000_000]) == ["apple"]
    assert close_matches("a" * 1_000_000, ["a" * 79]) == []
