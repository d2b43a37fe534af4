"""`sealer login`: a credential is tried before it is kept."""

from __future__ import annotations

from dataclasses import dataclass

from sealer.errors import RegistryError
from sealer.image.registry.auth_files import remember
from sealer.image.registry.credentials import Credential
from sealer.image.registry.registries import Registries


@dataclass(frozen=True)
class LoggedIn:
    """What came of it.

    :param kept: where the credential is, in words.
    :param needed: False: the registry let everyone in, whatever the password.
    """

    registry: str
    kept: str
    needed: bool


def login(registries: Registries, registry: str, credential: Credential) -> LoggedIn:
    """Try a credential at a registry, and keep it where docker looks for it.

    :raises RegistryError: the registry does not accept it, or could not be asked; nothing is kept.
    :raises InputError: the file could not be written.
    """
    client = registries.client(registry, credential)
    with registries.pool():
        with client.call("GET", "/v2/", expected=(404,)) as answer:
            if answer.status == 404:
                raise RegistryError("no registry answers there", where=registry, why="it answers 404 to /v2/")
    kept = remember(registries.auth.written, registry, credential)
    return LoggedIn(registry, kept, needed=client.sign_in.asked)
