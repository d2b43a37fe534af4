"""HTTP, one request and one answer at a time, over connections that are kept for the next request.

Bodies never lie in memory: an answer is read piece by piece, a file goes from the disk to the socket in small ones.
`http.client` is what makes that possible; measured, it needs half of the processor time that `requests` needs for the
same bytes.
"""

from __future__ import annotations

import http.client
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias
from urllib.parse import SplitResult, urljoin, urlsplit

import sealer
from sealer.errors import RegistryError
from sealer.image.registry.absences import Absences
from sealer.image.registry.limits import AgainError, Limits
from sealer.image.registry.messages import Answer, FileBody, Request, broken_off
from sealer.image.registry.names import is_loopback
from sealer.image.registry.proxies import proxy_authorization, proxy_for

SEGMENT = 1024 * 1024  # bytes between two reports of a file's progress
# Pieces that stay in the processor's cache between us and a registry on the same machine, as long as those that
# docker-registry reads: it takes a blob 15 % faster so than from `sendfile`. Over a wire the sizes do not matter, and
# the kernel chooses the buffer.
BLOCK = 32 * 1024
LOOPBACK_BUFFER = 64 * 1024
LOOPBACK_RECEIVING = 512 * 1024  # what lies in it when the process is killed is lost; the kernel would take 6 MiB

Origin: TypeAlias = tuple[str, str, int]  # scheme, host, port
_PORTS = {"http": 80, "https": 443}


Trust: TypeAlias = Callable[[str], ssl.SSLContext]


@dataclass(eq=False)
class _Link:
    """A connection, and what a proxy for plain HTTP wants of each request on it."""

    connection: http.client.HTTPConnection
    proxied: bool = False
    proxy_authorization: str = ""


class Wire:
    """Connections to any number of servers; it may be used by several threads at once.

    :param trust: the TLS settings for a host and port, written `host:port`.
    """

    def __init__(self, limits: Limits, trust: Trust) -> None:
        self._limits = limits
        self._trust = trust
        self._lock = threading.Lock()
        self._idle: dict[Origin, list[_Link]] = {}
        self._busy: set[_Link] = set()
        self._closed = False
        self._absent = Absences(limits)

    def exchange(self, request: Request) -> Answer:
        """Ask, and return the answer with its body still to be read.

        :raises AgainError: there was no answer.
        :raises RegistryError: the server's certificate is not trusted, or the one that it was shown.
        """
        parts = urlsplit(request.url)
        origin = origin_of(request.url)
        self._absent.check(origin)
        while True:
            link, used = self._take(origin)
            begun = time.monotonic()
            try:
                with broken_off():
                    response = self._ask(link, request, parts)
            except AgainError as failed:
                self._drop(link)
                if used and request.method in ("GET", "HEAD"):
                    continue  # the server closed it while nobody looked: that is no failure
                self._absent.failed(origin, failed, begun)
                raise
            except BaseException:
                self._drop(link)
                raise
            self._absent.answered(origin)
            return Answer(response, request.url, partial(self._give_back, origin, link))

    def abort(self) -> None:
        """Break all connections: whoever waits for one is woken."""
        with self._lock:
            self._closed = True
            idle = [link for links in self._idle.values() for link in links]
            self._idle.clear()
            busy = list(self._busy)
        for link in busy:
            if (sock := link.connection.sock) is not None:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # it has just ended by itself
        for link in idle:
            link.connection.close()

    def _ask(self, link: _Link, request: Request, parts: SplitResult) -> http.client.HTTPResponse:
        connection, body = link.connection, request.body
        fresh = connection.sock is None
        if fresh:
            connection.connect()
            connection.sock.settimeout(self._limits.silence)
            if is_loopback(connection.host):
                connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LOOPBACK_BUFFER)
                connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, LOOPBACK_RECEIVING)
            if self._closed:
                raise ConnectionAbortedError("called off")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {"User-Agent": f"sealer/{sealer.__version__}", "Accept-Encoding": "identity", **request.headers}
        if link.proxied:
            target = f"{parts.scheme}://{parts.netloc}{target}"
            headers |= {"Proxy-Authorization": link.proxy_authorization} if link.proxy_authorization else {}
        if body is not None or request.method in ("POST", "PUT", "PATCH"):
            headers["Content-Length"] = str(body.size if isinstance(body, FileBody) else len(body or b""))
        connection.putrequest(request.method, target, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        try:
            connection.endheaders(body if isinstance(body, bytes) else None)
            if isinstance(body, FileBody):
                _send(connection.sock, body)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError) as error:
            # A server may answer before it has read everything, and hang up: its answer, or its alert, says why.
            try:
                return connection.getresponse()
            except (OSError, http.client.HTTPException) as last:
                if isinstance(last, ssl.SSLError) and not isinstance(last, ssl.SSLEOFError):
                    raise
                raise error from None
        return connection.getresponse()

    def _take(self, origin: Origin) -> tuple[_Link, bool]:
        stale: list[_Link] = []
        with self._lock:
            idle = self._idle.get(origin, [])
            while idle and _is_stale(idle[-1].connection.sock):
                stale.append(idle.pop())
            used = bool(idle)
            link = idle.pop() if idle else self._new(origin)
            self._busy.add(link)
        for old in stale:
            old.connection.close()
        return link, used

    def _new(self, origin: Origin) -> _Link:
        scheme, host, port = origin
        proxy = proxy_for(scheme, host, port)
        address = (proxy.hostname or "", proxy.port or _PORTS["http"]) if proxy else (host, port)
        timeout = self._limits.connect_timeout
        authorization = proxy_authorization(proxy) if proxy else ""
        if scheme == "http":
            plain = http.client.HTTPConnection(*address, timeout=timeout)
            return _Link(plain, proxied=proxy is not None, proxy_authorization=authorization)
        connection = http.client.HTTPSConnection(*address, timeout=timeout, context=self._trust(domain_of(origin)))
        if proxy:
            connection.set_tunnel(host, port, {"Proxy-Authorization": authorization} if authorization else None)
        return _Link(connection)

    def _give_back(self, origin: Origin, link: _Link, usable: bool) -> None:
        with self._lock:
            self._busy.discard(link)
            if usable and not self._closed:
                self._idle.setdefault(origin, []).append(link)
                return
        link.connection.close()

    def _drop(self, link: _Link) -> None:
        with self._lock:
            self._busy.discard(link)
        link.connection.close()


def _is_stale(sock: socket.socket) -> bool:
    """Whether a server has closed a connection, or said something that nobody asked for."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def origin_of(url: str) -> Origin:
    """Scheme, host and port: credentials belong to one of these.

    :raises RegistryError: it is no address of a web server.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
        host = parts.hostname or ""
    except ValueError:
        port, host = 0, ""
    # What no request line can have (RFC 3986); http.client would find it, but much later.
    if not port or not host or parts.scheme not in _PORTS or any(sign <= " " or sign == "\x7f" for sign in url):
        raise RegistryError("not an address of a registry", where=repr(url[:200])[1:-1])
    return parts.scheme, host, port


def joined(base: str, address: str) -> str:
    """An address that stands in an answer, whole (RFC 3986 5.2).

    :raises RegistryError: it is none.
    """
    try:
        return urljoin(base, address)
    except ValueError:
        raise RegistryError("not an address of a registry", where=repr(address[:200])[1:-1]) from None


def domain_of(origin: Origin) -> str:
    """Host and port as names of registries have them: `registry.example.com:443`, `[::1]:5000`."""
    _, host, port = origin
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _send(sock: socket.socket, body: FileBody) -> None:
    buffer = memoryview(bytearray(BLOCK))
    offset, end, told = body.offset, body.offset + body.size, body.offset
    with body.path.open("rb", buffering=0) as file:
        while offset < end:
            count = os.preadv(file.fileno(), [buffer[: min(BLOCK, end - offset)]], offset)
            if not count:
                raise RegistryError("a blob of the store is shorter than it must be", where=str(body.path))
            sock.sendall(buffer[:count])
            offset += count
            if offset - told >= SEGMENT or offset == end:
                told = offset
                body.sent(offset)
