"""A local port that leads to a port on the host's loopback."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from collections.abc import Callable

from sealer.errors import SealerError
from sealer_plugin_ssh.channel import Channel
from sealer_plugin_ssh.multiplexer import BrokenError

OpenTunnel = Callable[[bytes], Channel]
LOOPBACK = "127.0.0.1"
STUCK_TICK = 20  # milliseconds between two attempts while the connection takes nothing


class Forwarding:
    """Listens until it is closed. Each accepted connection costs two threads, for as long as it lasts."""

    def __init__(self, port: int, open_tunnel: OpenTunnel) -> None:
        self._port = port
        self._open_tunnel = open_tunnel
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._closed = False
        self._listener = socket.create_server((LOOPBACK, 0))
        self.address: tuple[str, int] = (LOOPBACK, self._listener.getsockname()[1])
        threading.Thread(target=self._accept, name=f"forward-{port}", daemon=True).start()

    def close(self) -> None:
        """End it, and every connection through it."""
        with self._lock:
            self._closed = True
            sockets = list(self._sockets)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the accept, which a close alone would not
        self._listener.close()
        for local in sockets:
            _shut(local, socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                local, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if self._closed:
                    local.close()
                    return
                self._sockets.add(local)
            threading.Thread(target=self._serve, args=(local,), daemon=True).start()

    def _serve(self, local: socket.socket) -> None:
        """Everything that is sent on the channel is sent by this thread; a second one only writes to the socket."""
        try:
            with local, contextlib.suppress(SealerError, BrokenError, OSError):
                origin, origin_port = local.getpeername()[:2]
                target = _text(LOOPBACK) + struct.pack(">I", self._port)
                channel = self._open_tunnel(target + _text(origin) + struct.pack(">I", origin_port))
                try:
                    _pump(local, channel)
                finally:
                    channel.close()
        finally:
            with self._lock:
                self._sockets.discard(local)


def tunnel(open_tunnel: OpenTunnel, host: str, port: int) -> socket.socket:
    """A socket that leads to a port of a host that the other side reaches; one thread carries it.

    :raises HostError: the other side does not reach it.
    """
    channel = open_tunnel(_text(host) + struct.pack(">I", port) + _text(LOOPBACK) + struct.pack(">I", 0))
    ours, theirs = socket.socketpair()

    def carry() -> None:
        with theirs, contextlib.suppress(SealerError, BrokenError, OSError):
            try:
                _pump(theirs, channel)
            finally:
                channel.close()

    threading.Thread(target=carry, name=f"tunnel-{host}-{port}", daemon=True).start()
    return ours


class _Wake(threading.Event):
    """A channel's `changed` that also makes a socket readable, so that one thread can wait for both sides."""

    def __init__(self) -> None:
        super().__init__()
        self.readable, self._writable = socket.socketpair()
        self._writable.setblocking(False)

    def set(self) -> None:
        with contextlib.suppress(OSError):  # full: it is readable already; closed: nobody waits any more
            self._writable.send(b"!")

    def close(self) -> None:
        self.readable.close()
        self._writable.close()


def _pump(local: socket.socket, channel: Channel) -> None:
    local.setblocking(False)
    wake = channel.changed = _Wake()
    wake.set()  # what came before is not forgotten
    try:
        _Pump(local, channel, wake.readable).run()
    finally:
        channel.changed = threading.Event()
        wake.close()


class _Pump:
    """Carries bytes both ways; neither way ever waits for the other."""

    def __init__(self, local: socket.socket, channel: Channel, wake: socket.socket) -> None:
        self._local, self._channel, self._wake = local, channel, wake
        self._upward = memoryview(b"")  # from the socket, not sent on the channel yet
        self._downward = b""  # from the channel, not written to the socket yet
        self._reading = self._writing = True
        self._stuck = False

    def run(self) -> None:
        while self._reading or self._writing:
            ready = self._wait()
            if self._wake.fileno() in ready:
                self._wake.recv(4096)
            if ready.get(self._local.fileno(), 0) & (select.POLLIN | select.POLLHUP | select.POLLERR):
                self._read()
            while self._upward and self._channel.sendable and (sent := self._channel.send(self._upward)):
                self._upward = self._upward[sent:]
            self._stuck = not self._channel.flush() or bool(self._upward and self._channel.sendable)
            self._write()
            if self._channel.finished and not self._writing:
                return

    def _wait(self) -> dict[int, int]:
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        wanted = (select.POLLIN if self._reading and not self._upward else 0) | (
            select.POLLOUT if self._downward else 0
        )
        if wanted:
            poll.register(self._local, wanted)
        return dict(poll.poll(STUCK_TICK if self._stuck else None))

    def _read(self) -> None:
        if not self._reading or self._upward:
            return
        with contextlib.suppress(BlockingIOError):
            self._upward = memoryview(self._local.recv(1 << 20))
            if not self._upward:
                self._reading = False
                self._channel.send_eof()

    def _write(self) -> None:
        while self._writing:
            if not self._downward:
                block = self._channel.take()
                if block is None:
                    break
                self._downward = block[1]
            try:
                self._downward = self._downward[self._local.send(self._downward) :]
            except BlockingIOError:
                return
        if self._writing and (self._channel.eof or self._channel.finished):
            self._writing = False
            _shut(self._local, socket.SHUT_WR)


def _text(text: str) -> bytes:
    return struct.pack(">I", len(text)) + text.encode()


def _shut(local: socket.socket, how: int) -> None:
    with contextlib.suppress(OSError):
        local.shutdown(how)
