"""Who boots hosts for the tests of plugins: whatever distribution says that it does."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sealer.hosts import Host
from sealer.testing.real_hosts import RealHosts, why_no_hosts

MAKER = """
import contextlib
from sealer.hosts import Host

log = []

def unavailable():
    return "out of order" if log else ""

@contextlib.contextmanager
def real_hosts(count, name, *, masters=1):
    log.append(f"up {name} {count} {masters}")
    yield [Host("192.0.2.1")] * count
    log.append(f"down {name}")
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place where distributions are installed."""
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    return tmp_path


@pytest.fixture
def maker(site: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A distribution that makes hosts; gives the name of its module."""
    information = site / "maker-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: maker\nVersion: 1\n")
    (information / "entry_points.txt").write_text("[sealer.testing]\nreal-hosts = maker_of_hosts\n")
    (site / "maker_of_hosts.py").write_text(MAKER)
    monkeypatch.delitem(sys.modules, "maker_of_hosts", raising=False)
    return "maker_of_hosts"


def test_nobody_makes_hosts(site: Path) -> None:
    assert why_no_hosts() == "no distribution is installed that makes hosts for tests"


def test_somebody_does(maker: str) -> None:
    assert why_no_hosts() == ""
    with RealHosts() as real_hosts:
        assert real_hosts(2, masters=2) == [Host("192.0.2.1")] * 2
        assert real_hosts() == [Host("192.0.2.1")]
    log = sys.modules[maker].log
    assert [line.split()[0] for line in log] == ["up", "up", "down", "down"]
    (_, first, *how), (_, second, *_), (_, third), (_, fourth) = (line.split() for line in log)
    assert (how, first != second, third, fourth) == (["2", "2"], True, second, first)
    assert why_no_hosts() == "out of order"
