"""What somebody may have meant who mistyped a word.

A hint is worth a moment: a file with thousands of unknown words gets hints for the first ones, and then none.
"""

from __future__ import annotations

from collections.abc import Iterable

LONGEST = 80  # characters of a word that is compared
MOST_COMPARED = 50_000  # pairs of words in the life of a process: about two seconds
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

    return difflib.get_close_matches(word, candidates, n=n, cutoff=cutoff)
