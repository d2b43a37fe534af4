"""Requests to one registry: signed in, redirected, tried again."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Collection, Mapping
from urllib.parse import urlsplit, urlunsplit

from sealer.documents import DocumentError, load_json
from sealer.errors import ImageNotFoundError, RegistryError
from sealer.image.registry import challenges
from sealer.image.registry.credentials import Credential
from sealer.image.registry.endpoints import Endpoint
from sealer.image.registry.limits import TRY_AGAIN, AgainError, Patience, retry_after
from sealer.image.registry.messages import LARGEST_MESSAGE, Answer, FileBody, Request
from sealer.image.registry.names import host_and_port, is_loopback
from sealer.image.registry.signing_in import Scopes, SignIn
from sealer.image.registry.wire import Wire, joined, origin_of
from sealer.redaction import redactor

REDIRECTS = frozenset({301, 302, 303, 307, 308})
SEE_OTHER = 303  # the only one that changes the method (RFC 9110 15.4.4)
MOST_REDIRECTS = 5
BAD_REQUEST = 400
UNAUTHORIZED = 401


class Server:
    """A host, and whether it speaks TLS."""

    def __init__(self, endpoint: Endpoint, wire: Wire) -> None:
        self.wire = wire
        self._host = endpoint.host
        self._schemes = endpoint.schemes
        self._lock = threading.Lock()
        self._base = ""

    @property
    def base(self) -> str:
        """Its address; the first use finds out whether one on this machine speaks TLS.

        :raises AgainError: it cannot be reached.
        """
        with self._lock:
            if not self._base:
                self._base = f"{self._scheme()}://{self._host}"
            return self._base

    def _scheme(self) -> str:
        first, *others = self._schemes
        if not others:
            return first
        try:
            # nothing secret is in it; a server that wants TLS answers 400, or hangs up
            with self.wire.exchange(Request("GET", f"{first}://{self._host}/v2/")) as answer:
                return others[0] if answer.status == BAD_REQUEST else first
        except AgainError as error:
            if error.last or isinstance(error.__cause__, ConnectionRefusedError | TimeoutError | socket.gaierror):
                raise
            return others[0]


class Client:
    """Talks to one endpoint.

    :param server: of that endpoint; the clients for several of its repositories share it.
    :param lookup: the user's credential for it.
    """

    def __init__(
        self, endpoint: Endpoint, server: Server, patience: Patience, lookup: Callable[[], Credential | None]
    ) -> None:
        self.endpoint = endpoint
        self.patience = patience
        self._wire = server.wire
        self._server = server
        self._plain_allowed = endpoint.schemes == ("http",)  # asked for, not just possible on a loopback
        self._loopback = is_loopback(host_and_port(endpoint.host)[0])
        self._elsewhere: set[str] = set()  # names of other servers that lead away from this machine
        self.sign_in = SignIn(endpoint.registry, server.wire, patience, lookup, self._checked)

    def call(
        self,
        method: str,
        address: str,
        *,
        scopes: Scopes = (),
        headers: Mapping[str, str] | None = None,
        body: bytes | FileBody | None = None,
        expected: Collection[int] = (),
        once: bool = False,
    ) -> Answer:
        """Ask until there is an answer that means something.

        :param address: a path below the endpoint, or an absolute address that the registry gave.
        :param expected: statuses that are returned beside those of success, 2xx; every other one is an error.
        :param once: leave trying again to the caller: a body that was half sent must not be sent a second time.
        :raises AgainError: with `once`, when it may be tried again.
        :raises RegistryError: the registry refused, or could not be reached.
        :raises ImageNotFoundError: it answers 404.
        """

        def attempt() -> Answer:
            url = self._checked(joined(self.base, address))
            return self._attempt(Request(method, url, headers or {}, body), scopes, expected)

        return attempt() if once else self.patience.persist(attempt, str(self.endpoint))

    @property
    def base(self) -> str:
        """Address of the endpoint; see :attr:`Server.base`."""
        return self._server.base

    def _attempt(self, request: Request, scopes: Scopes, expected: Collection[int]) -> Answer:
        challenged = False
        for _ in range(MOST_REDIRECTS + 2):
            self.patience.check()
            own = origin_of(request.url) == origin_of(self.base)
            sent = self.sign_in.header(scopes) if own else ""
            signed = {**request.headers, "Authorization": sent} if sent else request.headers
            answer = self._wire.exchange(Request(request.method, request.url, signed, request.body))
            if 200 <= answer.status < 300 or answer.status in expected:
                return answer
            with answer:
                # a second refusal of a token means that it is not allowed; of a password, that it is wrong
                if answer.status == UNAUTHORIZED and own and (not challenged or sent.startswith("Basic ")):
                    challenged = True
                    ways = challenges.parse(answer.headers("WWW-Authenticate"))
                    self.sign_in.answer(ways, scopes, sent)
                elif answer.status in REDIRECTS and answer.header("Location"):
                    request = self._redirected(request, answer)
                else:
                    raise self._failure(answer)
        raise RegistryError("the registry redirects without an end", where=request.url.partition("?")[0])

    def _redirected(self, request: Request, answer: Answer) -> Request:
        """The same request to where an answer leads; who signs it is decided by its new origin."""
        target = self._checked(joined(request.url, answer.header("Location")))
        if answer.status == SEE_OTHER and request.method not in ("GET", "HEAD"):
            kept = {name: value for name, value in request.headers.items() if not name.startswith("Content-")}
            return Request("GET", target, kept)
        return Request(request.method, target, request.headers, request.body)

    def _checked(self, url: str) -> str:
        """An address that the registry gave, if it may be used.

        :raises RegistryError: it leads to where a registry has no business to send anyone.
        """
        scheme, host, _ = origin_of(url)
        base, parts = urlsplit(self.base), urlsplit(url)
        if parts.netloc == base.netloc:
            # behind a proxy that ends TLS, a registry may give addresses of its own without it
            return urlunsplit(parts._replace(scheme=base.scheme))
        shown = url.partition("?")[0][:200]
        if not self._loopback and (is_loopback(host) or self._leads_here(host)):
            raise RegistryError(
                "the registry leads to this machine itself", where=str(self.endpoint), why=f"to {shown}"
            )
        if scheme == "http" and not (self._plain_allowed or is_loopback(host)):
            raise RegistryError(
                "the registry leads to a server without encryption",
                where=str(self.endpoint),
                why=f"to {shown}",
                remedy="--plain-http allows it",
            )
        return url

    def _leads_here(self, host: str) -> bool:
        """Whether a name that the registry gave has an address of the loopback."""
        if host not in self._elsewhere:
            try:
                found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError):
                return False  # a proxy may know it; without one nothing is reached
            if any(is_loopback(str(address[0])) for *_, address in found):
                return True
            self._elsewhere.add(host)
        return False

    def _failure(self, answer: Answer) -> Exception:
        said = message_of(answer)
        why = f"it answers {answer.status}" + (f": {said}" if said else "")
        if answer.status in TRY_AGAIN:
            return AgainError(why, retry_after(answer.header("Retry-After")), answer.status)
        where = str(self.endpoint)
        match answer.status:
            case 401 | 403:
                login = f"check your permissions, or `sealer login {self.endpoint.registry}` as another user"
                return RegistryError("the registry does not allow it", status=answer.status, where=where, why=why,
                                     remedy=login)  # fmt: skip
            case 404:
                return ImageNotFoundError("there is no such thing in the registry", where=where, why=why)
            case _:
                return RegistryError("the registry refuses the request", status=answer.status, where=where, why=why)


def message_of(answer: Answer) -> str:
    """What an answer says about an error: by the specification JSON, else nothing worth showing."""
    try:
        document = load_json(answer.read(LARGEST_MESSAGE))
    except (AgainError, DocumentError):
        return ""
    errors = document.get("errors") if isinstance(document, dict) else None
    texts = []
    for error in errors if isinstance(errors, list) else []:
        if isinstance(error, dict):
            texts.append(str(error.get("message") or error.get("code") or ""))
    line = " ".join("; ".join(filter(None, texts)).split())
    return redactor("".join(char for char in line if char.isprintable()))[:300]
