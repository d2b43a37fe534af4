"""Fixtures for tests of plugins. A suite that wants them says so in its conftest.py::

pytest_plugins = ["sealer.testing.pytest_plugin"]
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite(
    "sealer.testing.expectations",
    "sealer.testing.provider_contract",
    "sealer.testing.runtime_contract",
    "sealer.testing.transport_contract",
    "sealer.testing.type_contract",
)

from sealer.events import Event, EventStream  # noqa: E402  # after assertions are told to explain themselves
from sealer.redaction import redactor  # noqa: E402
from sealer.settings import Settings  # noqa: E402
from sealer.testing.real_hosts import RealHosts, why_no_hosts  # noqa: E402
from sealer.testing.transport import RecordedTransport  # noqa: E402


class SeenEvents(EventStream):
    """An event stream that keeps what it told.

    :ivar seen: every event, in order.
    """

    def __init__(self) -> None:
        super().__init__("testing")
        self.seen: list[Event] = []
        self.subscribe(self.seen.append)

    def messages(self) -> list[str]:
        """The messages of all events that have one."""
        return [event.message for event in self.seen if event.message]


@pytest.fixture(autouse=True)
def _secrets_of_one_test() -> Iterator[None]:
    """The redactor is one per process: without this a secret of one test would be asterisks in the next one's texts."""
    before = redactor._texts
    yield
    redactor._texts = before


@pytest.fixture
def sealer_settings(tmp_path: Path) -> Settings:
    """Settings whose home is a directory of this test."""
    return Settings(home=tmp_path / "sealer-home")


@pytest.fixture
def sealer_events() -> SeenEvents:
    """An event stream that keeps what it told."""
    return SeenEvents()


@pytest.fixture
def recorded_transport(sealer_settings: Settings, sealer_events: SeenEvents) -> RecordedTransport:
    """A transport without hosts."""
    return RecordedTransport(sealer_settings, sealer_events)


@pytest.fixture(scope="module")
def real_hosts() -> Iterator[RealHosts]:
    """Hosts that are really booted: `real_hosts(3)` gives three of them; after the module's tests they are taken away.

    Where none can be made the test is skipped, with the reason.
    """
    if reason := why_no_hosts():
        pytest.skip(reason)
    with RealHosts() as hosts:
        yield hosts
