"""A token server as docker-registry's `auth: token` wants it: JSON Web Tokens, signed, one for each set of scopes."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qs, urlsplit

from certificates import Authority
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from docker_registry import TokenAuth

Grant = Callable[[str, str], list[str]]  # user and repository: the actions allowed


@dataclass
class Asked:
    """One request for a token."""

    user: str
    scopes: list[str]
    how: str


@dataclass
class TokenServer:
    """Serves on the loopback while its `with` lasts.

    :param users: passwords by name; the empty name is everyone.
    :param grant: what a user may do in a repository.
    :param refresh: identity tokens, and whose they are.
    :ivar asked: every request.
    """

    directory: Path
    authority: Authority
    users: dict[str, str] = field(default_factory=dict)
    grant: Grant = lambda user, repository: ["pull", "push"]
    refresh: dict[str, str] = field(default_factory=dict)
    life: int = 300
    asked: list[Asked] = field(default_factory=list)

    def __post_init__(self) -> None:
        certificate, key = self.authority.server("token")
        loaded = serialization.load_pem_private_key(key.read_bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        self._key = loaded
        der = x509.load_pem_x509_certificate(certificate.read_bytes()).public_bytes(serialization.Encoding.DER)
        self._x5c = base64.b64encode(der).decode()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def auth(self) -> TokenAuth:
        """What docker-registry has to know."""
        port = self._server.server_port
        return TokenAuth(f"http://127.0.0.1:{port}/token", "a test", "the issuer", self.authority.certificate)

    def __enter__(self) -> TokenServer:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def token(self, user: str, scopes: list[str]) -> str:
        """A signed token for what the user may do of what is asked for."""
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":", 2) if scope.count(":") == 2 else ("", "", "")
            allowed = [action for action in actions.split(",") if action in self.grant(user, name)]
            if kind == "repository" and allowed:
                access.append({"type": kind, "name": name, "actions": allowed})
        now = int(time.time())
        claims = {
            "iss": "the issuer", "sub": user, "aud": "a test", "exp": now + self.life, "nbf": now - 10, "iat": now,
            "jti": str(len(self.asked)), "access": access,
        }  # fmt: skip
        head = {"typ": "JWT", "alg": "ES256", "x5c": [self._x5c]}
        text = f"{_encoded(json.dumps(head).encode())}.{_encoded(json.dumps(claims).encode())}"
        r, s = decode_dss_signature(self._key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{_encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)
                user, password = "", ""
                if header := self.headers.get("Authorization"):
                    pair = base64.b64decode(header.removeprefix("Basic ")).decode()
                    user, _, password = pair.partition(":")
                self._answer(user, server.users.get(user) == password, query.get("scope", []), "basic")

            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                user = server.refresh.get(form["refresh_token"][0], "")
                scopes = form.get("scope", [""])[0].split()
                self._answer(user, bool(user) and form["grant_type"] == ["refresh_token"], scopes, "refresh")

            def _answer(self, user: str, known: bool, scopes: list[str], how: str) -> None:
                server.asked.append(Asked(user, scopes, how))
                document: dict[str, object] = {"details": "no"}
                if known:
                    document = {"token": server.token(user, scopes), "expires_in": server.life}
                content = json.dumps(document).encode()
                self.send_response(200 if known else 401)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        return Handler


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
