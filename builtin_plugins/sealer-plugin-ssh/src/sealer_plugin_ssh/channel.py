"""One SSH channel, all of whose packets are sent by the one thread that uses it.

Why not paramiko's own: its transport thread answers a channel's end by itself, at any moment, also between the making
and the sending of a data or end-of-file packet in another thread. Such a packet then names a channel that the server
has forgotten, upon which OpenSSH ends the whole connection. Here the transport thread only takes notes and wakes the
user, so that order needs no lock; as a gift, blocks of output reach the user without being copied once more.
"""

from __future__ import annotations

import struct
import threading
from collections import deque
from typing import TYPE_CHECKING

import paramiko  # noqa: TID253  # this module is imported by a running connection only

if TYPE_CHECKING:
    from sealer_plugin_ssh.multiplexer import Multiplexer

WINDOW = 2 << 20  # larger ones make OpenSSH shuffle its buffers: 64 MiB is five times slower on a LAN
OWN_PACKET = 32 << 10
ADJUST_AFTER = WINDOW // 4
PACKETS_AT_ONCE = 8

STDOUT, STDERR = 0, 1
_OPEN, _ADJUST, _DATA, _EOF, _CLOSE, _REQUEST, _FAILURE = 90, 93, 94, 96, 97, 98, 100  # RFC 4254, section 9

# Linux's numbers: the host's signals are meant, whatever this machine is.
_SIGNALS = {
    **{"HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "TRAP": 5, "ABRT": 6, "BUS": 7, "FPE": 8, "KILL": 9, "USR1": 10},
    **{"SEGV": 11, "USR2": 12, "PIPE": 13, "ALRM": 14, "TERM": 15, "XCPU": 24, "XFSZ": 25, "SYS": 31},
}


class Channel:
    """A channel from the request to open it until its end.

    The methods with an underscore are called by paramiko's transport thread under paramiko's own names.
    """

    def __init__(self, transport: Multiplexer, number: int) -> None:
        self.number = number
        self.changed = threading.Event()
        self.opened = False
        self.refusal = ""
        self.request_failed = False
        self.eof = False
        self.ended = False  # the host closed it: no more output, and input goes nowhere
        self.lost = False  # the connection is gone
        self.status: int | None = None
        self._transport = transport
        self._closed = False
        self._remote = 0
        self._window = 0
        self._packet = OWN_PACKET
        self._window_lock = threading.Lock()
        self._blocks: deque[tuple[int, bytes]] = deque()
        self._unacknowledged = 0
        self._replies_owed = 0

    # ---- the user's thread -------------------------------------------------------------------------------------

    @property
    def finished(self) -> bool:
        """Whether nothing more can come."""
        return self.ended or self.lost

    @property
    def sendable(self) -> bool:
        """Whether :meth:`send` would take anything."""
        return self._window > 0 and not self.finished

    def open(self, kind: str, details: bytes = b"") -> None:
        """Ask for it; :attr:`opened` or :attr:`refusal` is the answer.

        :param details: what the kind of channel wants to be told.
        """
        name = kind.encode()
        head = struct.pack(">BI", _OPEN, len(name)) + name
        self._post(head + struct.pack(">III", self.number, WINDOW, OWN_PACKET) + details)

    def execute(self, command: str) -> None:
        """Start the command; :attr:`request_failed` tells later if the host would not."""
        line = command.encode()
        self._post(struct.pack(">BII4sBI", _REQUEST, self._remote, 4, b"exec", 1, len(line)) + line)

    def send(self, data: memoryview) -> int:
        """Send as much as the host's window and a few packets take; the number of bytes taken, perhaps 0."""
        with self._window_lock:
            size = min(len(data), self._window, self._packet * PACKETS_AT_ONCE)
        contents = (data[start : min(start + self._packet, size)] for start in range(0, size, self._packet))
        packets = [(struct.pack(">BII", _DATA, self._remote, len(content)), content) for content in contents]
        if not size or not self._transport.post_data(packets):
            return 0
        with self._window_lock:
            self._window -= size
        return size

    def flush(self) -> bool:
        """Whether all that was sent has left for the host; offers the rest to the socket."""
        return self._transport.flush()

    def send_eof(self) -> None:
        """No more input."""
        if not self.finished:
            self._post(struct.pack(">BI", _EOF, self._remote))

    def take(self) -> tuple[int, bytes] | None:
        """The next block of output with its stream, if one is there."""
        while self._replies_owed and self._transport.flush():
            self._replies_owed -= 1
            self._post(struct.pack(">BI", _FAILURE, self._remote))
        if not self._blocks:
            return None
        stream, data = self._blocks.popleft()
        self._unacknowledged += len(data)
        if self._unacknowledged >= ADJUST_AFTER and not self.eof and not self.finished:
            self._post(struct.pack(">BII", _ADJUST, self._remote, self._unacknowledged))
            self._unacknowledged = 0
        return stream, data

    def close(self) -> None:
        """End it; may be called twice."""
        if self._closed:
            return
        self._closed = True
        if self.opened:
            self.leave()

    def leave(self) -> None:
        """Tell the host that it is over."""
        if self.lost:
            return
        if self._transport.flush():
            self._post(struct.pack(">BI", _CLOSE, self._remote))
        else:  # the network is stuck, and whoever closes wants no more waiting
            self._transport.abandoned.append(self)

    def _post(self, packet: bytes) -> None:
        self._transport.post(paramiko.Message(packet))

    # ---- paramiko's transport thread ---------------------------------------------------------------------------

    def _set_remote_channel(self, number: int, window: int, packet: int) -> None:
        self._remote, self._window = number, window
        self._packet = min(packet, 32 << 10)
        self.opened = True
        if self._closed:
            self._transport.abandoned.append(self)
        self.changed.set()

    def _refused(self, reason: str) -> None:
        self.refusal = reason or "no reason given"
        self.changed.set()

    def _request_success(self, message: paramiko.Message) -> None:
        pass

    def _request_failed(self, message: paramiko.Message) -> None:
        self.request_failed = True
        self.changed.set()

    def _feed(self, message: paramiko.Message) -> None:
        self._blocks.append((STDOUT, message.get_binary()))
        self.changed.set()

    def _feed_extended(self, message: paramiko.Message) -> None:
        message.get_int()
        self._blocks.append((STDERR, message.get_binary()))
        self.changed.set()

    def _window_adjust(self, message: paramiko.Message) -> None:
        with self._window_lock:
            self._window += message.get_int()
        self.changed.set()

    def _handle_request(self, message: paramiko.Message) -> None:
        name = message.get_text()
        wants_reply = message.get_boolean()
        if name == "exit-status":
            self.status = message.get_int()
        elif name == "exit-signal":
            self.status = 128 + _SIGNALS.get(message.get_text(), 127)
        elif wants_reply:  # sshd's ClientAliveInterval asks this way
            self._replies_owed += 1
            self.changed.set()

    def _handle_eof(self, message: paramiko.Message) -> None:
        self.eof = True
        self.changed.set()

    def _handle_close(self, message: paramiko.Message) -> None:
        self.eof = self.ended = True
        self.changed.set()

    def _unlink(self) -> None:
        self.lost = True
        self.changed.set()
