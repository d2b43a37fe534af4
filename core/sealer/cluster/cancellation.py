"""How a run is asked to stop."""

from __future__ import annotations

import threading


class Cancellation:
    """Two levels: `stop` (no new work; scripts that may run again are ended) and `now` (every script is ended)."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.now = threading.Event()

    def request(self) -> int:
        """One more Ctrl-C; returns how many there were."""
        if not self.stop.is_set():
            self.stop.set()
            return 1
        if not self.now.is_set():
            self.now.set()
            return 2
        return 3
