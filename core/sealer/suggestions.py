"""What somebody may have meant who mistyped a word.

A hint is worth a moment: a file with thousands of unknown words gets hints for the first ones, and then none.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

LONGEST = 80  # characters of a word that is compared
MOST_COMPARED = 50_000  # pairs of words in the life of a process: about two seconds
_STEM = 5  # letters
_MORE = 5  # of those that difflib finds alike are looked at beyond what is asked for
_compared = 0


def close_matches(word: str, known: Iterable[str], n: int = 1, cutoff: float = 0.6) -> list[str]:
    """The known words that are most like a word, the nearest first.

    :param n: how many, at most.
    :param cutoff: how like they must be, from 0 to 1.
    """
    global _compared  # noqa: PLW0603  # that is the bound
    if _compared >= MOST_COMPARED:
        return []
    candidates = [name for name in known if len(name) <= LONGEST]
    if len(word) > LONGEST or _compared + len(candidates) > MOST_COMPARED:
        return []
    _compared += len(candidates)
    import difflib  # noqa: PLC0415  # only who mistypes a word waits for it

    # Words that only share their letters are no hint: 'logs' is not a mistyped 'login'.
    alike = difflib.get_close_matches(word, candidates, n=n + _MORE, cutoff=cutoff)
    return [name for name in alike if _one_stem(word, name) or _distance(word, name) <= _most_typos(word, name)][:n]


def _one_stem(word: str, name: str) -> bool:
    """Whether most of both is the same beginning: `registry` and `registries`, a word that was written short."""
    common = len(os.path.commonprefix([word.lower(), name.lower()]))  # noqa: RUF071  # letters are what is compared
    return common >= _STEM and common >= 0.6 * max(len(word), len(name))


def _most_typos(word: str, name: str) -> int:
    """How many slips of a finger may lie between two words."""
    return max(1, min(len(word), len(name)) // 3)


def _distance(one: str, other: str) -> int:
    """Letters that are added, left out, replaced, or swapped with their neighbour; of case nothing is said."""
    one, other = one.lower(), other.lower()
    before: list[int] = []
    last = list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        line = [row]
        for column, its in enumerate(other, 1):
            cost = min(last[column] + 1, line[column - 1] + 1, last[column - 1] + (letter != its))
            if row > 1 and column > 1 and letter == other[column - 2] and one[row - 2] == its:
                cost = min(cost, before[column - 2] + 1)
            line.append(cost)
        before, last = last, line
    return last[-1]
