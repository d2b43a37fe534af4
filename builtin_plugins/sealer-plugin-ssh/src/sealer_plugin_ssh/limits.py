"""How much is asked of a host, and of this machine, at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Key exchange is computing: more at once than this only makes each of them slower.
HANDSHAKES = threading.BoundedSemaphore(10)
# OpenSSH starts to drop connections when more than 10 of them are not authenticated yet (MaxStartups 10:30:100).
PER_TARGET = 8

_targets: dict[tuple[str, int], threading.BoundedSemaphore] = {}
_targets_lock = threading.Lock()


def unauthenticated(address: str, port: int) -> threading.BoundedSemaphore:
    """The places for connections to one server that are not authenticated yet."""
    with _targets_lock:
        return _targets.setdefault((address, port), threading.BoundedSemaphore(PER_TARGET))


class ChannelPlaces:
    """The places for open channels on one connection; a refusal by the host lowers their number for good."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._taken = 0
        self._freed = threading.Condition()

    @contextmanager
    def place(self, check: Callable[[], None]) -> Iterator[None]:
        """One place, as soon as there is one.

        :param check: called several times a second while waiting; raises to give up.
        """
        with self._freed:
            while self._taken >= self.limit:
                check()
                self._freed.wait(0.1)
            self._taken += 1
        try:
            yield
        finally:
            with self._freed:
                self._taken -= 1
                self._freed.notify()

    def refused(self) -> None:
        """The host refused a channel while `taken - 1` others were open (or about to be)."""
        with self._freed:
            self.limit = max(1, min(self.limit, self._taken - 1))
