"""Servers to which no way leads: refused connections, unknown names, networks that cannot be reached.

A server that is there but busy or restarting deserves patience. One that never answered and refuses to be reached is
mostly a wrong name, or a site without internet: it is tried twice, and all that is wanted of it fails with that.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable

from sealer.image.registry.limits import AgainError, Limits


class Absences:
    """Counts, for all threads of one transfer."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._failures: dict[Hashable, int] = {}
        self._given_up: dict[Hashable, str] = {}
        self._seen: set[Hashable] = set()

    def check(self, server: Hashable) -> None:
        """Fail at once for a server that was given up.

        :raises AgainError: it was; another attempt promises nothing.
        """
        if why := self._given_up.get(server):
            error = AgainError(why, absent=True)
            error.last = True
            raise error

    def answered(self, server: Hashable) -> None:
        """It is there; whatever fails from now on passes."""
        self._seen.add(server)

    def failed(self, server: Hashable, error: AgainError, begun: float) -> None:
        """Note a failure; it becomes the last one where another attempt promises nothing.

        :param begun: when the attempt began, by the monotonic clock: a resolver may have taken its time.
        """
        if not error.absent or server in self._seen:
            error.absent = False
            return
        with self._lock:
            count = self._failures[server] = self._failures.get(server, 0) + 1
        slow = time.monotonic() - begun >= self._limits.absent_seconds
        if slow or count >= self._limits.absent_attempts:
            error.last = True
            self._given_up[server] = error.why
