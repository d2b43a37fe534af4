"""Sealing and sending packets: several data packets in one go, and never a wait that cannot be given up.

paramiko's own packetizer copies each packet five times, sends it alone, and waits inside while the socket is full.
Here the caller learns that the socket is full, and decides itself how long to wait.
"""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Iterable
from typing import Any, Protocol

import paramiko  # noqa: TID253  # this module is imported by a running connection only
from paramiko.packet import Packetizer  # noqa: TID253

from sealer_plugin_ssh.dial import HostSocket

BLOCK = 16
SMALLEST_PADDING = 4
_POOL = 1 << 14


class _Engine(Protocol):
    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes: ...


class StreamPacketizer(Packetizer):
    """paramiko's packetizer, which seals by itself as soon as the cipher is AES-GCM (RFC 5647)."""

    def __init__(self, sock: HostSocket) -> None:
        super().__init__(sock)
        self._wire = sock
        self._turn = threading.RLock()
        self._waiting = memoryview(b"")  # sealed, and not taken by the socket yet: goes before all else
        self._engine: _Engine | None = None
        self._prefix = b""
        self._counter = 0
        self._sealed = 0
        self._padding = b""

    def set_outbound_cipher(
        self, block_engine: Any, *args: Any, aead: bool = False, iv_out: bytes | None = None, **more: Any
    ) -> None:
        """Take the key; called at each key exchange, when nothing else may be sent."""
        with self._turn:
            super().set_outbound_cipher(block_engine, *args, aead=aead, iv_out=iv_out, **more)  # type: ignore[misc]
            self._engine = block_engine if aead else None
            if iv_out:
                self._prefix, self._counter = iv_out[:4], int.from_bytes(iv_out[4:], "big")
            self._sealed = 0

    def send_message(self, data: paramiko.Message) -> None:
        """Send one packet, however long the socket takes."""
        with self._turn:
            if self._engine is None:
                super().send_message(data)
                return
            self.write_all(b"".join((self._waiting, *self._seal((data.asbytes(),)))))
            self._waiting = memoryview(b"")

    def send_packets(self, packets: Iterable[tuple[bytes, memoryview]]) -> bool:
        """Send data packets, as far as the socket takes them at once; the rest goes with the next call.

        :param packets: the head and the content of each.
        :returns: False when nothing was accepted, because earlier ones still wait.
        """
        with self._turn:
            if not self.flush():
                return False
            if self._engine is None:
                for head, content in packets:
                    super().send_message(paramiko.Message(head + content))
                return True
            self._waiting = memoryview(b"".join(piece for packet in packets for piece in self._seal(packet)))
            self.flush()
            return True

    def flush(self) -> bool:
        """Offer the socket what waits; whether nothing waits any more."""
        if not self._waiting:
            return True
        with self._turn:
            if self.closed:
                raise EOFError
            try:
                self._waiting = self._waiting[self._wire.send(self._waiting) :]
            except (TimeoutError, BlockingIOError):  # it takes nothing for now
                return False
            return not self._waiting

    def _seal(self, payload: Iterable[bytes | memoryview]) -> tuple[bytes, bytes]:
        assert self._engine is not None
        parts = (b"", *payload)
        size = 1 + sum(map(len, parts))
        padding = SMALLEST_PADDING + (-size - SMALLEST_PADDING) % BLOCK
        plain = b"".join((bytes((padding,)), *parts, self._random(padding)))
        length = struct.pack(">I", len(plain))
        nonce = self._prefix + self._counter.to_bytes(8, "big")
        self._counter = (self._counter + 1) & 0xFFFFFFFFFFFFFFFF
        self._sealed += len(plain)
        if self._sealed >= self.REKEY_BYTES and not self.need_rekey():
            self._trigger_rekey()  # type: ignore[attr-defined]  # paramiko's thread sees to it
        return length, self._engine.encrypt(nonce, plain, length)

    def _random(self, size: int) -> bytes:
        """Random bytes, each used once; the kernel is asked for many of them at a time."""
        if len(self._padding) < size:
            self._padding = os.urandom(_POOL)
        taken, self._padding = self._padding[:size], self._padding[size:]
        return taken
