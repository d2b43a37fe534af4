"""Hosts and their addresses, as users write them."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from sealer.redaction import Secret

MASTER = "master"
NODE = "node"
DEFAULT_USER = "root"
LARGEST_RANGE = 65_536


@dataclass(frozen=True)
class Ssh:
    """How to log in to a host. Empty fields are filled from the cluster's, then from the defaults.

    :param user: login name; default `root`.
    :param password: its password, also what sudo asks for.
    :param private_key: path of a private key, or the key itself (PEM or OpenSSH format).
    :param private_key_password: the passphrase of that key.
    :param port: TCP port; 0 means not given (22).
    :param config: file of ssh's configuration that counts; `none`: nothing of it does; empty: as for ssh.
    :param alias: the name by which the host was named; that configuration is asked about it.
    """

    user: str = ""
    password: Secret | None = None
    private_key: str = ""
    private_key_password: Secret | None = None
    port: int = 0
    config: str = ""
    alias: str = ""

    @property
    def is_login(self) -> bool:
        """Whether it says how to log in, and not just where to look that up."""
        return replace(self, config="", alias="") != Ssh()

    def filled_from(self, other: Ssh) -> Ssh:
        """This, with every empty field taken from `other`."""
        return Ssh(
            user=self.user or other.user,
            password=self.password or other.password,
            private_key=self.private_key or other.private_key,
            private_key_password=self.private_key_password or other.private_key_password,
            port=self.port or other.port,
            config=self.config or other.config,
            alias=self.alias or other.alias,
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
    def has_login(self) -> bool:
        """Whether anything is given of how to log in: such a host is reached over the network, wherever it is."""
        return self.ssh.is_login

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
    """The one spelling of an IP address: `::0:1` and `::1` are the same host, as are `::ffff:10.0.0.1` and `10.0.0.1`.

    :raises ValueError: it is no IP address; the message says so in one line.
    """
    text = text.strip()
    try:
        return str(_address(text[1:-1] if text.startswith("[") and text.endswith("]") else text))
    except ValueError:
        raise ValueError(f"'{text}' is not an IP address") from None


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.scope_id is not None and not _ZONE.match(address.scope_id):
        raise ValueError
    return address.ipv4_mapped or address


_ZONE = re.compile(r"[0-9A-Za-z_.-]{1,15}\Z")  # a network interface, by its name or number; Python takes any text
_PORT = re.compile(r"^(?:\[(?P<six>[^\[\]]+)\]|(?P<four>[0-9.]+)):(?P<port>[0-9]+)$")
_BROADCAST = ipaddress.ip_address("255.255.255.255")


def parse_address(text: str) -> tuple[str, int]:
    """One address with an optional SSH port: `10.0.0.2`, `10.0.0.2:2222`, `fd00::2`, `[fd00::2]:2222`.

    :returns: the canonical address, and the port or 0.
    :raises ValueError: with a message that says what is wrong.
    """
    text, port = text.strip(), 0
    match = _PORT.match(text)
    if match:
        port = int(match["port"])
        if not 0 < port < 65_536:
            raise ValueError(f"'{text}': a port lies between 1 and 65535")
    address = canonical_address((match["six"] or match["four"]) if match else text)
    number = ipaddress.ip_address(address)
    if number.is_unspecified or number.is_multicast or number == _BROADCAST:
        raise ValueError(f"{address} is no address that a host can have")
    return address, port


def is_this_machine(address: str) -> bool:
    """Whether an address is one of this machine's own: then the kernel's route to it begins and ends there.

    That an address can be bound proves nothing: with `ip_nonlocal_bind`, as on balancers, any can.
    """
    bare = address.partition("%")[0]
    if ipaddress.ip_address(bare).is_loopback:
        return True
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((address, 9))  # nothing is sent, only a route is chosen
        return str(probe.getsockname()[0]).partition("%")[0] == bare
    return False


def parse_range(first: str, last: str) -> Iterator[str]:
    """Every address from `first` to `last`, both included.

    :raises ValueError: mixed families, a zone, backwards, or more than 65,536 addresses.
    """
    if "%" in first + last:
        raise ValueError(f"'{first}-{last}': addresses with a zone (%) form no range; name them one by one")
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
        if not dash or _is_address(item):  # an interface, too, may have a dash in its name: fe80::1%br-lan
            found.append(parse_address(item))
            continue
        start, start_port = parse_address(first)
        end, end_port = parse_address(last)
        if start_port and end_port and start_port != end_port:
            raise ValueError(f"'{item}': one port for a range, not {start_port} and {end_port}")
        port = end_port or start_port
        found.extend((address, port) for address in parse_range(start, end))
    return found


@dataclass(frozen=True)
class NamedHost:
    """A host as somebody named it.

    :param port: given with it, or 0.
    :param name: what it was called, where that is no address.
    :param default_port: of the name, where nothing else says one; 0: none.
    """

    address: str
    port: int = 0
    name: str = ""
    default_port: int = 0

    def login(self, ssh: Ssh) -> Ssh:
        """How to log in to it.

        :param ssh: what counts for all hosts that are named together.
        """
        return Ssh(port=self.port, alias=self.name).filled_from(ssh).filled_from(Ssh(port=self.default_port))


# The address of a name, and a port or 0, by the choice of ssh's configuration; a ValueError says that there is none.
Resolve = Callable[[str, str], tuple[str, int]]
_LABEL = r"[A-Za-z0-9_](?:[-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"(?P<name>(?=.{{1,253}}(?::|$)){_LABEL}(?:\.{_LABEL})*\.?)(?::(?P<port>[0-9]{{1,5}}))?")


def is_host_name(text: str) -> bool:
    """Whether a text can be the name of a host: `1.2.3` and `1.2.3.x-1` are mistyped addresses."""
    match = _NAME.fullmatch(text)
    return match is not None and re.search("[A-Za-z]", match["name"].rstrip(".").rpartition(".")[2]) is not None


def parse_hosts(text: str, resolve: Resolve | None, config: str = "") -> list[NamedHost]:
    """As :func:`parse_addresses`, and names with an optional port: `node1.example, node2:2222`.

    :param resolve: None: names are a mistake.
    :param config: the choice of ssh's configuration.
    :raises ValueError: with a message that says what is wrong.
    """
    found: list[NamedHost] = []
    for item in (part.strip() for part in text.split(",")):
        if resolve is None or not is_host_name(item) or _is_range(item):
            found += [NamedHost(address, port) for address, port in parse_addresses(item)]
            continue
        match = _NAME.fullmatch(item)
        assert match is not None
        port = int(match["port"] or 0)
        if match["port"] and not 0 < port < 65_536:
            raise ValueError(f"'{item}': a port lies between 1 and 65535")
        address, default_port = resolve(match["name"], config)
        found.append(NamedHost(parse_address(address)[0], port, match["name"], default_port))
    return found


def _is_range(text: str) -> bool:
    first, dash, _ = text.partition("-")
    return bool(dash) and _is_address(first)


def _is_address(text: str) -> bool:
    match = _PORT.match(text)
    try:
        canonical_address((match["six"] or match["four"]) if match else text)
    except ValueError:
        return False
    return True
