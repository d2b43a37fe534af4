"""Standard streams that the caller has closed, as with `sealer images >&-`.

Without a replacement the next file that is opened gets the closed one's number, and what is meant for stderr goes into
it.
"""

from __future__ import annotations

import os
import sys


def replace_closed() -> None:
    """Let every standard stream that is closed lead nowhere."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):  # in this order: the lowest number is given
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(descriptor, True)  # programs we start expect all three as well
            setattr(sys, name, os.fdopen(descriptor, mode, encoding="utf-8", errors="replace"))
