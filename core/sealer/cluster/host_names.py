"""The addresses of hosts that are named."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from sealer.cluster import state
from sealer.cluster.home import ClusterHome
from sealer.errors import MissingDriverError, SealerError
from sealer.events import EventStream
from sealer.extension.drivers import Transport
from sealer.extension.loading import load_driver
from sealer.extension.operation import Recorded, RecordedHost
from sealer.hosts import Host, parse_address
from sealer.settings import DEFAULT_TRANSPORT, Settings

Locate = Callable[[str, str], tuple[str, int]]


class HostNames:
    """Asks for each name once.

    :param locate: where a name leads by ssh's configuration.
    :param recorded: the address that is recorded of a name, or empty: it counts where the name has none any more.
    """

    def __init__(self, locate: Locate, recorded: Callable[[str], str] = lambda name: "") -> None:
        self._locate = locate
        self._recorded = recorded
        self._found: dict[tuple[str, str], tuple[str, int]] = {}

    @classmethod
    def of(cls, settings: Settings, events: EventStream) -> HostNames:
        """With the configuration that the transport reads, where it is installed, and the clusters of this home."""

        def locate(name: str, config: str) -> tuple[str, int]:
            try:
                transport: Transport = load_driver("transport", DEFAULT_TRANSPORT, settings, events, {})
            except MissingDriverError:
                return name, 0
            return transport.locate(name, config)

        def recorded(name: str) -> str:
            found = {
                entry.host.address
                for home in map(ClusterHome, sorted(settings.clusters.glob("*")))
                for entry in _hosts(home)
                if entry.host.ssh.alias == name
            }
            return found.pop() if len(found) == 1 else ""

        return cls(locate, recorded)

    def resolve(self, name: str, config: str = "") -> tuple[str, int]:
        """The address of a name, and the port that ssh's configuration has for it, or 0.

        :raises ValueError: it has none, or several.
        :raises InputError: ssh's configuration cannot be understood.
        """
        if (name, config) not in self._found:
            where, port = self._locate(name, config)
            try:
                address = _address(name, where)
            except ValueError:
                if not (address := self._recorded(name)):
                    raise
            self._found[name, config] = address, port
        return self._found[name, config]


def _hosts(home: ClusterHome) -> Sequence[RecordedHost]:
    """The hosts of a cluster; none where its record is damaged."""
    try:
        found = state.load_state(home)
    except SealerError:
        return ()
    return found.hosts if found else ()


def as_recorded(hosts: Sequence[Host], recorded: Recorded | None, warn: Callable[[str], None]) -> tuple[Host, ...]:
    """The hosts, each that is recorded by its name with the address that is recorded: names are resolved once."""
    known = {entry.host.ssh.alias: entry.host.address for entry in recorded.hosts} if recorded else {}
    found = []
    for host in hosts:
        address = known.get(host.ssh.alias, "") if host.ssh.alias else ""
        if address and address != host.address:
            warn(
                f"the name {host.ssh.alias} is now that of {host.address}; in the cluster it is {address}, and stays "
                "so: name a new machine by its address"
            )
            found.append(replace(host, address=address))
        else:
            found.append(host)
    return tuple(found)


def _address(name: str, where: str) -> str:
    shown = name if where == name else f"{name} (HostName {where})"
    try:
        return parse_address(where)[0]
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(where, None, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        why = error.strerror if isinstance(error, socket.gaierror) and error.strerror else str(error)
        raise ValueError(f"the host name {shown} has no address: {why}") from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    chosen = _of_one_family(addresses)
    if len(chosen) != 1:
        raise ValueError(f"the host name {shown} has several addresses ({', '.join(chosen)}); give the one to use")
    return parse_address(chosen[0])[0]


def _of_one_family(addresses: Iterable[str]) -> list[str]:
    """The IPv4 addresses, or the IPv6 ones where there are no others."""
    every = sorted(addresses)
    return [one for one in every if ipaddress.ip_address(one).version == 4] or every
