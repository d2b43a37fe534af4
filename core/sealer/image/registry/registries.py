"""All registries, as one command sees them: configured, signed in, within its limits."""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from pathlib import Path

from sealer.image.registry.client import Client, Server
from sealer.image.registry.configuration import Configuration, read_configuration
from sealer.image.registry.credentials import AuthFiles, Credential, from_helper
from sealer.image.registry.endpoints import CERTIFICATES, Access, Directory, Endpoint
from sealer.image.registry.limits import Limits, Patience
from sealer.image.registry.names import Place, complete
from sealer.image.registry.pool import Pool
from sealer.image.registry.repository import Repository
from sealer.image.registry.wire import Wire


class Registries:
    """Made for one transfer, which ends with its pool.

    :param certificates: directories of CAs, as docker and podman have them.
    """

    def __init__(
        self,
        configuration: Configuration,
        auth: AuthFiles,
        access: Access = Access(),  # noqa: B008  # frozen
        limits: Limits = Limits(),  # noqa: B008
        certificates: Sequence[Path] = CERTIFICATES,
    ) -> None:
        self.configuration = configuration
        self.auth = auth
        self.patience = Patience(limits)
        self._directory = Directory(configuration, access, certificates)
        self.wire = Wire(limits, self._directory.trust)
        self._ask = functools.cache(from_helper)  # it is a process, and may ask the user: once for each registry
        self._asking = threading.Lock()
        self._servers: dict[str, Server] = {}
        self._repositories: dict[tuple[Endpoint, str], Repository] = {}

    @classmethod
    def of(cls, home: Path, authfile: Path | None = None, access: Access = Access()) -> Registries:  # noqa: B008
        """With `registries.yaml` of sealer's home, and the user's credentials.

        :raises InputError: `registries.yaml` cannot be right.
        """
        return cls(read_configuration(home), AuthFiles.of(authfile), access)

    def complete(self, text: str) -> Place:
        """Where a cluster image is; short names get the configured default.

        :raises InputError: it cannot be the name of an image.
        """
        return complete(text, self.configuration.default_repository)

    def repository(self, place: Place) -> Repository:
        """Where to push to."""
        return self._at(self._directory.endpoint(place.registry), place.repository)

    def sources(self, place: Place) -> tuple[Repository, ...]:
        """Where to pull from, in this order: the mirrors, then the registry itself."""
        return tuple(self._at(endpoint, place.repository) for endpoint in self._directory.sources(place.registry))

    def client(self, registry: str, credential: Credential | None) -> Client:
        """A client for a registry itself, whatever repository it is asked about, with a credential or none."""
        endpoint = self._directory.endpoint(registry)
        return Client(endpoint, self._server(endpoint), self.patience, lambda: credential)

    def pool(self) -> Pool:
        """The pool in which it all happens."""
        return Pool(self.wire, self.patience)

    def _at(self, endpoint: Endpoint, path: str) -> Repository:
        name = endpoint.repository(path)
        if (endpoint, name) not in self._repositories:
            server = self._server(endpoint)
            client = Client(endpoint, server, self.patience, lambda: self._credential(endpoint.registry, name))
            self._repositories[endpoint, name] = Repository(client, name)
        return self._repositories[endpoint, name]

    def _server(self, endpoint: Endpoint) -> Server:
        return self._servers.setdefault(endpoint.host, Server(endpoint, self.wire))

    def _credential(self, registry: str, repository: str) -> Credential | None:
        with self._asking:
            return self.auth.find(registry, repository, self._ask)
