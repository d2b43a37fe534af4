"""One connection a host for the whole run."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sealer.errors import AuthenticationError, ConnectionLostError, HostUnreachableError
from sealer.extension.drivers import Transport
from sealer.extension.transport import Connection
from sealer.hosts import Host, is_this_machine


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
                slot.connection = self._connect(host)
            return slot.connection

    def _connect(self, host: Host) -> Connection:
        try:
            return self._transport_of(host).connect(host)
        except (HostUnreachableError, AuthenticationError) as error:
            if is_this_machine(host.address):
                here = (
                    f"{host.address} is an address of this machine: to use this machine without SSH, leave out port, "
                    "user, key and password, or give --transport local (spec.transport: local)"
                )
                error.remedy = f"{error.remedy}; {here}" if error.remedy else here
            raise

    @contextlib.contextmanager
    def noticing_loss(self, host: Host) -> Iterator[None]:
        """Within this a lost connection is remembered, so that the next call opens a new one."""
        try:
            yield
        except ConnectionLostError:
            self._slot(host).lost = True
            raise

    def drop(self, host: Host) -> None:
        """End the one to `host`."""
        slot = self._slot(host)
        with slot.lock:
            if slot.connection is not None:
                slot.connection.close()
            slot.connection = None

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
