"""sealer, killed by SIGKILL right before or right after it writes a certain record of its journal.

    python killed_sealer.py before|after NUMBER ARGUMENTS...

The only double in it: the function that writes records is wrapped, since nothing outside of a process can stop it
between two instructions. The number 0 kills nothing and prints at the end how many records were written.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Mapping
from typing import Any

from sealer.cluster.journal import Journal

when, number = sys.argv[1], int(sys.argv[2])
written = 0
write = Journal._append
one_at_a_time = threading.Lock()


def counted(self: Journal, record: Mapping[str, Any]) -> None:
    """Write a record, or die; one thread at a time, so that the count is the record's own."""
    global written  # noqa: PLW0603  # a counter of one short program
    with one_at_a_time:
        written += 1
        if written == number and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        write(self, record)
        if written == number:
            os.kill(os.getpid(), signal.SIGKILL)


Journal._append = counted  # type: ignore[method-assign]
sys.argv[:3] = ["sealer"]
try:
    from sealer.cli import main

    main()
finally:
    sys.stderr.write(f"records={written}\n")
