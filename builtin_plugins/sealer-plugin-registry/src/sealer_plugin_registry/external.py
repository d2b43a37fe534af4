"""A registry that exists already: where it is, what it is trusted by, and what is said where it takes no images."""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import dataclass
from pathlib import Path

from sealer.clusterfile.model import ExternalRegistry
from sealer.errors import ImageError, InputError, RegistryError
from sealer.image.registry.configuration import Configuration, RegistrySettings
from sealer_plugin_registry.trusting import Login, Server, bracketed

_REFUSED = (401, 403)
_PORT_OF_TLS = ":443"


@dataclass(frozen=True)
class External:
    """One external registry.

    :param address: `registry.example.com:5000`.
    :param settings: what the operator's `registries.yaml` says of it; hosts are told the same.
    :param login: of the Clusterfile; empty: hosts do not sign in.
    """

    address: str
    settings: RegistrySettings
    login: Login

    @classmethod
    def of(cls, spec: ExternalRegistry, configuration: Configuration, login: Login) -> External:
        """The one that a Clusterfile names."""
        host = bracketed(spec.domain)
        address = f"{host}:{spec.port}" if spec.port else host
        known = configuration.registries
        settings = known.get(address) or known.get(address.removesuffix(_PORT_OF_TLS)) or RegistrySettings()
        return cls(address, settings, login)

    def authority(self) -> bytes:
        """The certificates that sign its own; empty: the system's do.

        :raises InputError: the file cannot be read.
        """
        if self.settings.ca is None:
            return b""
        return _read(self.settings.ca)

    def described(self) -> list[str]:
        """What hosts are told differs where this does."""
        settings = self.settings
        ca = hashlib.sha256(self.authority()).hexdigest() if settings.ca else ""
        return [self.address, f"{settings.plain_http}", f"{settings.skip_tls_verify}", ca, self.login.username]

    def server(self, ca: str) -> Server:
        """What hosts are told.

        :param ca: where they have :meth:`authority`.
        """
        return Server(
            self.address,
            plain_http=self.settings.plain_http,
            ca=ca if self.settings.ca and not self.settings.plain_http else "",
            login=self.login,
            skip_verify=self.settings.skip_tls_verify,
        )

    def refusal(self, error: ImageError) -> RegistryError:
        """What the user is told where it did not take the images."""
        status = error.status if isinstance(error, RegistryError) else 0
        if isinstance(error.__cause__, ssl.SSLCertVerificationError):
            remedy = "name the CA that signs it as its `ca` in registries.yaml: hosts get it, too"
        elif status in _REFUSED and self.login.username:
            remedy = f"are `username` and `password` right, and may '{self.login.username}' push there?"
        elif status in _REFUSED:
            remedy = f"give `username` and `password`, or log in with `sealer login {self.address}`"
        elif isinstance(error, RegistryError) and not status:
            remedy = "check `domain` and `port`, that the registry runs, and the network route from this machine"
        else:
            remedy = error.remedy
        remedy += "" if not remedy or remedy.endswith(("?", ".")) else "."
        already = "Where it has the images already, `spec.registry.driver: {name: registry, publish: false}` says so."
        return RegistryError(
            f"The container images cannot be put into the external registry {self.address}",
            status=status,
            where="spec.registry.externalRegistry",
            why=": ".join(filter(None, (error.what, error.why))),
            remedy=" ".join(filter(None, (remedy, already))),
        )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            "the file of certificates cannot be used", where=str(path), why=error.strerror or str(error)
        ) from error
