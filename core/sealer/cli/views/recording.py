"""The file that keeps every event of a run."""

from __future__ import annotations

import json
import os
from pathlib import Path

from sealer.events import Event
from sealer.image.storage import make_directories


class Recording:
    """Appends every event to `path`, readable by its owner alone; one write an event, so that a crash loses none.

    :param path: its directory is made if need be.
    """

    def __init__(self, path: Path) -> None:
        make_directories(path.parent)
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
