"""HTTP connections that all end at one moment, whatever a server does meanwhile.

A socket's time-out begins anew with each byte: a server that sends one a minute, in its headers say, would be listened
to for ever.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import socket
import ssl
import threading
import time
import urllib.request
from types import TracebackType


class Deadline:
    """Use it in a `with`; connections that its handlers make are cut off at the end, at the latest.

    :param at: by the monotonic clock.
    """

    def __init__(self, at: float) -> None:
        self._lock = threading.Lock()
        self._connections: list[socket.socket] = []
        self._over = False
        self._timer = threading.Timer(max(at - time.monotonic(), 0), self._end)
        self._timer.daemon = True

    def __enter__(self) -> Deadline:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            self._over = True
            while self._connections:
                self._connections.pop().close()

    def handlers(self) -> tuple[urllib.request.BaseHandler, ...]:
        """What opens `http` and `https` for urllib."""
        return _Http(self), _Https(self)

    def connect(self, *arguments: object, **more: object) -> socket.socket:
        """:func:`socket.create_connection`, watched from now on."""
        connection = socket.create_connection(*arguments, **more)  # type: ignore[arg-type]
        with self._lock:
            if self._over:
                connection.close()
                raise TimeoutError
            # a second name for the same connection: TLS takes the first one away
            self._connections.append(connection.dup())
        return connection

    def _end(self) -> None:
        with self._lock:
            self._over = True
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def made(self, kind: type[http.client.HTTPConnection], host: str, **more: object) -> http.client.HTTPConnection:
        """A connection of a kind, watched from when it is made."""
        connection = kind(host, **more)  # type: ignore[arg-type]
        connection._create_connection = self.connect  # type: ignore[attr-defined]  # its one seam
        return connection


class _Http(urllib.request.HTTPHandler):
    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self._made = functools.partial(deadline.made, http.client.HTTPConnection)

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._made, req)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self._made = functools.partial(deadline.made, http.client.HTTPSConnection)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._made, req, context=ssl.create_default_context())
