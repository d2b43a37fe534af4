"""One connection a host for the whole run."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sealer.errors import ConnectionLostError
from sealer.extension.drivers import Transport
from sealer.extension.transport import Connection
from sealer.hosts import Host


def is_this_machine(address: str) -> bool:
    """Whether an address is one of this machine's own: only such can be bound."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((address, 0))
        return True
    return False


@dataclass
class _Slot:
    lock: threading.Lock = field(default_factory=threading.Lock)
    connection: Connection | None = None
    lost: bool = False


class Connections:
    """Opens a connection when a host is first touched, keeps it, and opens a new one after it was lost.

    :param transport_of: the transport of a host.
    """

    def __init__(self, transport_of: Callable[[Host], Transport]) -> None:
        self._transport_of = transport_of
        self._slots: dict[str, _Slot] = {}
        self._lock = threading.Lock()

    def to(self, host: Host) -> Connection:
        """The connection to `host`.

        :raises HostError: none could be made.
        """
        slot = self._slot(host)
        with slot.lock:
            if slot.connection is None or slot.lost:
                if slot.connection is not None:
                    slot.connection.close()
                slot.connection, slot.lost = None, False
                slot.connection = self._transport_of(host).connect(host)
            return slot.connection

    @contextlib.contextmanager
    def noticing_loss(self, host: Host) -> Iterator[None]:
        """Within this a lost connection is remembered, so that the next call opens a new one."""
        try:
            yield
        except ConnectionLostError:
            self._slot(host).lost = True
            raise

    def _slot(self, host: Host) -> _Slot:
        with self._lock:
            return self._slots.setdefault(host.address, _Slot())

    def close(self) -> None:
        """End them all."""
        with self._lock:
            slots, self._slots = list(self._slots.values()), {}
        for slot in slots:
            if slot.connection is not None:
                slot.connection.close()
