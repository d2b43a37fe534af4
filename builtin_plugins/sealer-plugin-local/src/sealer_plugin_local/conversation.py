"""One command of this machine, from its start to its end."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

from sealer.errors import InterruptedRunError, StepTimeoutError
from sealer.extension.transport import OutputObserver

TICK = 0.1  # seconds between two looks at `cancelled`
BLOCK = 1 << 18
HOME = Path("/root")

# What sshd would give to root; nothing of sealer's own environment reaches a command.
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": str(HOME),
    "USER": "root",
    "LOGNAME": "root",
    "SHELL": "/bin/sh",
}


class Conversation:
    """A running command. Leaving the context before its end kills it with its process group.

    :param where: what messages call this machine.
    """

    def __init__(
        self,
        where: str,
        arguments: Sequence[str],
        *,
        stdout: OutputObserver | None,
        stderr: OutputObserver | None,
        timeout: float | None,
        cancelled: threading.Event | None,
    ) -> None:
        self._where = where
        self._timeout = timeout
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._cancelled = cancelled
        self._process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            cwd=HOME if os.access(HOME, os.X_OK) else "/",
            env=ENVIRONMENT,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._stdin = self._process.stdin.fileno()
        self._outputs = {self._process.stdout.fileno(): stdout, self._process.stderr.fileno(): stderr}
        for handle in (self._stdin, *self._outputs):
            os.set_blocking(handle, False)

    def __enter__(self) -> Conversation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        if process.returncode is None:  # not waited for yet, so that the number is still its own
            with contextlib.suppress(ProcessLookupError, PermissionError):  # the latter: it is sudo's, not ours
                os.killpg(process.pid, signal.SIGKILL)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        process.wait()

    def hold(self, blocks: Iterable[bytes | memoryview], check: Callable[[], None]) -> int:
        """Send the input and hand out the output, whichever can go on, until the command has ended.

        :param check: called several times a second; raises to give up.
        :returns: exit status, or 128 + n for signal n.
        """
        pieces = (memoryview(block).cast("B") for block in blocks if len(block))
        rest = self._next(pieces)
        while self._outputs:
            self._check(check)
            ready = self._wait(sending=rest is not None)
            for handle in [handle for handle in self._outputs if handle in ready]:
                self._read(handle)
            if rest is not None and self._stdin in ready:
                rest = self._write(rest, pieces)
        while self._process.poll() is None:  # it closed its output, and goes on
            self._check(check)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(self._tick())
        status = self._process.returncode
        return status if status >= 0 else 128 - status

    def _wait(self, *, sending: bool) -> dict[int, int]:
        poll = select.poll()
        for handle in self._outputs:
            poll.register(handle, select.POLLIN)
        if sending:
            poll.register(self._stdin, select.POLLOUT)
        return dict(poll.poll(self._tick() * 1000))

    def _read(self, handle: int) -> None:
        try:
            block = os.read(handle, BLOCK)
        except BlockingIOError:
            return
        if not block:
            del self._outputs[handle]
            return
        observer = self._outputs[handle]
        if observer is not None:
            observer(block)

    def _write(self, rest: memoryview, pieces: Iterator[memoryview]) -> memoryview | None:
        try:
            rest = rest[os.write(self._stdin, rest) :]
        except BlockingIOError:
            return rest
        except BrokenPipeError:  # it does not want the rest
            self._end_input()
            return None
        return rest if len(rest) else self._next(pieces)

    def _next(self, pieces: Iterator[memoryview]) -> memoryview | None:
        piece = next(pieces, None)
        if piece is None:
            self._end_input()
        return piece

    def _end_input(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()

    def _tick(self) -> float:
        if self._deadline is None:
            return TICK
        return max(0.001, min(TICK, self._deadline - time.monotonic()))

    def _check(self, check: Callable[[], None]) -> None:
        check()
        if self._cancelled is not None and self._cancelled.is_set():
            raise InterruptedRunError("interrupted", where=self._where)
        if self._deadline is not None and time.monotonic() >= self._deadline:
            raise StepTimeoutError(
                f"not done after {self._timeout:g} seconds", where=self._where, remedy="allow it more time"
            )
