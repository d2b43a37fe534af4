"""What a transport gives the kernel: one connection to one host."""

from __future__ import annotations

import abc
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Exit:
    """How a command ended.

    :param status: exit status; 128 + n when signal n ended it.
    """

    status: int


OutputObserver = Callable[[bytes], None]


class Connection(abc.ABC):
    """One authenticated connection to one host, for the whole run. Commands run as root.

    May be used by several threads at once; the transport keeps the number of open channels within what the host
    allows. After :class:`~sealer.errors.ConnectionLostError` every further call raises it too.

    :ivar user: login name that the transport found out by itself; the kernel records it. Empty: none.
    """

    user: str = ""

    @abc.abstractmethod
    def execute(
        self,
        command: str,
        *,
        stdin: Iterable[bytes | memoryview] | None = None,
        stdout: OutputObserver | None = None,
        stderr: OutputObserver | None = None,
        timeout: float | None = None,
        cancelled: threading.Event | None = None,
    ) -> Exit:
        """Run a command line for `/bin/sh -c`, and wait for its end.

        :param stdin: blocks, sent as they come, then end-of-file; None: end-of-file at once. An error that the
            iterable raises ends the command and is passed on. A command that ends without reading it all is no error.
        :param stdout: called with each block as it arrives; None: thrown away.
        :param timeout: seconds until it is given up.
        :param cancelled: when set, the call ends at once.
        :raises StepTimeoutError: the time is over. The command may still run on the host.
        :raises InterruptedRunError: `cancelled` was set. The command may still run on the host.
        :raises ConnectionLostError: the connection broke, or the host did not answer for 30 seconds.
        :raises CommandRefusedError: the host did something else instead: status 0 of a login shell is no proof that
            the command ran (see :mod:`sealer.extension.start_marker`).
        """

    @abc.abstractmethod
    def forward(self, port: int) -> tuple[str, int]:
        """A local host and port that lead to `port` on the host's loopback, until :meth:`close`."""

    @abc.abstractmethod
    def close(self) -> None:
        """End it; may be called twice."""

    @property
    @abc.abstractmethod
    def host_key(self) -> str:
        """What identifies the machine on this transport, e.g. an SSH host key's fingerprint; empty if nothing does."""
