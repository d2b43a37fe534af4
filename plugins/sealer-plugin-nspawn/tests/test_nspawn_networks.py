from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from sealer.errors import SealerError
from sealer_plugin_nspawn.network import cable, free_subnet
from sealer_plugin_nspawn.record import Lab

Net = ipaddress.IPv4Network


def lab(number: int = 3) -> Lab:
    return Lab("c", "o", number, Net("198.18.7.0/24"), Path("/state") / str(number))


def test_the_first_free_network_is_taken() -> None:
    taken = [Net("198.18.0.0/24"), Net("198.18.1.128/25"), Net("198.18.2.0/23"), Net("10.0.0.0/8")]
    assert free_subnet(Net("198.18.0.0/15"), taken) == Net("198.18.4.0/24")


def test_a_network_that_is_used_up() -> None:
    with pytest.raises(SealerError, match="no free network") as caught:
        free_subnet(Net("198.18.4.0/23"), [Net("198.18.0.0/16")])
    assert "spec.provider.subnet" in caught.value.remedy


def test_addresses_are_the_lowest_free_ones() -> None:
    grown = lab().with_machine("master-0", "master", 0, 0).with_machine("node-0", "node", 0, 0)
    assert [grown.address(machine) for machine in grown.machines.values()] == ["198.18.7.11", "198.18.7.12"]
    again = grown.without_machine("master-0").with_machine("node-1", "node", 2, 512)
    assert again.address(again.machines["node-1"]) == "198.18.7.11"
    assert again.machine("198.18.7.12") is again.machine("node-0")
    assert again.machine("198.18.7.13") is None


def test_a_network_has_room_for_240_hosts() -> None:
    full = lab()
    for index in range(240):
        full = full.with_machine(f"node-{index}", "node", 0, 0)
    assert full.address(full.machines["node-239"]) == "198.18.7.250"
    with pytest.raises(SealerError, match="at most 240"):
        full.with_machine("node-240", "node", 0, 0)


def test_names_of_interfaces_fit_the_kernel() -> None:
    crowded = lab(9999)
    for index in range(240):
        crowded = crowded.with_machine(f"node-{index}", "node", 0, 0)
    last = crowded.machines["node-239"]
    assert cable(crowded, last) == "vb-sn9999-240"
    assert max(len(cable(crowded, last)), len(crowded.bridge)) <= 15
