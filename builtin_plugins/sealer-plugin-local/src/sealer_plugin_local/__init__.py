"""The transport `local`: the machine that sealer itself runs on."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterable

from sealer.errors import ConnectionLostError, HostError
from sealer.extension import Connection, Exit, Transport
from sealer.extension.start_marker import EVAL, StartMarker
from sealer.extension.transport import OutputObserver
from sealer.hosts import Host, is_this_machine
from sealer_plugin_local.conversation import Conversation

__all__ = ["LocalConnection", "LocalTransport"]

LOOPBACK = "127.0.0.1"
PROBE_TIMEOUT = 30  # seconds; sudo may ask a directory service


class LocalTransport(Transport):
    """Commands on this machine. The driver has no fields of its own."""

    def connect(self, host: Host) -> Connection:
        """Make sure that the host is this machine, and that commands can run as root here.

        :raises HostError: it is another one, or they cannot.
        """
        if not is_this_machine(host.address):
            raise HostError(
                "it is not this machine, and the transport 'local' leads nowhere else",
                where=host.id,
                remedy="leave spec.transport and --transport out: other machines are reached over SSH then",
            )
        return LocalConnection(host.address, _way_to_root(host))


class LocalConnection(Connection):
    """This machine, until it is closed.

    :param address: what messages call it.
    :param prefix: the words before a command that make it root's.
    """

    def __init__(self, address: str, prefix: tuple[str, ...] = ()) -> None:
        self._address = address
        self._prefix = prefix
        self._closed = threading.Event()

    @property
    def host_key(self) -> str:
        """Nothing identifies this machine to itself."""
        return ""

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
        """Run a command; see :meth:`sealer.extension.Connection.execute`."""
        self._check_open()
        marker = StartMarker(stdout, stderr)
        arguments: tuple[str, ...] = ("/bin/sh", "-c", command)
        if self._prefix:  # sudo prints and fails in its own name, too
            arguments = (*self._prefix, "/bin/sh", "-c", marker.script(EVAL, reads=False), "sh", command)
            stdout, stderr = marker.observers
        with Conversation(
            self._address, arguments, stdout=stdout, stderr=stderr, timeout=timeout, cancelled=cancelled
        ) as conversation:
            status = conversation.hold(stdin or (), self._check_open)
        if self._prefix and not marker.seen:
            raise marker.refused(self._address, f"{self._prefix[0]} ended with status {status} before it")
        return Exit(status)

    def forward(self, port: int) -> tuple[str, int]:
        """The port itself: it is on this machine."""
        self._check_open()
        return LOOPBACK, port

    def close(self) -> None:
        """End it, and what runs on it; may be called twice."""
        self._closed.set()

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise ConnectionLostError("the connection was closed", where=self._address)


def _way_to_root(host: Host) -> tuple[str, ...]:
    if os.geteuid() == 0:
        return ()
    prefix = ("sudo", "-n", "--")
    remedy = "run sealer as root, or allow this user sudo without a password"
    try:
        # -k: an earlier password that sudo still remembers would be forgotten in the middle of the run.
        done = subprocess.run(
            ("sudo", "-k", "-n", "--", "/bin/sh", "-c", ":"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PROBE_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostError("commands cannot run as root here", where=host.id, why=str(error), remedy=remedy) from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").splitlines()
        raise HostError("commands cannot run as root here", where=host.id, remedy=remedy, output=said[-5:])
    return prefix
