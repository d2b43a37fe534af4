"""`spec.on`."""

import pytest

from sealer.clusterfile.selectors import (
    EveryHost,
    FirstMaster,
    HostsByAddress,
    HostsWithLabel,
    HostsWithRole,
    Selector,
    parse,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", EveryHost()),
        (" ", EveryHost()),
        ("master", HostsWithRole("master")),
        ("node", HostsWithRole("node")),
        ("master0", FirstMaster()),
        ("10.0.0.1", HostsByAddress(("10.0.0.1",))),
        ("10.0.0.1, fd00::0:2", HostsByAddress(("10.0.0.1", "fd00::2"))),
        ("10.0.0.1-10.0.0.2,10.0.0.9", HostsByAddress(("10.0.0.9",), (frozenset({"10.0.0.1", "10.0.0.2"}),))),
        ("fd00::1-fd00::2", HostsByAddress((), (frozenset({"fd00::1", "fd00::2"}),))),
        ("node-role.kubernetes.io/master=", HostsWithLabel("node-role.kubernetes.io/master", "")),
        ("node-role.kubernetes.io/master", HostsWithLabel("node-role.kubernetes.io/master", None)),
        ("disk=ssd", HostsWithLabel("disk", "ssd")),
        ("disk==ssd", HostsWithLabel("disk", "ssd")),
    ],
)
def test_understood(text: str, expected: Selector) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("masters", "not 'masters'; did you mean 'master'"),
        ("everything", "a label key=value, not 'everything'"),
        ("10.0.0", "'10.0.0' is not an IP address"),
        ("10.0.0.9-10.0.0.1", "runs backwards"),
        ("10.0.0.1-fd00::1", "one address family"),
        ("10.0.0.0-10.9.0.0", "a range has at most 65536"),
        ("10.0.0.0-10.0.255.255,10.1.0.1", "more than 65536 addresses"),
        ("a=b,c=d", "one label"),
        ("a!=b", "other comparisons"),
        ("=b", "no name of a label"),
        ("a=b c", "no value of a label"),
        ("A/b=c", "no DNS name"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(text)
