"""Hosts that are named, and their addresses."""

import socket
from collections.abc import Callable
from dataclasses import replace

import pytest

from sealer.cluster.desired import Flags, desired, hosts_of_flags
from sealer.cluster.host_names import HostNames, as_recorded
from sealer.clusterfile.reading import read
from sealer.clusterfile.writing import write
from sealer.errors import InputError
from sealer.extension.operation import Recorded, RecordedHost
from sealer.hosts import Host, NamedHost, Resolve, Ssh, parse_hosts

ZONE = {
    "node1": ["10.0.0.1"],
    "node1.example": ["10.0.0.1"],
    "node-2.example": ["10.0.0.2", "fd00::2"],
    "six": ["fd00::6"],
    "both": ["10.0.0.3", "10.0.0.4"],
    "1and1.example": ["10.0.0.5"],
    "master-1": ["10.0.0.7"],
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names that the resolver was asked for."""
    names: list[str] = []

    def lookup(name: str, *arguments: object, **more: object) -> list[tuple[object, ...]]:
        names.append(name)
        if name not in ZONE:
            raise socket.gaierror(-2, "Name or service not known")
        return [(0, 0, 0, "", (address, 0)) for address in ZONE[name]]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    return names


@pytest.fixture
def resolve(asked: list[str]) -> Resolve:
    aliases = {"web": ("node1.example", 2200), "vm": ("127.0.0.1", 2222), "far": ("nosuch.example", 0)}
    return HostNames(lambda name, config: aliases.get(name, (name, 0)) if config != "none" else (name, 0)).resolve


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("node1", [NamedHost("10.0.0.1", 0, "node1")]),
        ("node1:22, 10.0.0.9", [NamedHost("10.0.0.1", 22, "node1"), NamedHost("10.0.0.9")]),
        ("node-2.example", [NamedHost("10.0.0.2", 0, "node-2.example")]),
        ("six", [NamedHost("fd00::6", 0, "six")]),
        ("1and1.example", [NamedHost("10.0.0.5", 0, "1and1.example")]),
        ("web", [NamedHost("10.0.0.1", 0, "web", 2200)]),
        ("vm:5", [NamedHost("127.0.0.1", 5, "vm", 2222)]),
        ("10.0.0.1-10.0.0.2,node1.example", [NamedHost(f"10.0.0.{number}") for number in (1, 2)] + [
            NamedHost("10.0.0.1", 0, "node1.example")
        ]),
        ("fe80::1%eth0", [NamedHost("fe80::1%eth0")]),
    ],
)  # fmt: skip
def test_names_and_addresses(resolve: Resolve, text: str, found: list[NamedHost]) -> None:
    assert parse_hosts(text, resolve) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nosuch.example", "the host name nosuch.example has no address: Name or service not known"),
        ("far", r"the host name far \(HostName nosuch.example\) has no address"),
        ("both", r"has several addresses \(10.0.0.3, 10.0.0.4\)"),
        ("node1:0", "a port lies between"),
        ("node1:70000", "a port lies between"),
        ("10.0.0.256", "is not an IP address"),
        ("10.0.0", "is not an IP address"),
        ("300", "is not an IP address"),
        ("10.0.0.1-10.0.0.x", "is not an IP address"),
        ("-node1", "is not an IP address"),
        ("node1..example", "is not an IP address"),
        ("node 1", "is not an IP address"),
        ("node1;id", "is not an IP address"),
        ("fe80::1%", "is not an IP address"),
        ("x" * 64, "is not an IP address"),
    ],
)
def test_what_is_neither(resolve: Resolve, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_hosts(text, resolve)


def test_each_name_is_asked_for_once(resolve: Resolve, asked: list[str]) -> None:
    for _ in range(3):
        parse_hosts("node1,node1", resolve)
    assert asked == ["node1"]


def test_a_name_that_has_no_address_any_more_has_the_recorded_one(asked: list[str]) -> None:
    """So that a cluster can be changed and deleted by its Clusterfile."""
    known = {"gone.example": "10.0.0.44", "node1": "10.0.0.45"}
    resolve = HostNames(lambda name, config: (name, 0), lambda name: known.get(name, "")).resolve
    assert [resolve(name)[0] for name in known] == ["10.0.0.44", "10.0.0.1"]
    with pytest.raises(ValueError, match="has no address"):
        resolve("nosuch")


def test_hosts_of_the_command_line(resolve: Resolve) -> None:
    flags = Flags(masters="web", nodes="node-2.example:23", ssh=Ssh("admin", port=9))
    assert hosts_of_flags(flags, resolve) == (
        Host("10.0.0.1", ("master",), Ssh("admin", port=9, alias="web")),
        Host("10.0.0.2", ("node",), Ssh("admin", port=23, alias="node-2.example")),
    )
    (only,) = hosts_of_flags(Flags(masters="web"), resolve)
    assert only.ssh == Ssh(port=2200, alias="web")
    assert only.has_login
    (only,) = hosts_of_flags(Flags(masters="node1"), resolve)
    assert not only.has_login  # where the name is this machine's, it is worked on without SSH


def test_two_names_of_one_address_are_an_error(resolve: Resolve) -> None:
    with pytest.raises(InputError, match=r"The host 10.0.0.1 \(node1, web\) is named 2 times"):
        desired(None, Flags(masters="node1", nodes="web"), lambda name: False, resolve)
    with pytest.raises(InputError) as caught:
        read(clusterfile("node1", "web"), resolve=resolve)
    (problem,) = caught.value.problems
    assert "10.0.0.1 (web) is named twice" in problem.message
    assert problem.position.line == 7


def clusterfile(*names: str) -> str:
    lines = "".join(f"  - {{ips: [{name}], roles: [{'node' if n else 'master'}]}}\n" for n, name in enumerate(names))
    return f"apiVersion: sealer.io/v2\nkind: Cluster\nmetadata: {{name: c}}\nspec:\n  hosts:\n{lines}"


def test_hosts_of_a_clusterfile_are_recorded_as_addresses(resolve: Resolve, asked: list[str]) -> None:
    found = read(clusterfile("web", "10.0.0.9"), resolve=resolve)
    assert found.cluster is not None
    assert [host.address for host in found.cluster.hosts] == ["10.0.0.1", "10.0.0.9"]
    del asked[:]
    again = read(write(found))
    assert again.cluster is not None
    assert again.cluster.hosts == found.cluster.hosts
    assert not asked


def test_a_name_in_a_clusterfile_without_an_address_is_a_mistake_with_its_place(resolve: Resolve) -> None:
    with pytest.raises(InputError) as caught:
        read(clusterfile("10.0.0.9", "nosuch.example"), resolve=resolve)
    (problem,) = caught.value.problems
    assert (problem.position.line, problem.message) == (
        7,
        "the host name nosuch.example has no address: Name or service not known",
    )


def test_a_name_is_what_it_was_when_it_was_recorded(warned: list[str], recorded: Callable[[Host], Recorded]) -> None:
    before = Host("10.0.0.1", ("master",), Ssh(alias="node1"))
    now = replace(before, address="10.0.0.77")
    other = Host("10.0.0.78", ssh=Ssh(alias="node2"))
    assert as_recorded([now, other], recorded(before), warned.append) == (before, other)
    assert len(warned) == 1
    assert "10.0.0.77" in warned[0]
    assert as_recorded([now], None, warned.append) == (now,)


@pytest.fixture
def warned() -> list[str]:
    return []


@pytest.fixture
def recorded() -> Callable[[Host], Recorded]:
    return lambda host: Recorded("c", "running", (RecordedHost(host),), read(clusterfile("10.0.0.1")))
