"""sealer, killed by SIGKILL at a moment of its own work.

    python killed_sealer.py WHEN WHAT ARGUMENTS...

WHEN and WHAT are the moment:

`before NUMBER`, `after NUMBER`
    right before or right after the record of that number is written to the journal, counted from 1
`record TEXT`
    right after a record is on disk: TEXT is its kind and its step, or their beginning (`intend Install/kubeadm/init`)
`event TEXT`
    right after something was told: TEXT is the state, the step and the message (`output Init/kernel/init +`), or their
    beginning; what has no record of its own, as a query, is told all the same

The number 0 kills nothing and prints at the end how many records were written.

The only double in it: the functions that write records and tell of things are wrapped, since nothing outside of a
process can stop it between two instructions.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Mapping
from typing import Any

from sealer.cluster.journal import Journal
from sealer.events import EventStream, State

when, what = sys.argv[1:3]
written = 0
write, tell = Journal._append, EventStream.emit
one_at_a_time = threading.Lock()


def counted(self: Journal, record: Mapping[str, Any]) -> None:
    """Write a record, or die; one thread at a time, so that the count is the record's own."""
    global written  # noqa: PLW0603  # a counter of one short program
    with one_at_a_time:
        written += 1
        die_at("before", str(written))
        write(self, record)
        die_at("after", str(written))
        if f"{record['record']} {record.get('step', '')}".startswith(what):
            die_at("record", what)


def told(self: EventStream, state: State, **fields: Any) -> None:
    """Tell of something, and die of it."""
    tell(self, state, **fields)
    if f"{state} {fields.get('step', '')} {fields.get('message', '')}".startswith(what):
        die_at("event", what)


def die_at(*moment: str) -> None:
    """Die, if the moment is the one."""
    if moment == (when, what):
        os.kill(os.getpid(), signal.SIGKILL)


Journal._append = counted  # type: ignore[method-assign]
EventStream.emit = told  # type: ignore[method-assign]
sys.argv[:3] = ["sealer"]
try:
    from sealer.cli import main

    main()
finally:
    sys.stderr.write(f"records={written}\n")
