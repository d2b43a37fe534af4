"""Hints for mistyped words, within bounds."""

from __future__ import annotations

import time

import pytest

from sealer import suggestions
from sealer.cli import root
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


COMMANDS = list(root.COMMANDS)
# What people type who know Docker, kubectl, Helm or Terraform, and what no command of sealer's is a mistyped form of.
OF_OTHERS = [
    "upgrade",
    "logs",
    "ps",
    "up",
    "down",
    "get",
    "ssh",
    "stop",
    "kill",
    "attach",
    "install",
    "rollback",
]


@pytest.mark.parametrize("word", OF_OTHERS)
def test_a_word_of_another_program_is_no_typing_error(word: str) -> None:
    assert close_matches(word, [name for name in COMMANDS if name != word]) == []


@pytest.mark.parametrize("name", COMMANDS)
def test_one_slip_of_a_finger_is_found_in_every_command(name: str) -> None:
    """A letter left out, doubled, replaced, or swapped with its neighbour, at every place."""
    slips = {name[:at] + name[at + 1 :] for at in range(len(name))}
    slips |= {name[: at + 1] + name[at:] for at in range(len(name))}
    slips |= {name[:at] + name[at + 1] + name[at] + name[at + 2 :] for at in range(len(name) - 1)}
    slips -= {*COMMANDS, ""}
    missed = [slip for slip in sorted(slips) if len(slip) > 3 and name not in close_matches(slip, COMMANDS, n=2)]
    assert missed == []


@pytest.mark.parametrize(
    ("word", "near"), [("Clutser", ["Cluster"]), ("mastres", ["masters"]), ("node", ["nodes"]), ("PreIntall", [])]
)
def test_words_of_files(word: str, near: list[str]) -> None:
    assert close_matches(word, ["Cluster", "masters", "nodes", "PreJoin", "PostInstall"]) == near
