"""Who the user is to a registry: looked up where docker and podman keep it, never asked for twice.

https://docs.docker.com/reference/cli/docker/login/ and containers-auth.json(5)
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from sealer.documents import DocumentError, load_json
from sealer.errors import InputError
from sealer.events import Json
from sealer.image.registry import helpers
from sealer.image.registry.names import DOCKER_HUB
from sealer.redaction import Secret

HUB_KEY = "https://index.docker.io/v1/"
TOKEN_USER = "<token>"  # noqa: S105  # a helper's sign that the secret is an identity token
_LARGEST = 8 * 1024 * 1024
_NONE = Secret("")


@dataclass(frozen=True)
class Credential:
    """A name and a password, or an identity token that stands for both."""

    username: str = ""
    password: Secret = _NONE
    identity_token: Secret = _NONE

    @property
    def basic(self) -> str:
        """The value of an `Authorization` header."""
        pair = f"{self.username}:{self.password.reveal()}".encode()
        return "Basic " + Secret(base64.b64encode(pair).decode()).reveal()


Ask: TypeAlias = Callable[[str, str], Credential | None]  # name of a helper, and a registry


@dataclass(frozen=True)
class AuthFile:
    """One file with credentials; it may not exist."""

    path: Path

    def read(self) -> dict[str, Json]:
        """Its content; empty where there is no file.

        :raises InputError: it is no JSON object, or cannot be read.
        """
        try:
            content = self.path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise InputError("the file cannot be read", where=str(self.path), why=error.strerror or "") from error
        try:
            document = load_json(content or b"{}") if len(content) <= _LARGEST else None
        except DocumentError:
            document = None
        if not isinstance(document, dict):
            raise InputError("the file with credentials is no JSON object", where=str(self.path))
        return document

    def find(self, registry: str, repository: str = "", ask: Ask | None = None) -> Credential | None:
        """What it has for a repository, or for the registry as a whole.

        :param ask: asks a credential helper; default: :func:`from_helper`.
        :raises InputError: the file cannot be right.
        :raises RegistryError: a credential helper failed.
        """
        document = self.read()
        auths = member(document, "auths")
        for key in _keys(registry, repository):
            for name, entry in auths.items():
                if _same(name, key) and isinstance(entry, dict) and (found := self._entry(entry, name)):
                    return found
        if helper := helper_of(document, registry):
            return (ask or from_helper)(helper, registry)
        return None

    def _entry(self, entry: Mapping[str, Json], name: str) -> Credential | None:
        token, auth = entry.get("identitytoken"), entry.get("auth")
        username, password = entry.get("username"), entry.get("password")
        if isinstance(auth, str) and auth:
            try:
                username, colon, password = base64.b64decode(auth, validate=True).decode().partition(":")
            except ValueError:  # neither base64 nor UTF-8
                colon = ""
            if not colon:
                raise InputError(f"the entry '{name}' has no usable 'auth'", where=str(self.path))
            password = str(password).strip("\0")  # docker pads old entries
        if isinstance(token, str) and token:
            return Credential(str(username or ""), identity_token=Secret(token))
        if isinstance(username, str) and username and isinstance(password, str):
            return Credential(username, Secret(password))
        return None


@dataclass(frozen=True)
class AuthFiles:
    """The files that are looked at, the first that knows a registry decides.

    :param written: the one that `login` and `logout` change.
    :param given: by registry: what goes over all files.
    """

    files: tuple[AuthFile, ...]
    given: Mapping[str, Credential] = field(default_factory=dict)

    @property
    def written(self) -> AuthFile:
        """The file that `login` and `logout` change."""
        return self.files[0]

    def find(self, registry: str, repository: str = "", ask: Ask | None = None) -> Credential | None:
        """The credential for a repository; None: the user has none. For the rest see :meth:`AuthFile.find`."""
        if registry in self.given:
            return self.given[registry]
        for file in self.files:
            if found := file.find(registry, repository, ask):
                return found
        return None

    @classmethod
    def of(cls, given: Path | None = None, environment: Mapping[str, str] = os.environ) -> AuthFiles:
        """`--authfile` alone, else `$REGISTRY_AUTH_FILE` alone, else docker's file, then podman's."""
        explicit = given or (Path(path) if (path := environment.get("REGISTRY_AUTH_FILE", "")) else None)
        if explicit:
            return cls((AuthFile(explicit.expanduser()),))
        return cls(tuple(AuthFile(path) for path in _usual(environment)))


def _usual(environment: Mapping[str, str]) -> Iterator[Path]:
    home = Path(environment.get("HOME", "") or "~").expanduser()
    docker = environment.get("DOCKER_CONFIG", "")
    yield (Path(docker) if docker else home / ".docker") / "config.json"
    if runtime := environment.get("XDG_RUNTIME_DIR", ""):
        yield Path(runtime) / "containers" / "auth.json"
    config = environment.get("XDG_CONFIG_HOME", "")
    yield (Path(config) if config else home / ".config") / "containers" / "auth.json"


def server_key(registry: str) -> str:
    """The key under which docker keeps a registry."""
    return HUB_KEY if registry == DOCKER_HUB else registry


def helper_of(document: Mapping[str, Json], registry: str) -> str:
    """The credential helper that a file names for a registry; empty: none."""
    for name, helper in member(document, "credHelpers").items():
        if _same(name, registry) and isinstance(helper, str):
            return helper
    store = document.get("credsStore")
    return store if isinstance(store, str) else ""


def from_helper(helper: str, registry: str) -> Credential | None:
    """Ask a helper; None: it knows nothing of that registry.

    :raises RegistryError: it failed.
    """
    answer = helpers.get(helper, server_key(registry))
    if answer is None:
        return None
    username, secret = answer
    if username == TOKEN_USER:
        return Credential(identity_token=secret)
    return Credential(username, secret)


def matching(document: Mapping[str, Json], registry: str) -> list[str]:
    """The keys in `auths` that mean a registry as a whole."""
    return [name for name in member(document, "auths") if _same(name, registry)]


def member(document: Mapping[str, Json], name: str) -> dict[str, Json]:
    """A member that must be an object; anything else counts as an empty one."""
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def _keys(registry: str, repository: str) -> Iterator[str]:
    """The most specific key first: `r.io/ns/app`, `r.io/ns`, `r.io`."""
    path = f"{registry}/{repository}" if repository else registry
    while path != registry:
        yield path
        path = path.rpartition("/")[0]
    yield registry


def _same(key: str, wanted: str) -> bool:
    """Whether a key of a file means a registry or a path in one; docker writes some of them as addresses."""
    bare = key.removeprefix("https://").removeprefix("http://").rstrip("/")
    if bare != key.rstrip("/"):  # an address: `https://r.io/v2/`
        bare = bare.partition("/")[0]
    if wanted == DOCKER_HUB:
        return bare.removesuffix("/v1") in (DOCKER_HUB, "index.docker.io", "registry-1.docker.io")
    return bare.removesuffix("/v1").removesuffix("/v2") == wanted
