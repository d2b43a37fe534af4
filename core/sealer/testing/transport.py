"""A transport without hosts: it records commands, and answers as it was told."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sealer.errors import ConnectionLostError, InterruptedRunError
from sealer.events import EventStream, Json
from sealer.extension.drivers import Transport
from sealer.extension.transport import Connection, Exit, OutputObserver
from sealer.hosts import Host
from sealer.settings import Settings
from sealer.testing.answers import Answers


@dataclass(frozen=True)
class Command:
    """One command that a connection was given."""

    host: str
    text: str
    stdin: bytes = b""


@dataclass
class RecordedConnection(Connection):
    """Doubles a connection to a host that there is none of.

    Why a double: what is asked of a host, and what follows from each answer and each failure, can be shown without one,
    in milliseconds. What it cannot show: anything a real shell, sshd or network does; that takes a real host.
    """

    host: Host
    answers: Answers = field(default_factory=Answers)
    commands: list[Command] = field(default_factory=list)
    key: str = ""
    closed: bool = False

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
        """Record the command with all of its stdin, and give the reply of the first rule that fits."""
        if self.closed:
            raise ConnectionLostError("the connection is closed", where=self.host.id)
        if cancelled is not None and cancelled.is_set():
            raise InterruptedRunError("interrupted", where=self.host.id)
        self.commands.append(Command(self.host.id, command, b"".join(bytes(block) for block in stdin or ())))
        reply = self.answers.reply(self.host.id, command)
        if reply.error is not None:
            self.closed = isinstance(reply.error, ConnectionLostError)
            raise reply.error
        for observer, text in ((stdout, reply.stdout), (stderr, reply.stderr)):
            if observer is not None and text:
                observer(text.encode())
        return Exit(reply.status)

    def forward(self, port: int) -> tuple[str, int]:
        """The port itself, on the loopback; nothing listens there."""
        return "127.0.0.1", port

    def close(self) -> None:
        """Every further command raises ConnectionLostError."""
        self.closed = True

    @property
    def host_key(self) -> str:
        """What the test says it is."""
        return self.key


class RecordedTransport(Transport):
    """Opens recorded connections; see :class:`RecordedConnection` for what that is good for.

    :ivar answers: what the hosts answer.
    :ivar commands: all commands of all connections, in order.
    :ivar connections: those opened.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        events: EventStream | None = None,
        options: Mapping[str, Json] | None = None,
        *,
        answers: Answers | None = None,
    ) -> None:
        super().__init__(settings or Settings(home=Path("/nonexistent")), events or EventStream(), options or {})
        self.answers = answers or Answers()
        self.commands: list[Command] = []
        self.connections: list[RecordedConnection] = []
        self._refusals: dict[str, Exception] = {}

    def refuse(self, address: str, error: Exception) -> None:
        """From now on connecting to `address` raises `error`."""
        self._refusals[address] = error

    def connect(self, host: Host) -> RecordedConnection:
        """Open a recorded connection, whose host key is made from the address."""
        if host.address in self._refusals:
            raise self._refusals[host.address]
        connection = RecordedConnection(host, self.answers, self.commands, key=f"recorded:{host.address}")
        self.connections.append(connection)
        return connection
