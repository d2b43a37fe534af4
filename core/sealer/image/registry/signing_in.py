"""Signing in to one registry: basic, or a token for each scope.

A token says what it may be used for, so there is one for each set of scopes, kept until it expires. Credentials go to
the registry and to the token server that it names, nowhere else, and never over a wire that is not encrypted.
https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlencode, urlsplit

from sealer.documents import DocumentError, load_json
from sealer.errors import RegistryError
from sealer.image.registry.challenges import Challenge
from sealer.image.registry.credentials import Credential
from sealer.image.registry.limits import TRY_AGAIN, AgainError, Patience, retry_after
from sealer.image.registry.messages import Request
from sealer.image.registry.wire import Wire
from sealer.redaction import Secret

CLIENT = "sealer"
LARGEST_ANSWER = 1024 * 1024
SHORTEST_LIFE = 60.0  # seconds, where a token server does not say
_MARGIN = 10.0

Scopes: TypeAlias = tuple[str, ...]  # `repository:ns/app:pull,push`
Lookup: TypeAlias = Callable[[], Credential | None]


@dataclass(frozen=True)
class _Token:
    header: Secret
    expires: float


class SignIn:
    """What to put into `Authorization` for one registry; several threads may ask.

    :param registry: its name, for messages.
    :param lookup: the user's credential for it; called when the registry asks for one, and once only.
    :param checked: gives an address that the registry named as it may be used, or raises: a token server gets what a
        redirect would get.
    """

    def __init__(
        self, registry: str, wire: Wire, patience: Patience, lookup: Lookup, checked: Callable[[str], str]
    ) -> None:
        self._registry = registry
        self._wire = wire
        self._patience = patience
        self._lookup = lookup
        self._checked = checked
        self._lock = threading.Lock()
        self._credential: Credential | None = None
        self._looked = False
        self._basic = ""
        self._tokens: dict[Scopes, _Token] = {}

    def header(self, scopes: Scopes) -> str:
        """What to send with a request that needs these scopes; empty: nothing yet."""
        token = self._tokens.get(scopes)
        if token and token.expires > time.monotonic():
            return token.header.reveal()
        return self._basic

    def answer(self, challenges: Sequence[Challenge], scopes: Scopes, rejected: str) -> str:
        """What to send after the registry refused a request.

        :param rejected: what was sent with it.
        :raises RegistryError: there is nothing better to send.
        """
        with self._lock:
            current = self.header(scopes)
            if current and current != rejected:
                return current  # another thread has signed in meanwhile
            for challenge in challenges:
                if challenge.scheme == "bearer":
                    return self._bearer(challenge, scopes)
                if challenge.scheme == "basic":
                    return self._with_basic(rejected)
        raise RegistryError(
            "the registry refuses the request",
            status=401,
            where=self._registry,
            why="it offers no authentication scheme that sealer supports",
        )

    @property
    def asked(self) -> bool:
        """Whether the registry wanted to know who asks."""
        return bool(self._basic or self._tokens)

    @property
    def credential(self) -> Credential | None:
        """The user's credential."""
        if not self._looked:
            self._credential = self._lookup()
            self._looked = True
        return self._credential

    def _with_basic(self, rejected: str) -> str:
        credential = self.credential
        if credential is None or not credential.username or credential.identity_token:
            raise self._refused("it needs a username and a password")
        if rejected == credential.basic:
            raise self._refused("it refuses the username and password")
        self._basic = credential.basic
        return self._basic

    def _bearer(self, challenge: Challenge, scopes: Scopes) -> str:
        realm = challenge.parameters.get("realm", "")
        try:
            realm = self._checked(realm)
        except RegistryError as error:
            why = " ".join(filter(None, (error.what, error.why or error.where)))
            raise self._refused(f"its token server cannot be used: {why}") from error
        asked = [scope for scope in challenge.parameters.get("scope", "").split() if not _covered(scope, scopes)]
        wanted = tuple(dict.fromkeys([*scopes, *asked]))
        request = self._token_request(realm, challenge.parameters.get("service", ""), wanted)
        document = self._patience.persist(lambda: self._ask(request), realm.partition("?")[0])
        token = document.get("token") or document.get("access_token")
        if not isinstance(token, str) or not token or "\n" in token or "\r" in token:
            raise self._refused("its token server gave no token")
        life = document.get("expires_in")
        seconds = float(life) if isinstance(life, int | float) and life > 0 else SHORTEST_LIFE
        Secret(token)
        header = Secret(f"Bearer {token}")
        self._tokens[scopes] = _Token(header, time.monotonic() + max(1.0, seconds - _MARGIN))
        return header.reveal()

    def _token_request(self, realm: str, service: str, scopes: Scopes) -> Request:
        credential = self.credential
        if credential and credential.identity_token:
            form = {
                "grant_type": "refresh_token",
                "service": service,
                "client_id": CLIENT,
                "scope": " ".join(scopes),
                "refresh_token": credential.identity_token.reveal(),
            }
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            return Request("POST", realm, headers, urlencode(form).encode())
        query = [("scope", scope) for scope in scopes]
        query += [("service", service)] if service else []
        query += [("account", credential.username), ("client_id", CLIENT)] if credential else []
        url = realm + ("&" if urlsplit(realm).query else "?") + urlencode(query) if query else realm
        return Request("GET", url, {"Authorization": credential.basic} if credential else {})

    def _ask(self, request: Request) -> dict[str, object]:
        with self._wire.exchange(request) as answer:
            if answer.status in TRY_AGAIN:
                why = f"its token server answers {answer.status}"
                raise AgainError(why, retry_after(answer.header("Retry-After")), answer.status)
            if not 200 <= answer.status < 300:
                known = "the name and password are" if self.credential else "nobody is"
                raise self._refused(f"its token server answers {answer.status}: {known} not accepted")
            content = answer.read(LARGEST_ANSWER)
        try:
            document = load_json(content)
        except DocumentError:
            document = None
        if not isinstance(document, dict):
            raise self._refused("what its token server answers is no JSON object")
        return document

    def _refused(self, why: str) -> RegistryError:
        again = "is the password right? " if self._credential else ""
        return RegistryError(
            "the registry refuses the login",
            status=401,
            where=self._registry,
            why=why,
            remedy=f"{again}log in with `sealer login {self._registry}`",
        )


def _covered(scope: str, scopes: Scopes) -> bool:
    """Whether a scope's actions are among those of others: `repository:a:pull` in `repository:a:pull,push`."""
    name, _, actions = scope.rpartition(":")
    return any(
        name == other.rpartition(":")[0] and set(actions.split(",")) <= set(other.rpartition(":")[2].split(","))
        for other in scopes
    )
