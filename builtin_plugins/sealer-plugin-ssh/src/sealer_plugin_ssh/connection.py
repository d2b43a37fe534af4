"""Commands over one authenticated SSH connection."""

from __future__ import annotations

import itertools
import select
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from sealer.errors import ConnectionLostError, HostError
from sealer.extension import Connection, Exit
from sealer.extension.start_marker import StartMarker
from sealer.extension.transport import OutputObserver
from sealer_plugin_ssh.channel import STDOUT, Channel
from sealer_plugin_ssh.forwarding import Forwarding
from sealer_plugin_ssh.limits import ChannelPlaces
from sealer_plugin_ssh.multiplexer import BrokenError, Multiplexer
from sealer_plugin_ssh.privileges import Privileges
from sealer_plugin_ssh.watch import TICK, Watch

REFUSED_FOR = 15.0  # seconds for which a refused channel is asked for again
START_TIMEOUT = 60.0  # seconds that a host's start-up files and sudo may take before a command starts
Blocks = Iterable[bytes | memoryview]


class Closing(Protocol):
    """What is on the way to a host, and ends with the connection."""

    def close(self) -> None:
        """End it."""


class SshConnection(Connection):
    """One connection to one host.

    :ivar user: the login name.
    """

    def __init__(
        self,
        address: str,
        transport: Multiplexer,
        host_key: str,
        places: ChannelPlaces,
        way: Sequence[Closing] = (),
    ) -> None:
        self.address = address
        self.user = ""
        self._way = way
        self.privileges = Privileges()
        self._transport = transport
        self._host_key = host_key
        self._places = places
        self._forwardings: list[Forwarding] = []
        self._lock = threading.Lock()
        self._closed = False

    @property
    def host_key(self) -> str:
        """Fingerprint of the host's key, `SHA256:...`, as OpenSSH prints it."""
        return self._host_key

    def execute(
        self,
        command: str,
        *,
        stdin: Blocks | None = None,
        stdout: OutputObserver | None = None,
        stderr: OutputObserver | None = None,
        timeout: float | None = None,
        cancelled: threading.Event | None = None,
    ) -> Exit:
        """Run a command as root; see :meth:`sealer.extension.Connection.execute`.

        :raises CommandRefusedError: the host did something else instead.
        """
        watch = Watch(self.address, timeout, cancelled)
        marker = StartMarker(stdout, stderr)
        line, blocks = self.privileges.wrap(command, marker, stdin)
        with self._mapped_errors(), self._places.place(watch.check):
            channel = self._open("session", b"", watch)
            try:
                channel.execute(line)
                self._converse(channel, blocks or (), marker, watch)
                return self._outcome(channel, marker)
            finally:
                channel.close()

    def forward(self, port: int) -> tuple[str, int]:
        """A local address that leads to `port` on the host's loopback."""
        with self._lock:
            self._check_alive()
            forwarding = Forwarding(port, self.open_tunnel)
            self._forwardings.append(forwarding)
        return forwarding.address

    def open_tunnel(self, details: bytes, watch: Watch | None = None) -> Channel:
        """Open a `direct-tcpip` channel.

        :param details: RFC 4254, section 7.2.
        :param watch: gives up; None: after a while.
        """
        with self._mapped_errors():
            return self._open("direct-tcpip", details, watch or Watch(self.address, REFUSED_FOR, None))

    def close(self) -> None:
        """End it, and every forwarding."""
        with self._lock:
            self._closed = True
            forwardings, self._forwardings = self._forwardings, []
        for forwarding in forwardings:
            forwarding.close()
        self._transport.close()
        for connection in reversed(self._way):
            connection.close()

    # ---- opening -----------------------------------------------------------------------------------------------

    def _open(self, kind: str, details: bytes, watch: Watch) -> Channel:
        """A new open channel; one that the host refuses is asked for again for a while."""
        give_up = time.monotonic() + REFUSED_FOR
        for attempt in itertools.count():
            channel = self._transport.new_channel()
            try:
                channel.open(kind, details)
                while not channel.opened and not channel.refusal:
                    self._wait(channel, watch)
            except BaseException:
                channel.close()
                raise
            if channel.opened:
                return channel
            if kind != "session" or time.monotonic() >= give_up:
                break
            self._places.refused()
            pause = min(0.02 * 2**attempt, 1.0)
            self._pause(pause, watch)
        raise HostError(
            f"the host refused to open a channel ({channel.refusal})",
            where=self.address,
            remedy="commands left over by an earlier run may hold all its sessions: see who is logged in, "
            "or raise MaxSessions in its /etc/ssh/sshd_config"
            if kind == "session"
            else "see whether something listens on that port, and AllowTcpForwarding in its /etc/ssh/sshd_config",
        )

    def _pause(self, seconds: float, watch: Watch) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            watch.check()
            self._check_alive()
            time.sleep(min(left, TICK))

    # ---- talking -----------------------------------------------------------------------------------------------

    def _converse(self, channel: Channel, stdin: Blocks, marker: StartMarker, watch: Watch) -> None:
        """Send the input and hand out the output, whichever can go on, until the command ends."""
        observers, start_by = marker.observers, time.monotonic() + START_TIMEOUT
        pieces = _pieces(stdin)
        rest = next(pieces, None)
        sending = True
        while True:
            channel.changed.clear()
            watch.check()
            while (block := channel.take()) is not None:
                observers[0 if block[0] == STDOUT else 1](block[1])
            if channel.finished:
                return
            if not marker.seen and time.monotonic() > start_by:
                raise marker.refused(self.address, f"it has not started after {START_TIMEOUT:g} seconds")
            if sending and rest is None and channel.flush():
                channel.send_eof()
                sending = False
            if rest is not None and channel.sendable and self._writable(watch) and (sent := channel.send(rest)):
                rest = rest[sent:] or next(pieces, None)
            elif not (sending and rest is not None and channel.sendable):
                self._wait(channel, watch)
            else:
                self._transport.clear_to_send.wait(watch.tick)  # a key exchange; over in a moment

    def _writable(self, watch: Watch) -> bool:
        """Whether the socket takes a packet now: a send that blocks could not be cancelled."""
        poll = select.poll()
        poll.register(self._transport.sock, select.POLLOUT)
        return bool(poll.poll(watch.tick * 1000))

    def _wait(self, channel: Channel, watch: Watch) -> None:
        if channel.flush():
            channel.changed.wait(watch.tick)
        else:
            self._writable(watch)
        watch.check()
        self._check_alive()

    def _outcome(self, channel: Channel, marker: StartMarker) -> Exit:
        if channel.status is not None and marker.seen:
            return Exit(channel.status)
        if channel.status is not None:
            raise marker.refused(self.address, f"the login ended with status {channel.status} before it")
        if channel.request_failed:
            raise marker.refused(self.address, "its SSH server refused to")
        raise self._lost()

    # ---- the end -----------------------------------------------------------------------------------------------

    def _check_alive(self) -> None:
        if self._closed or not self._transport.is_active():
            raise self._lost()

    @contextmanager
    def _mapped_errors(self) -> Iterator[None]:
        self._check_alive()
        try:
            yield
        except BrokenError as error:
            raise self._lost() from error

    def _lost(self) -> ConnectionLostError:
        if self._closed:
            return ConnectionLostError("the connection was closed", where=self.address)
        self._transport.close()
        return ConnectionLostError(
            "the connection was lost",
            where=self.address,
            why=self._transport.end,
            remedy="check that the host is up and the network works, then run the same command again",
        )


def _pieces(blocks: Blocks) -> Iterator[memoryview]:
    """The blocks that hold anything, as bytes."""
    return (memoryview(block).cast("B") for block in blocks if len(block))
