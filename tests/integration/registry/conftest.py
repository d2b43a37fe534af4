from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from certificates import Authority
from docker_registry import OBSTACLE, DockerRegistry
from faulty_proxy import FaultyProxy
from sample_images import MakeRegistries

from sealer.events import Event, EventStream
from sealer.image.registry.configuration import Configuration, RegistrySettings
from sealer.image.registry.credentials import AuthFiles
from sealer.image.registry.endpoints import Access
from sealer.image.registry.limits import Limits
from sealer.image.registry.registries import Registries
from sealer.image.store import Store

QUICK = Limits(attempts=4, first_delay=0.01, longest_delay=0.05, connect_timeout=5, silence=2)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without docker-registry the tests of this directory have nothing to speak with."""
    here = Path(__file__).parent
    for item in items:
        if OBSTACLE and here in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=OBSTACLE))


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[DockerRegistry]:
    """One without TLS and passwords."""
    directory = tmp_path / "registry"
    directory.mkdir()
    with DockerRegistry(directory) as started:
        yield started


@pytest.fixture
def proxy(registry: DockerRegistry) -> Iterator[FaultyProxy]:
    with FaultyProxy(registry.address) as started:
        yield started


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    directory = tmp_path / "authority"
    directory.mkdir()
    return Authority(directory)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "images")


@pytest.fixture
def other(tmp_path: Path) -> Store:
    return Store(tmp_path / "other-images")


@pytest.fixture
def events() -> EventStream:
    return EventStream()


@pytest.fixture
def seen(events: EventStream) -> list[Event]:
    found: list[Event] = []
    events.subscribe(found.append)
    return found


@pytest.fixture
def registries(tmp_path: Path) -> MakeRegistries:
    """All registries with the settings of a test; each is good for one transfer."""

    def make(
        *,
        auths: dict[str, object] | None = None,
        settings: dict[str, RegistrySettings] | None = None,
        limits: Limits = QUICK,
        access: Access | None = None,
        default: str = "docker.io/sealerio",
        **changed: object,
    ) -> Registries:
        path = tmp_path / "auth.json"
        path.write_text(json.dumps(auths or {}))
        limits = dataclasses.replace(limits, **changed)  # type: ignore[arg-type]
        configuration = Configuration(default, settings or {})
        certificates = [tmp_path / "certs.d"]
        return Registries(configuration, AuthFiles.of(path), access or Access(), limits, certificates)

    return make
