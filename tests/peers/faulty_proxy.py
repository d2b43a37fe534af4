"""A proxy in front of a real registry that makes trouble on demand, and counts bytes."""

from __future__ import annotations

import http.client
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

BLOCK = 64 * 1024
BLOB = r"/v2/.+/blobs/sha256:[0-9a-f]{64}$"
MANIFEST = r"/v2/.+/manifests/"
UPLOAD = r"/v2/.+/blobs/uploads/"


@dataclass
class Fault:
    """Trouble for requests of a method whose path matches.

    :param times: how often; -1: always.
    :param status: answer with that, and the headers and the body, and ask nobody.
    :param cut: close the connection when so many bytes of the answer (of the request, for an upload) have passed.
    :param hang: say nothing, until the proxy ends.
    :param change: what the answer's bytes become.
    :param drip: pass the answer's bytes one by one, 50 a second.
    :param unfollowed: leave a `Range` header out, as a registry does that knows none.
    """

    method: str
    path: str
    times: int = 1
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int = -1
    hang: bool = False
    change: Callable[[bytes], bytes] | None = None
    drip: bool = False
    unfollowed: bool = False


@dataclass(frozen=True)
class Seen:
    """One request that came."""

    method: str
    path: str
    headers: dict[str, str]


class FaultyProxy:
    """Forwards to a registry; use it in a `with`.

    :param upstream: its `host:port`; empty: everything is answered by faults, or 404.
    :param keeps_uploads: answer for uploads that broke off with how far they came. docker-registry 2.8 forgets them,
        other registries do not.
    :ivar address: `127.0.0.1:PORT`.
    :ivar down, up: bytes of blobs that were passed to, and taken from, clients.
    :ivar most_at_once: requests for bytes of blobs (`GET`, `PATCH`, `PUT`) that were open at one time.
    :ivar gather: each of these requests waits until so many are open, at most a second; 0: none waits.
    :ivar gate: no byte of a blob passes beyond this many in one direction, until it is raised; -1: all pass.
    """

    def __init__(self, upstream: str = "", *, keeps_uploads: bool = False) -> None:
        self.upstream = upstream
        self.keeps_uploads = keeps_uploads
        self.faults: list[Fault] = []
        self.seen: list[Seen] = []
        self.down = 0
        self.up = 0
        self.gate = -1
        self.gather = 0
        self.most_at_once = 0
        self._open = 0
        self._enough = threading.Event()
        self.reached = threading.Event()
        self.uploads: dict[str, tuple[str, int]] = {}
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> FaultyProxy:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._server.shutdown()
        self._server.server_close()

    def requests(self, method: str, path: str = "") -> list[Seen]:
        """Those of a method whose path matches."""
        return [seen for seen in self.seen if seen.method == method and re.search(path, seen.path)]

    def open_gate(self) -> None:
        """Let everything pass from now on."""
        self.gate = -1

    def _fault(self, method: str, path: str) -> Fault | None:
        with self._lock:
            for fault in self.faults:
                if fault.times and fault.method == method and re.search(fault.path, path.partition("?")[0]):
                    fault.times -= 1
                    return fault
        return None

    @contextmanager
    def _counted(self, method: str, path: str) -> Iterator[None]:
        """Count a request for bytes of a blob while it is open."""
        if method not in ("GET", "PATCH", "PUT") or not re.search(f"{BLOB}|{UPLOAD}", path.partition("?")[0]):
            yield
            return
        with self._lock:
            self._open += 1
            self.most_at_once = max(self.most_at_once, self._open)
            if self._open >= self.gather:
                self._enough.set()
        if self.gather:
            self._enough.wait(1)
        try:
            yield
        finally:
            with self._lock:
                self._open -= 1

    def _pass(self, count: int, *, down: bool) -> bool:
        """Count bytes; False: the gate was reached, and the proxy ends."""
        with self._lock:
            if down:
                self.down += count
            else:
                self.up += count
            closed = 0 <= self.gate < (self.down if down else self.up)
        if closed:
            self.reached.set()
            self._end.wait()
        return not closed

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(_Forwarding):
            site = proxy

        return Handler


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that was killed has reset its connection: that is what it is for."""


class _Forwarding(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: FaultyProxy

    def log_message(self, *_: object) -> None:
        pass

    def _do(self) -> None:
        site = self.site
        if self.path.startswith("http://"):  # as to a proxy
            self.path = "/" + self.path.partition("://")[2].partition("/")[2]
        site.seen.append(Seen(self.command, self.path, dict(self.headers)))
        fault = site._fault(self.command, self.path) or Fault("", "")
        if fault.hang:
            site._end.wait()
            self.close_connection = True
            return
        if fault.status:
            self._skip_body()
            self._send(fault.status, fault.headers, fault.body)
            return
        if site.keeps_uploads and (known := site.uploads.get(self.path.partition("?")[0])) and self.command == "GET":
            self._send(204, {"Location": known[0], "Range": f"0-{max(0, known[1] - 1)}"}, b"")
            return
        if not site.upstream:
            self._skip_body()
            self._send(404, {}, b"{}")
            return
        try:
            with site._counted(self.command, self.path):
                self._forward(fault)
        except (OSError, http.client.HTTPException):
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _do

    def do_CONNECT(self) -> None:
        """A tunnel to the registry, whatever host is asked for."""
        self.site.seen.append(Seen(self.command, self.path, dict(self.headers)))
        host, _, port = self.site.upstream.partition(":")
        with socket.create_connection((host, int(port)), timeout=60) as upstream:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=_relay, args=(upstream, self.connection), daemon=True)
            back.start()
            _relay(self.connection, upstream)
            back.join(60)
        self.close_connection = True

    def _forward(self, fault: Fault) -> None:
        site = self.site
        path = self.path
        size = int(self.headers.get("Content-Length") or 0)
        cut = fault.cut if self.command in ("PATCH", "PUT") else -1
        if site.keeps_uploads and self.command in ("PATCH", "PUT") and (known := site.uploads.get(path.split("?")[0])):
            extra = "&digest=" + path.partition("digest=")[2] if "digest=" in path else ""
            path = known[0].partition(site.address)[2] + extra
        upstream = http.client.HTTPConnection(site.upstream, timeout=60)
        # in chunks, the end can be said at any moment: so the registry keeps what it has got
        keep = site.keeps_uploads and self.command == "PATCH"
        try:
            upstream.putrequest(self.command, path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                left_out = name.lower() == "content-length" or (keep and name.lower() == "content-range")
                if not left_out and not (fault.unfollowed and name.lower() == "range"):
                    upstream.putheader(name, value)
            if keep:
                upstream.putheader("Transfer-Encoding", "chunked")
            elif size or self.command in ("POST", "PUT", "PATCH"):
                upstream.putheader("Content-Length", str(size))
            upstream.endheaders()
            passed = self._take_body(upstream, size, cut, keep)
            if keep:
                upstream.send(b"0\r\n\r\n")
            elif passed < size:
                self.close_connection = True
                return
            answer = upstream.getresponse()
            self._remember(answer, passed)
            if passed < size:
                answer.read()
                self.close_connection = True
                if 0 <= site.gate < site.up:
                    site.reached.set()
                    site._end.wait()
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self._answer(answer, fault)
        finally:
            upstream.close()

    def _take_body(self, upstream: http.client.HTTPConnection, size: int, cut: int, keep: bool) -> int:
        passed = 0
        limit = size if cut < 0 else min(cut, size)
        while passed < limit and (chunk := self.rfile.read(min(BLOCK, limit - passed))):
            if keep:
                self.site.up += len(chunk)
                upstream.send(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
                passed += len(chunk)
                if 0 <= self.site.gate < self.site.up:
                    break
                continue
            if self.command == "PATCH" and not self.site._pass(len(chunk), down=False):
                return passed
            upstream.send(chunk)
            passed += len(chunk)
        return passed

    def _remember(self, answer: http.client.HTTPResponse, passed: int) -> None:
        location = answer.getheader("Location") or ""
        if self.site.keeps_uploads and self.command == "PATCH" and answer.status == 202:
            key = self.path.partition("?")[0]
            before = self.site.uploads.get(key, ("", 0))[1]
            self.site.uploads[key] = location, before + passed

    def _answer(self, answer: http.client.HTTPResponse, fault: Fault) -> None:
        self.send_response(answer.status)
        changed = fault.change(answer.read()) if fault.change else None
        for name, value in answer.getheaders():
            if name.lower() not in ("date", "content-length", "transfer-encoding"):
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if changed is None else str(len(changed))
        if length is not None:
            self.send_header("Content-Length", length)
        self.end_headers()
        if changed is not None:
            self.wfile.write(changed)
            return
        while fault.drip and (byte := answer.read(1)):
            self.wfile.write(byte)
            if self.site._end.wait(0.02):
                return
        is_blob = bool(re.search(BLOB, self.path.partition("?")[0]))
        cut, passed = fault.cut, 0
        while self.command != "HEAD" and (chunk := answer.read(BLOCK if cut < 0 else min(BLOCK, cut - passed))):
            if is_blob and not self.site._pass(len(chunk), down=True):
                return
            self.wfile.write(chunk)
            passed += len(chunk)
            if 0 <= cut <= passed:
                break
        if 0 <= cut < int(length or 0):
            self.close_connection = True
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)

    def _skip_body(self) -> None:
        left = int(self.headers.get("Content-Length") or 0)
        while left > 0 and (chunk := self.rfile.read(min(BLOCK, left))):
            left -= len(chunk)

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _relay(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(BLOCK):
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)
