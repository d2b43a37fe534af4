"""Where a registry is reached: its own address and its mirrors', and what is trusted there."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from sealer.errors import InputError
from sealer.image.registry.configuration import Configuration, RegistrySettings
from sealer.image.registry.names import DOCKER_HUB, host_and_port, is_loopback

HUB_ADDRESS = "registry-1.docker.io"
CERTIFICATES = (Path("/etc/containers/certs.d"), Path("/etc/docker/certs.d"))


@dataclass(frozen=True)
class Endpoint:
    """One server that has a registry's images.

    :param registry: the name that credentials are kept under.
    :param host: with port, if it is not the usual one.
    :param prefix: path before each repository's name; empty for the registry itself.
    :param schemes: to be tried in this order.
    """

    registry: str
    host: str
    prefix: str = ""
    schemes: tuple[str, ...] = ("https",)

    def repository(self, name: str) -> str:
        """The name a repository has there."""
        return f"{self.prefix}/{name}" if self.prefix else name

    def __str__(self) -> str:
        return f"{self.host}/{self.prefix}" if self.prefix else self.host


@dataclass(frozen=True)
class Access:
    """What the command line says about every registry it meets."""

    plain_http: bool = False
    skip_tls_verify: bool = False


class Directory:
    """Knows the endpoints of each registry, and the TLS settings of each host.

    :param certificates: directories with one directory for each `host:port`, as docker and podman have them.
    """

    def __init__(
        self,
        configuration: Configuration,
        access: Access = Access(),  # frozen
        certificates: Sequence[Path] = CERTIFICATES,
    ) -> None:
        self._configuration = configuration
        self._access = access
        self._certificates = certificates
        self._contexts: dict[str, ssl.SSLContext] = {}

    def endpoint(self, registry: str) -> Endpoint:
        """The registry itself."""
        host = HUB_ADDRESS if registry == DOCKER_HUB else registry
        settings = self._configuration.of(registry)
        if settings.plain_http or self._access.plain_http:
            schemes: tuple[str, ...] = ("http",)
        elif is_loopback(host_and_port(host)[0]):
            schemes = ("http", "https")
        else:
            schemes = ("https",)
        return Endpoint(registry, host, schemes=schemes)

    def sources(self, registry: str) -> tuple[Endpoint, ...]:
        """Where to pull from: the mirrors, then the registry itself."""
        mirrors = [self._mirror(text) for text in self._configuration.of(registry).mirrors]
        return (*mirrors, self.endpoint(registry))

    def trust(self, host: str) -> ssl.SSLContext:
        """The TLS settings for `host:port`, or `[address]:port`.

        :raises InputError: a file of certificates cannot be read.
        """
        if host not in self._contexts:
            self._contexts[host] = self._context(host)
        return self._contexts[host]

    def _mirror(self, text: str) -> Endpoint:
        registry, _, prefix = text.partition("/")
        return replace(self.endpoint(registry), prefix=prefix)

    def _names(self, host: str) -> list[str]:
        """The names under which a host may stand in a file: with its port, and without the usual one."""
        names = [host, *([host.removesuffix(":443")] if host.endswith(":443") else [])]
        return [*names, *([DOCKER_HUB] if HUB_ADDRESS in names else [])]

    def _settings(self, host: str) -> RegistrySettings:
        found = (self._configuration.registries.get(name) for name in self._names(host))
        return next((settings for settings in found if settings), RegistrySettings())

    def _context(self, host: str) -> ssl.SSLContext:
        settings = self._settings(host)
        context = ssl.create_default_context()
        files = [settings.ca] if settings.ca else []
        pairs: list[Path] = []
        for directory in self._certificates:
            for name in self._names(host):
                files += sorted((directory / name).glob("*.crt"))
                pairs += sorted((directory / name).glob("*.cert"))
        for file in files:
            _load(file, partial(context.load_verify_locations, file))
        for file in pairs[:1]:
            # A key with a password is refused: nobody is there to be asked for it.
            _load(file, partial(context.load_cert_chain, file, file.with_suffix(".key"), ""))
        if settings.skip_tls_verify or self._access.skip_tls_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def _load(file: Path, load: Callable[[], None]) -> None:
    try:
        load()
    except (OSError, ssl.SSLError) as error:
        why = getattr(error, "strerror", "") or str(error)
        raise InputError("the file of certificates cannot be used", where=str(file), why=why) from error
