"""Where a registry is looked for, and how: without encryption only where that is asked for, or on this machine."""

from __future__ import annotations

import pytest

from sealer.image.registry.configuration import Configuration, RegistrySettings
from sealer.image.registry.endpoints import Access, Directory

OLD = "old.corp:5000"
CONFIGURED = Configuration(
    registries={OLD: RegistrySettings(plain_http=True), "docker.io": RegistrySettings(mirrors=("mirror.corp/hub", OLD))}
)


@pytest.mark.parametrize(
    ("registry", "schemes"),
    [
        ("registry.example.com", ("https",)),
        ("registry.example.com:80", ("https",)),
        ("192.0.2.7:5000", ("https",)),
        ("[2001:db8::7]:5000", ("https",)),
        ("localhost.example.com:5000", ("https",)),
        ("docker.io", ("https",)),
        (OLD, ("http",)),
        ("localhost:5000", ("http", "https")),
        ("127.0.0.1:5000", ("http", "https")),
        ("[::1]:5000", ("http", "https")),
    ],
)
def test_plain_http_is_spoken_on_loopback_and_where_it_is_asked_for(registry: str, schemes: tuple[str, ...]) -> None:
    assert Directory(CONFIGURED).endpoint(registry).schemes == schemes
    assert Directory(CONFIGURED, Access(plain_http=True)).endpoint(registry).schemes == ("http",)


def test_mirrors_come_first_and_each_as_it_is_configured() -> None:
    sources = Directory(CONFIGURED).sources("docker.io")
    assert [(str(one), one.schemes) for one in sources] == [
        ("mirror.corp/hub", ("https",)),
        (OLD, ("http",)),
        ("registry-1.docker.io", ("https",)),
    ]
    assert sources[0].repository("library/nginx") == "hub/library/nginx"
