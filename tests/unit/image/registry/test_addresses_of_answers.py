"""Addresses that a registry names in its answers: where its token server is, where a blob or an upload lies."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from sealer.errors import RegistryError
from sealer.image.registry import challenges
from sealer.image.registry.client import Client
from sealer.image.registry.configuration import Configuration, RegistrySettings
from sealer.image.registry.credentials import AuthFiles, Credential
from sealer.image.registry.names import is_loopback
from sealer.image.registry.registries import Registries
from sealer.image.registry.wire import joined
from sealer.redaction import Secret

REGISTRY = "registry.example:5000"
# No address of a web server, each in another way; several made Python's own parsers raise.
BROKEN = [
    "https://[::1",
    "https://a b/",
    "https://h:x/",
    "https://h\r\nX: y/",
    "ftp://h/",
    "//[",
    "https://]/",
]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server of this machine that no registry of elsewhere has any business with."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        yield server


def client(registry: str = REGISTRY, *, plain_http: bool = False) -> Client:
    configuration = Configuration(registries={registry: RegistrySettings(plain_http=plain_http)})
    registries = Registries(configuration, AuthFiles(()), certificates=())
    return registries.client(registry, Credential("op", Secret("of-the-operator")))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "[::ffff:127.0.0.1]", "0.0.0.0"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_registry_of_elsewhere_gets_nothing_sent_to_this_machine(
    listener: socket.socket, scheme: str, host: str
) -> None:
    realm = f"{scheme}://{host}:{listener.getsockname()[1]}/token"
    asked = challenges.parse([f'Bearer realm="{realm}",service="x"'])
    with pytest.raises(RegistryError, match="the registry refuses the login") as caught:
        client().sign_in.answer(asked, ("repository:a:pull",), "")
    assert "leads to this machine itself" in caught.value.why
    with pytest.raises(TimeoutError):
        listener.accept()


def test_a_name_that_leads_to_this_machine_is_found_out(listener: socket.socket) -> None:
    for name in (socket.gethostname(), "ip6-localhost", "localhost.localdomain"):
        try:
            addresses = {str(found[4][0]) for found in socket.getaddrinfo(name, None)}
        except OSError:
            continue
        if any(is_loopback(address) for address in addresses):
            break
    else:
        pytest.skip("this machine has no name that leads to its loopback, besides localhost")
    with pytest.raises(RegistryError, match="leads to this machine itself"):
        client()._checked(f"https://{name}:{listener.getsockname()[1]}/blob")


def test_a_token_server_without_encryption_is_asked_only_where_plain_http_was_asked_for() -> None:
    realm = "http://198.51.100.7/token"
    with pytest.raises(RegistryError, match="without encryption"):
        client()._checked(realm)
    assert client(plain_http=True)._checked(realm) == realm


@pytest.mark.parametrize("address", BROKEN)
def test_a_broken_address_is_an_error_of_the_registry(address: str) -> None:
    with pytest.raises(RegistryError):
        client()._checked(joined(f"https://{REGISTRY}/v2/", address))
    escaped = address.replace("\r\n", " ")
    with pytest.raises(RegistryError, match="refuses the login"):
        client().sign_in.answer(challenges.parse([f'Bearer realm="{escaped}"']), (), "")
