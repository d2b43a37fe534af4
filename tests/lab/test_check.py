"""What `sealer check`, `status` and `timeline` say of real hosts: the truth, in time, and nothing is changed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from lab_site import Site

from sealer_plugin_nspawn.machines import Machines

pytestmark = pytest.mark.lab


def check(site: Site, status: int = 0) -> dict[str, str]:
    """The state of each check that is not well, by host and check."""
    said = site.sealer("check", "--name", site.name, "--output", "json", status=status)
    [found] = [json.loads(line) for line in said.splitlines() if '"checks"' in line]
    assert found["well"] is (status == 0)
    return {
        f"{one['host']} {one['check'].rpartition('/')[2]}": one["state"]
        for one in found["checks"]
        if one["state"] != "well"
    }


def now(site: Site) -> list[Any]:
    hosts = json.loads(site.sealer("status", "--name", site.name, "--output", "json"))["hosts"]
    return [host["now"]["reached"] for host in sorted(hosts, key=lambda host: order(site, host["address"]))]


def order(site: Site, address: str) -> int:
    return [host.address for host in site.hosts].index(address)


@pytest.fixture
def third(machines: Machines, site: Site) -> Iterator[str]:
    """The name of the third machine, which is mended at the end."""
    name = next(state.name for state in machines.list() if state.address == site.hosts[2].address)
    yield name
    machines.mend(name)
    machines.boot(name)


def test_a_host_that_is_killed_is_told_of_and_well_when_it_is_back(site: Site, machines: Machines, third: str) -> None:
    site.write()
    site.apply()
    assert check(site) == {}
    assert now(site) == [True, True, True]
    before = [site.on(number, "find /var/lib/sealer -newermt '5 seconds ago' -o -name lock") for number in (0, 1)]

    address = site.hosts[2].address
    machines.kill(third)
    assert check(site, status=1) == {f"{address} host": "failed"}
    said = site.sealer("check", "--name", site.name, status=1)
    assert any(address in line and "FAILED" in line for line in said.splitlines())
    assert now(site) == [True, True, False]
    assert "not asked" in site.sealer("status", "--name", site.name, "--recorded")

    machines.boot(third)
    assert check(site) == {}
    assert now(site) == [True, True, True]
    after = [site.on(number, "find /var/lib/sealer -newermt '5 seconds ago' -o -name lock") for number in (0, 1)]
    assert [set(text.split()) - set(was.split()) for text, was in zip(after, before, strict=True)] == [set(), set()]


def test_a_host_that_is_cut_off_keeps_nobody_waiting(site: Site, machines: Machines, third: str) -> None:
    """It answers nothing at all, not even that nobody is there: only time tells."""
    site.write()
    site.apply()
    machines.cut(third)
    started = time.monotonic()
    assert now(site) == [True, True, False]
    assert time.monotonic() - started < 20
    started = time.monotonic()
    assert check(site, status=1) == {f"{site.hosts[2].address} host": "failed"}
    assert time.monotonic() - started < 60
    machines.mend(third)
    assert check(site) == {}


def test_another_machine_at_the_address_is_not_taken_for_the_host(site: Site) -> None:
    site.write()
    site.apply()
    site.on(1, "cp /etc/machine-id /root/machine-id; tr 0-9a-f 1-9a-f0 < /root/machine-id > /etc/machine-id")
    try:
        said = site.sealer("check", "--name", site.name, status=1)
        assert "This is not the machine it was" in said
        assert check(site, status=1) == {f"{site.hosts[1].address} host": "failed"}
    finally:
        site.on(1, "cp /root/machine-id /etc/machine-id; rm /root/machine-id")
    assert check(site) == {}


def test_the_timeline_of_a_run_on_three_hosts(site: Site) -> None:
    site.write()
    started = time.time()
    site.apply()
    took = time.time() - started
    found = json.loads(site.sealer("timeline", "--output", "json"))
    assert found["state"] == "done"
    assert found["seconds"] <= took
    [init] = [step for step in found["steps"] if step["id"] == "Init/kernel/init"]
    assert {host["host"] for host in init["hosts"]} == {host.address for host in site.hosts}
    links = found["criticalPath"]
    assert links[0]["step"] == "Reach/kernel/facts"
    assert "Init/kernel/init" in {link["step"] for link in links}
    whole = sum(link["wait"] + link["seconds"] for link in links)
    assert found["seconds"] * 0.7 < whole <= found["seconds"] + 0.1
