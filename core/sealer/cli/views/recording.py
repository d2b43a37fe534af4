"""The file that keeps every event of a run."""

from __future__ import annotations

import json
import os
from pathlib import Path

from sealer.events import Event


class Recording:
    """Appends every event to `path`, readable by its owner alone; one write an event, so that a crash loses none.

    :param path: its directory is made if need be.
    """

    def __init__(self, path: Path) -> None:
        for directory in (path.parent.parent, path.parent):  # mkdir's mode is for the last one alone
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """No more events."""
        os.close(self._file)

    def __call__(self, event: Event) -> None:
        """Append `event`."""
        os.write(self._file, json.dumps(event.as_json()).encode() + b"\n")
