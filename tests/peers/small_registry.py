"""A registry in memory that answers in each way that the distribution specification leaves open, and some beyond."""

from __future__ import annotations

import base64
import hashlib
import re
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qs, urlsplit

_ROUTE = re.compile(r"/(?:v2|elsewhere)/(?P<name>.+?)/(?P<what>manifests|blobs)/(?P<which>.+)")


@dataclass
class Ways:
    """How it answers.

    :param status: of a method where all goes well; `HEAD` and the like.
    :param location: of an upload, made from its path: `{origin}`, `{path}` and `{id}` are filled in.
    :param query: that the upload's address has, and must still have when it is used.
    :param reach: how a `Range` header says how far an upload has come; `{last}` is filled in. Empty: there is none.
    :param redirect: status and target (`{target}{path}`) for requests of a method, asked for below `/v2/`.
    :param password: of the user `me`; empty: anybody may do anything.
    """

    status: Mapping[str, int] = field(default_factory=dict)
    location: str = "{origin}{path}"
    query: str = ""
    reach: str = "0-{last}"
    redirect: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    password: str = ""


class SmallRegistry:
    """Use it in a `with`.

    :ivar address: `127.0.0.1:PORT`.
    :ivar seen: method, path and `Authorization` of each request.
    """

    def __init__(self, ways: Ways | None = None) -> None:
        self.ways = ways or Ways()
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[bytes, str]] = {}
        self.uploads: dict[str, bytes] = {}
        self.seen: list[tuple[str, str, str]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"site": self}))
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> SmallRegistry:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: SmallRegistry

    def log_message(self, *_: object) -> None:
        pass

    def _do(self) -> None:
        site, ways = self.site, self.site.ways
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        signed = self.headers.get("Authorization", "")
        site.seen.append((self.command, self.path, signed))
        if ways.password and signed != "Basic " + base64.b64encode(f"me:{ways.password}".encode()).decode():
            self._answer(401, {"WWW-Authenticate": 'Basic realm="here"'})
            return
        if self.path == "/v2/":
            self._answer(200, {})
            return
        if self.command in ways.redirect and self.path.startswith("/v2/"):
            status, target = ways.redirect[self.command]
            self._answer(status, {"Location": target.format(origin=f"http://{site.address}", path=self.path[4:])})
            return
        parts = urlsplit(self.path)
        route = _ROUTE.fullmatch(parts.path)
        if route is None:
            self._answer(404, {})
        elif route["what"] == "manifests":
            self._manifest(route["which"], body)
        elif route["which"].startswith("uploads/"):
            self._upload(route["which"].removeprefix("uploads/"), parse_qs(parts.query), parts.query, body)
        else:
            self._blob(route["which"])

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = _do

    def _manifest(self, which: str, body: bytes) -> None:
        site = self.site
        if self.command == "PUT":
            digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
            site.manifests[which] = site.manifests[digest] = body, self.headers.get("Content-Type", "")
            self._answer(self._status(201), {"Docker-Content-Digest": digest})
        elif which in site.manifests:
            content, kind = site.manifests[which]
            self._answer(self._status(200), {"Content-Type": kind}, content)
        else:
            self._answer(404, {})

    def _blob(self, digest: str) -> None:
        content = self.site.blobs.get(digest)
        status = self._status(200)
        if status < 400 and content is None:
            status = 404
        self._answer(status, {}, content or b"" if status < 400 else b"")

    def _upload(self, which: str, query: dict[str, list[str]], raw: str, body: bytes) -> None:
        site = self.site
        if self.command == "POST":
            which = uuid.uuid4().hex
            site.uploads[which] = b""
            self._answer(self._status(202), self._whereabouts(which))
            return
        if which not in site.uploads or not raw.startswith(site.ways.query):
            self._answer(404, {})
        elif self.command == "PATCH":
            site.uploads[which] += body
            self._answer(self._status(202), self._whereabouts(which))
        elif self.command == "GET":
            self._answer(204, self._whereabouts(which))
        else:
            content = site.uploads.pop(which) + body
            digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
            if query.get("digest") != [digest]:
                self._answer(400, {})
                return
            site.blobs[digest] = content
            self._answer(self._status(201), {})

    def _status(self, usual: int) -> int:
        return self.site.ways.status.get(self.command, usual)

    def _whereabouts(self, which: str) -> dict[str, str]:
        ways, site = self.site.ways, self.site
        path = urlsplit(self.path).path.rpartition("/")[0] + f"/{which}"
        location = ways.location.format(origin=f"http://{site.address}", host=f"//{site.address}", path=path, id=which)
        found = {"Location": location + (f"?{ways.query}" if ways.query else "")} if location else {}
        reach = ways.reach.format(last=max(0, len(site.uploads[which]) - 1))
        return found | ({"Range": reach} if reach else {})

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
