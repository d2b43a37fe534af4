"""The bridge of a cluster on this machine, and the cables of its hosts."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path

from sealer.errors import SealerError
from sealer_plugin_nspawn import exits
from sealer_plugin_nspawn.programs import run
from sealer_plugin_nspawn.record import Lab, Machine

CLUSTER_PREFIX = 24

# How `ip` ends when the interface went away: 1 before it asks the kernel, 2 when the kernel says so. A dead host's goes
# away at any moment.
GONE = (1, 2)


class TakenError(SealerError):
    """What was free when it was recorded is another's: of one with another state directory, or of the machine."""


def cable(lab: Lab, machine: Machine) -> str:
    """The interface on this machine that leads into the host; systemd-nspawn names it so."""
    return f"vb-{lab.unit(machine)}"


def hardware_address(state: Path, number: int) -> str:
    """A bridge's own address: says whose it is, and does not change when hosts come and go."""
    digest = hashlib.sha256(f"{state}\0{number}".encode()).hexdigest()
    return "02:" + ":".join(digest[at : at + 2] for at in range(0, 10, 2))


def free_subnet(within: ipaddress.IPv4Network, taken: Iterable[ipaddress.IPv4Network]) -> ipaddress.IPv4Network:
    """The first /24 of `within` that overlaps none of `taken`.

    :raises SealerError: there is none.
    """
    taken = list(taken)
    for candidate in within.subnets(new_prefix=CLUSTER_PREFIX):
        if not any(candidate.overlaps(other) for other in taken):
            return candidate
    raise SealerError(
        "NSPAWN finds no free network",
        why=f"every /{CLUSTER_PREFIX} of {within} is used by a cluster or by this machine's own routes",
        remedy="delete a cluster, or choose another range with spec.provider.subnet",
    )


def networks_in_use() -> list[ipaddress.IPv4Network]:
    """All IPv4 networks this machine has an address in or a route to, but for default routes."""
    found: set[ipaddress.IPv4Network] = set()
    for interface in json.loads(run(["ip", "-4", "-j", "address"]) or "[]"):
        for entry in interface.get("addr_info", ()):
            found.add(ipaddress.IPv4Interface(f"{entry['local']}/{entry['prefixlen']}").network)
    for route in json.loads(run(["ip", "-4", "-j", "route", "show", "table", "all"]) or "[]"):
        if route["dst"] not in ("default", "0.0.0.0/0"):
            found.add(ipaddress.IPv4Network(route["dst"], strict=False))
    return [network for network in found if network.prefixlen >= 1]


def ensure_bridge(lab: Lab, nat: bool) -> None:
    """Make the bridge, or what an interrupted run left out of it.

    :param nat: let the hosts reach what this machine reaches.
    :raises TakenError: the name or the network belongs to another by now.
    """
    kind = ["address", hardware_address(lab.directory.parent, lab.number), "type", "bridge"]
    if not exists(lab.bridge):
        if any(lab.subnet.overlaps(network) for network in networks_in_use()):
            raise TakenError(f"the network {lab.subnet} of {lab.cluster} is used by something else on this machine")
        run(["ip", "link", "add", lab.bridge, *kind], doing="making a bridge", accept=(0, 2))  # 2: somebody was faster
    if not owns_bridge(lab):
        remedy = f"remove it: ip link del {lab.bridge}"
        raise TakenError(f"the interface {lab.bridge} is not of the cluster {lab.cluster}", remedy=remedy)
    address = f"{lab.gateway}/{lab.subnet.prefixlen}"
    run(["ip", "address", "replace", address, "dev", lab.bridge], doing="giving the bridge its address")
    if nat:
        exits.open_exit(lab.bridge, lab.subnet)
    else:
        exits.close_exit(lab.bridge)
    run(["ip", "link", "set", lab.bridge, "up"], doing="starting the bridge")


def owns_bridge(lab: Lab) -> bool:
    """Whether the bridge of that name exists and is this cluster's."""
    return bridge_is_of(lab.directory.parent, lab.number)


def bridge_is_of(state: Path, number: int) -> bool:
    """Whether the bridge with that number exists and was made for that state directory."""
    return _link(f"snb{number}").get("address") == hardware_address(state, number)


def remove_bridge(lab: Lab) -> None:
    """Take the bridge away, and before it what refers to it."""
    if owns_bridge(lab):
        exits.remove_exit(lab.bridge)
        run(["ip", "link", "del", lab.bridge], doing="removing a bridge", accept=(0, *GONE))
    if owns_bridge(lab):  # it was not that it had gone
        run(["ip", "link", "del", lab.bridge], doing="removing a bridge")


def unplug(lab: Lab, machine: Machine) -> None:
    """The host's network falls silent: nothing is told, nothing closes."""
    command = ["ip", "link", "set", cable(lab, machine), "nomaster"]
    run(command, doing=f"cutting {machine.name} off", accept=(0, *GONE))
    if plugged(lab, machine):
        run(command, doing=f"cutting {machine.name} off")


def plug(lab: Lab, machine: Machine) -> None:
    """The host's network works again.

    :raises SealerError: the host does not run.
    """
    command = ["ip", "link", "set", cable(lab, machine), "master", lab.bridge]
    if exists(cable(lab, machine)):
        run(command, doing=f"connecting {machine.name}", accept=(0, *GONE))
    if not exists(cable(lab, machine)):
        raise SealerError(f"{machine.name} cannot be connected", why="it does not run", remedy="boot it first")
    if not plugged(lab, machine):
        run(command, doing=f"connecting {machine.name}")


def plugged(lab: Lab, machine: Machine) -> bool:
    """Whether the host's network leads to the bridge."""
    return _link(cable(lab, machine)).get("master") == lab.bridge


def remove_cable(lab: Lab, machine: Machine) -> None:
    """Take away the interface that a dead host left; the kernel would, but some time later."""
    command = ["ip", "link", "del", cable(lab, machine)]
    if exists(cable(lab, machine)):
        run(command, doing="removing a cable", accept=(0, *GONE))
    if exists(cable(lab, machine)):  # it was not that it had gone
        run(command, doing="removing a cable")


def exists(interface: str) -> bool:
    """Whether this machine has an interface of that name."""
    return interface in interfaces()


def interfaces() -> frozenset[str]:
    """The names of all interfaces of this machine."""
    return frozenset(name for _, name in socket.if_nameindex())


def _link(interface: str) -> Mapping[str, str]:
    if not exists(interface):
        return {}
    listed = run(["ip", "-j", "link", "show", "dev", interface], accept=(0, *GONE))
    return next(iter(json.loads(listed or "[]")), {})
