from __future__ import annotations

import pytest

from sealer.testing import RealHosts
from sealer_plugin_nspawn.testing import on_host

pytestmark = pytest.mark.lab


def test_the_kit_s_fixture_boots_hosts_of_nspawn(real_hosts: RealHosts) -> None:
    first, second = real_hosts(2)
    assert [on_host(host, "hostname; id -u").split() for host in (first, second)] == [
        ["master-0", "0"],
        ["node-0", "0"],
    ]
    (other,) = real_hosts(1)
    assert on_host(other, "hostname") == "master-0"
    assert other.address not in (first.address, second.address)
