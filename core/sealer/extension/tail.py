"""Output of which only the end is kept."""

from __future__ import annotations

TAIL = 16 << 10  # bytes; as much as a message shows, with room for long lines


class Tail:
    """The last bytes of a stream, however much of it there is: what a host prints has no limit.

    :param limit: bytes that are kept.
    """

    def __init__(self, limit: int = TAIL) -> None:
        self._limit = limit
        self._kept = bytearray()

    def feed(self, block: bytes | memoryview) -> None:
        """The next bytes."""
        self._kept += block[-self._limit :]
        if len(self._kept) > 2 * self._limit:  # not with each block: that would copy all of it for a few bytes
            del self._kept[: -self._limit]

    def __bytes__(self) -> bytes:
        return bytes(self._kept[-self._limit :])

    @property
    def text(self) -> str:
        """What is kept, as text."""
        return bytes(self).decode("utf-8", "replace")
