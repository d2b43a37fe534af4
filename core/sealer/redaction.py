"""Secrets, and how they are kept out of everything a person or a file can see."""

from __future__ import annotations

import threading
from collections.abc import Iterable

HIDDEN = "******"


class Secret:
    """A string that never shows itself: `str`, `repr` and f-strings give asterisks.

    Making one registers its text with the process-wide :data:`redactor`, so that it is also removed from output that
    a host or a library echoes.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text
        redactor.add(text)

    def reveal(self) -> str:
        """The text itself; call it only where it leaves for the wire."""
        return self._text

    def __str__(self) -> str:
        return HIDDEN

    def __repr__(self) -> str:
        return f"Secret('{HIDDEN}')"

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(("Secret", self._text))


class Redactor:
    """Replaces every registered secret in a text by asterisks.

    Texts shorter than four characters are not registered: replacing them would garble every line without hiding
    anything worth hiding.
    """

    SHORTEST = 4

    def __init__(self) -> None:
        self._texts: tuple[str, ...] = ()
        self._lock = threading.Lock()

    def add(self, text: str) -> None:
        """Register `text`, and each of its lines where it has several (a private key is echoed line by line)."""
        lines = text.splitlines()
        with self._lock:
            known = set(self._texts)
            known.update(part for part in (text, *lines) if len(part) >= self.SHORTEST)
            self._texts = tuple(sorted(known, key=len, reverse=True))  # the longest first: one may contain another

    def __call__(self, text: str) -> str:
        """`text` with asterisks for every secret in it."""
        for secret in self._texts:
            if secret in text:
                text = text.replace(secret, HIDDEN)
        return text

    def lines(self, lines: Iterable[str]) -> tuple[str, ...]:
        """Each of `lines` redacted."""
        return tuple(self(line) for line in lines)


redactor = Redactor()
