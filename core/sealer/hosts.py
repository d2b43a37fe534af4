"""Hosts and their addresses, as users write them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sealer.redaction import Secret

MASTER = "master"
NODE = "node"
LARGEST_RANGE = 65_536


@dataclass(frozen=True)
class Ssh:
    """How to log in to a host. Empty fields are filled from the cluster's, then from the defaults.

    :param user: login name; default `root`.
    :param password: its password, also what sudo asks for.
    :param private_key: path of a private key, or the key itself (PEM or OpenSSH format).
    :param private_key_password: the passphrase of that key.
    :param port: TCP port; 0 means not given (22).
    """

    user: str = ""
    password: Secret | None = None
    private_key: str = ""
    private_key_password: Secret | None = None
    port: int = 0

    def filled_from(self, other: Ssh) -> Ssh:
        """This, with every empty field taken from `other`."""
        return Ssh(
            user=self.user or other.user,
            password=self.password or other.password,
            private_key=self.private_key or other.private_key,
            private_key_password=self.private_key_password or other.private_key_password,
            port=self.port or other.port,
        )


@dataclass(frozen=True)
class Host:
    """One machine. It is identified by its address alone; the port is only the way to it.

    :param address: canonical text of an IPv4 or IPv6 address; empty while a provider has yet to make the host.
    :param roles: `master` or `node` first, then further roles, which become node-role labels.
    :param ssh: how to log in.
    :param env: exported to everything that runs on this host, over the cluster's env.
    :param labels: node labels.
    :param taints: node taints, each `key=value:Effect`, `key:Effect`, with a trailing `-` for a removal.
    :param placeholder: its name before it has an address, e.g. `master-0`; kept afterwards.
    """

    address: str
    roles: tuple[str, ...] = (NODE,)
    ssh: Ssh = Ssh()
    env: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[str, ...] = ()
    placeholder: str = ""

    @property
    def id(self) -> str:
        """What journals, events and messages call it: the address, or the placeholder of a host not made yet."""
        return self.address or self.placeholder

    @property
    def is_master(self) -> bool:
        """Whether the host is of the control plane."""
        return MASTER in self.roles

    def __str__(self) -> str:
        return self.id


def canonical_address(text: str) -> str:
    """The one spelling of an IP address: `::0:1` and `::1` are the same host.

    :raises ValueError: it is no IP address; the message says so in one line.
    """
    try:
        return str(ipaddress.ip_address(text.strip().strip("[]")))
    except ValueError:
        raise ValueError(f"'{text.strip()}' is not an IP address") from None


_PORT = re.compile(r"^(?:\[(?P<six>[0-9a-fA-F:.%]+)\]|(?P<four>[0-9.]+)):(?P<port>[0-9]+)$")


def parse_address(text: str) -> tuple[str, int]:
    """One address with an optional SSH port: `10.0.0.2`, `10.0.0.2:2222`, `fd00::2`, `[fd00::2]:2222`.

    :returns: the canonical address, and the port or 0.
    :raises ValueError: with a message that says what is wrong.
    """
    text = text.strip()
    if match := _PORT.match(text):
        port = int(match["port"])
        if not 0 < port < 65_536:
            raise ValueError(f"'{text}': a port lies between 1 and 65535")
        return canonical_address(match["six"] or match["four"]), port
    return canonical_address(text), 0


def parse_range(first: str, last: str) -> Iterator[str]:
    """Every address from `first` to `last`, both included.

    :raises ValueError: mixed families, backwards, or more than 65,536 addresses.
    """
    low, high = ipaddress.ip_address(canonical_address(first)), ipaddress.ip_address(canonical_address(last))
    if low.version != high.version:
        raise ValueError(f"'{first}-{last}': a range has one address family, this one has IPv4 and IPv6")
    size = int(high) - int(low) + 1
    if size < 1:
        raise ValueError(f"'{first}-{last}': the range runs backwards; did you mean '{high}-{low}'?")
    if size > LARGEST_RANGE:
        raise ValueError(f"'{first}-{last}': {size} addresses; a range has at most {LARGEST_RANGE}")
    make = type(low)
    return (str(make(int(low) + offset)) for offset in range(size))


def parse_addresses(text: str) -> list[tuple[str, int]]:
    """A comma list of addresses and ranges, blanks around commas and dashes allowed: `a, b:2222, c-d, c-d:2222`.

    :returns: canonical addresses with their port or 0, in the order written.
    :raises ValueError: with a message that says what is wrong.
    """
    found: list[tuple[str, int]] = []
    for item in (part.strip() for part in text.split(",")):
        if not item:
            continue
        first, dash, last = item.partition("-")
        if not dash:
            found.append(parse_address(item))
            continue
        start, start_port = parse_address(first)
        end, end_port = parse_address(last)
        if start_port and end_port and start_port != end_port:
            raise ValueError(f"'{item}': one port for a range, not {start_port} and {end_port}")
        port = end_port or start_port
        found.extend((address, port) for address in parse_range(start, end))
    return found
