"""Secrets, and how they are kept out of everything a person or a file can see."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator

HIDDEN = "******"
_SHORTEST_ENCODED = 6  # characters; fewer may stand in any base64, and say little


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
    """Replaces every registered secret in a text by asterisks, also in the forms that programs write strings in.

    Texts shorter than four characters are not registered: replacing them would garble every line without hiding
    anything worth hiding.

    :ivar longest: bytes of the longest form: whoever cuts a stream keeps as much back, so that no secret is cut in two.
    """

    SHORTEST = 4

    def __init__(self) -> None:
        self.longest = 0
        self._texts: tuple[str, ...] = ()
        self._lock = threading.Lock()

    def add(self, text: str) -> None:
        """Register `text`, and each of its lines where it has several (a private key is echoed line by line)."""
        lines = text.splitlines()
        parts = {part for part in (text, *lines) if len(part) >= self.SHORTEST}
        with self._lock:
            if parts <= set(self._texts):
                return
            known = {*self._texts, *parts, *(form for part in parts for form in _forms(part, whole=part == text))}
            self._texts = tuple(sorted(known, key=len, reverse=True))  # the longest first: one may contain another
            self.longest = max(len(form.encode("utf-8", "surrogateescape")) for form in known)

    def __call__(self, text: str) -> str:
        """`text` with asterisks for every secret in it."""
        for secret in self._texts:
            if secret in text:
                text = text.replace(secret, HIDDEN)
        return text

    def of_bytes(self, data: bytes) -> bytes:
        """As for a text; what is no UTF-8 stays as it is."""
        if not self._texts:
            return data
        return self(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")

    def cut(self, rest: bytes, width: int, tell: Callable[[bytes], None]) -> bytes:
        """Give pieces of a line that is longer than `width` to `tell`; what is returned may begin a secret.

        Half of a secret could not be recognised: they are taken out of the whole first, and as much of the end is kept
        back as the longest has.
        """
        if len(rest) <= width + self.longest:
            return rest
        rest, start = self.of_bytes(rest), 0
        while len(rest) - start > width + self.longest:
            tell(rest[start : start + width])
            start += width
        return rest[start:]

    def lines(self, lines: Iterable[str]) -> tuple[str, ...]:
        """Each of `lines` redacted."""
        return tuple(self(line) for line in lines)


def _forms(text: str, *, whole: bool) -> Iterator[str]:
    """What becomes of `text` where a program quotes or encodes it: JSON, shell, Python, URL, base64.

    :param whole: it is no line of a longer one, which is encoded as a whole.
    """
    import base64  # noqa: PLC0415  # only who has a secret pays for these
    import json  # noqa: PLC0415
    import re  # noqa: PLC0415
    from urllib.parse import quote, quote_plus  # noqa: PLC0415

    data = text.encode("utf-8", "surrogateescape")
    quoted = {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1], repr(data)[2:-1]}
    quoted |= {json.dumps(text)[1:-1].replace("/", "\\/"), json.dumps(json.dumps(text)[1:-1])[1:-1]}
    quoted |= {text.replace("'", "'\\''"), text.replace("'", "'\"'\"'"), text.replace("'", "''")}
    quoted |= {re.sub(r"([^\w@%+=:,./-])", r"\\\1", text), re.sub(r'(["$`\\])', r"\\\1", text)}
    escapes = quote(data, safe="")
    quoted |= {escapes, quote(data), quote_plus(data), re.sub("%..", lambda found: found[0].lower(), escapes)}
    yield from quoted
    if not whole or len(data) < _SHORTEST_ENCODED:
        return
    alone = base64.b64encode(data).decode().rstrip("=")
    found = [alone, *(alone[start : start + width] for width in (64, 76) for start in range(0, len(alone), width))]
    for before in range(3):  # a part of something longer, such as user:password, begins anywhere in a group of three
        encoded = base64.b64encode(b"\0" * before + data).decode().rstrip("=")
        # What shares a character with a neighbour is left out.
        first, last = -(-before * 8 // 6), (before + len(data)) * 8 // 6
        found.append(encoded[first:last])
    for form in found:
        if len(form) >= _SHORTEST_ENCODED:
            yield form
            yield form.replace("+", "-").replace("/", "_")


redactor = Redactor()
