"""Addresses as users write them."""

from __future__ import annotations

import re

import pytest

from sealer.clusterfile.selectors import HostsByAddress
from sealer.clusterfile.selectors import parse as parse_selector
from sealer.hosts import canonical_address, parse_addresses


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.2:2222", [("10.0.0.2", 2222)]),
        ("0:0:0:0:0:0:0:1, [FD00::2]:22, [fd00::3]", [("::1", 0), ("fd00::2", 22), ("fd00::3", 0)]),
        ("::ffff:10.0.0.1,[::FFFF:10.0.0.2]:22", [("10.0.0.1", 0), ("10.0.0.2", 22)]),
        ("[fe80::1%eth0]:22, fe80::1%2", [("fe80::1%eth0", 22), ("fe80::1%2", 0)]),
        ("fe80::1%br-lan,[fe80::2%br-lan]:22", [("fe80::1%br-lan", 0), ("fe80::2%br-lan", 22)]),
        ("[fd00::1]:22 - [fd00::2]:22", [("fd00::1", 22), ("fd00::2", 22)]),
    ],
)
def test_addresses(text: str, expected: list[tuple[str, int]]) -> None:
    assert parse_addresses(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[::1", "'[::1' is not an IP address"),
        ("::1]", "'::1]' is not an IP address"),
        ("::1]:22", "'::1]:22' is not an IP address"),
        ("[[::1]]", "'[[::1]]' is not an IP address"),
        ("[10.0.0.1", "'[10.0.0.1' is not an IP address"),
        ("[fe80::1%eth0]:x", "'[fe80::1%eth0]:x' is not an IP address"),
        ("fe80::1%e th0", "'fe80::1%e th0' is not an IP address"),
        ("fe80::1%", "'fe80::1%' is not an IP address"),
        ("[fe80::1%eth0]:70000", "'[fe80::1%eth0]:70000': a port lies between 1 and 65535"),
        ("fe80::1%e-fe80::2%e", "'fe80::1%e-fe80::2%e': addresses with a zone (%) form no range; name them one by one"),
        ("fe80::1%e-fe80::2", "'fe80::1%e-fe80::2': addresses with a zone (%) form no range; name them one by one"),
        ("255.255.255.255", "255.255.255.255 is no address that a host can have"),
        ("0.0.0.0-0.0.0.9", "0.0.0.0 is no address that a host can have"),
        ("[ff02::1]:22", "ff02::1 is no address that a host can have"),
    ],
)
def test_what_is_no_address_of_a_host(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse_addresses(text)


def test_one_spelling() -> None:
    assert canonical_address(" [::0001] ") == "::1"
    assert canonical_address("::ffff:1.2.3.4") == canonical_address("1.2.3.4")


def test_a_selector_takes_the_same_addresses() -> None:
    assert parse_selector("fe80::1%wlan0, [fe80::2%wlan0]") == HostsByAddress(("fe80::1%wlan0", "fe80::2%wlan0"))
