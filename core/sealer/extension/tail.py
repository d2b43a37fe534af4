"""What hosts print, read with care: of output only the end is kept, and a number may be none."""

from __future__ import annotations

from sealer.redaction import redactor

TAIL = 16 << 10  # bytes; as much as a message shows, with room for long lines


class Tail:
    """The last bytes of a stream, however much of it there is: what a host prints has no limit.

    :param limit: bytes that are kept.
    """

    def __init__(self, limit: int = TAIL) -> None:
        self._limit = limit
        self._kept = bytearray()
        self._cut = False

    def feed(self, block: bytes | memoryview) -> None:
        """The next bytes."""
        self._cut = self._cut or len(self._kept) + len(block) > self._limit
        self._kept += block[-self._limit :]
        if len(self._kept) > 2 * self._limit:  # not with each block: that would copy all of it for a few bytes
            del self._kept[: -self._limit]

    def __bytes__(self) -> bytes:
        return bytes(self._kept[-self._limit :])

    @property
    def text(self) -> str:
        """What is kept, as text; whole lines, where some had to go: half of a secret could not be recognised."""
        text = bytes(self).decode("utf-8", "replace")
        if not self._cut:
            return text
        _, newline, rest = text.partition("\n")
        return rest if newline and rest.strip() else text[redactor.longest :]


def whole_number(text: str) -> int | None:
    """A number from 0 up that a host has printed; None: it is none, or of more digits than any size or time has."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None
