from __future__ import annotations

from pathlib import Path

import pytest

from sealer.errors import InputError
from sealer.events import EventStream
from sealer.extension.loading import load_driver
from sealer.settings import DEFAULT_PROVIDER, Settings
from sealer.testing import make_operation
from sealer_plugin_baremetal import Baremetal


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def test_it_is_the_default_provider(settings: Settings) -> None:
    assert isinstance(load_driver("provider", DEFAULT_PROVIDER.upper(), settings, EventStream()), Baremetal)


@pytest.mark.parametrize("kind", ["create", "scale", "delete"])
def test_it_makes_and_destroys_nothing(settings: Settings, kind: str) -> None:
    provider = Baremetal(settings, EventStream(), {})
    operation = make_operation(kind)  # type: ignore[arg-type]
    assert not provider.makes_hosts
    assert [*provider.reconcile(operation), *provider.destroy(operation), *provider.find("x")] == []


def test_it_has_no_fields(settings: Settings) -> None:
    with pytest.raises(InputError) as caught:
        load_driver("provider", "baremetal", settings, EventStream(), {"count": 3})
    assert [problem.message for problem in caught.value.problems] == ["unknown field 'count'"]
