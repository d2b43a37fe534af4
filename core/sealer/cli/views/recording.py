"""The file that keeps every event of a run."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

from sealer.cluster.runs import LONGEST_LINE
from sealer.events import Event, State
from sealer.image.storage import make_directories

LONGEST_MESSAGE = 64 << 10  # characters; with each of them escaped, still a line that is read again
MOST_OF_ONE = 4 << 20  # bytes of events for what one step prints on one host
MOST_OF_ALL = 256 << 20  # bytes of events for what all steps print on all hosts


class Recording:
    """Appends every event to `path`, readable by its owner alone; one write an event, so that a crash loses none.

    What hosts print is recorded up to a size, whatever they print; an event says where the rest is.

    :param path: its directory is made if need be.
    :param most_of_one, most_of_all: bytes of output that are recorded, of one step on one host and in all.
    """

    def __init__(self, path: Path, most_of_one: int = MOST_OF_ONE, most_of_all: int = MOST_OF_ALL) -> None:
        make_directories(path.parent)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._most_of_one = most_of_one
        self._most_of_all = most_of_all
        self._all = 0
        self._output: Counter[tuple[str, str]] = Counter()  # bytes, by step and host

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """No more events."""
        os.close(self._file)

    def __call__(self, event: Event) -> None:
        """Append `event`."""
        if len(event.message) > LONGEST_MESSAGE:
            event = replace(event, message=f"{event.message[:LONGEST_MESSAGE]}... ({len(event.message)} characters)")
        line = _line(event)
        if len(line) > LONGEST_LINE:
            line = _line(replace(event, data={}))
        if event.state is State.OUTPUT:
            line = self._counted(event, line)
        os.write(self._file, line)

    def _counted(self, event: Event, line: bytes) -> bytes:
        """The line to write for what a host printed; empty: that it is too much has been said."""
        key = (event.step, event.host)
        before = self._output[key]
        if before < 0:
            return b""
        if before + len(line) <= self._most_of_one and self._all + len(line) <= self._most_of_all:
            self._output[key] += len(line)
            self._all += len(line)
            return line
        self._output[key] = -1
        limit = self._most_of_one if before + len(line) > self._most_of_one else self._most_of_all
        text = (
            f"[output cut: more than {limit >> 10} KiB; the rest is in the file `output` of the step's receipt on the "
            "host, below `receipts` in the cluster's data directory]"
        )
        return _line(replace(event, message=text, data={**event.data, "cut": True}))


def _line(event: Event) -> bytes:
    return json.dumps(event.as_json()).encode() + b"\n"
