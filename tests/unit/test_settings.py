from __future__ import annotations

from pathlib import Path

import pytest

from sealer.errors import InputError
from sealer.settings import Settings


def test_what_holds_when_nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    settings = Settings.from_environment({})
    assert settings.home == Path("/home/me/.sealer")
    assert settings.parallel_hosts == 32
    assert not settings.disabled_plugins
    assert not settings.trace_plugins


def test_all_of_it_set() -> None:
    settings = Settings.from_environment(
        {
            "SEALER_HOME": "/srv/sealer",
            "SEALER_PARALLEL": "7",
            "SEALER_DISABLE_PLUGINS": "disk, other,",
            "SEALER_TRACE_PLUGINS": "1",
        }
    )
    assert settings == Settings(Path("/srv/sealer"), 7, frozenset({"disk", "other"}), True)


@pytest.mark.parametrize("parallel", ["0", "-1", "many", "1.5"])
def test_what_is_no_number_of_hosts(parallel: str) -> None:
    with pytest.raises(InputError, match="SEALER_PARALLEL"):
        Settings.from_environment({"SEALER_PARALLEL": parallel})
