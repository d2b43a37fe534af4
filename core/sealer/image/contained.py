"""Starting :mod:`sealer.image.containment`, and what it says of the command in it."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from types import TracebackType

_PROGRAM = Path(__file__).with_name("containment.py")


class Report:
    """The pipe on which the first process of a world tells how it went; use it in a `with`.

    :ivar end: the descriptor to pass to the program.
    """

    def __init__(self) -> None:
        self._descriptor, self.end = os.pipe()
        self._open = True

    def __enter__(self) -> Report:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hand_over()
        os.close(self._descriptor)

    @property
    def arguments(self) -> list[str]:
        """The command that makes the world; it reads a `Request` from its standard input."""
        return [sys.executable, "-I", "-S", str(_PROGRAM), str(self.end), str(os.getpid())]

    def hand_over(self) -> None:
        """Close our own end: the program has it now, or never will."""
        if self._open:
            self._open = False
            os.close(self.end)

    def outcome(self) -> tuple[int | None, str]:
        """After the program ended: the command's return code; None: it was not started, and why."""
        self.hand_over()
        with open(self._descriptor, "rb", closefd=False) as file:
            said = {key: value for line in file for key, value in json.loads(line).items()}
        if "started" in said:
            return os.waitstatus_to_exitcode(int(said.get("status", signal.SIGKILL))), ""
        return None, str(said.get("error", ""))
