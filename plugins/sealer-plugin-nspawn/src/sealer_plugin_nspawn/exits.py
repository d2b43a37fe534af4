"""Whether the hosts behind a bridge can reach beyond this machine."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path

from sealer.errors import SealerError
from sealer_plugin_nspawn.programs import run

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
# Of the routing rule that keeps the hosts in. This machine's own addresses come before it, all other routes after.
PREFERENCE = 18190


def close_exit(bridge: str) -> None:
    """Nothing leads out, also where this machine forwards for others, now or later."""
    _remove_translation(bridge)
    command = ["ip", "-4", "rule", "add", *_rule(bridge)]
    if not _has_rule(bridge):
        run(command, doing="closing the hosts' network", accept=(0, 2))  # 2: another process was faster
    if not _has_rule(bridge):
        run(command, doing="closing the hosts' network")


def open_exit(bridge: str, subnet: ipaddress.IPv4Network) -> None:
    """Let the hosts reach what this machine reaches, as if they were it.

    :raises SealerError: this machine does not forward, which is the user's to change.
    """
    if FORWARDING.read_text().strip() == "0":
        raise SealerError(
            "the hosts cannot be given a way out",
            why="this machine does not forward packets",
            remedy="sysctl -w net.ipv4.ip_forward=1, or leave out spec.provider.nat",
        )
    _remove_rule(bridge)
    _remove_translation(bridge)
    translate = f"ip saddr {subnet} oifname != {bridge} masquerade"
    chain = "type nat hook postrouting priority srcnat; policy accept;"
    text = f"table ip {bridge} {{\nchain postrouting {{\n{chain}\n{translate}\n}}\n}}\n"
    run(["nft", "-f", "-"], stdin=text, doing="translating the hosts' addresses")


def remove_exit(bridge: str) -> None:
    """Take away whatever there is of either."""
    _remove_rule(bridge)
    _remove_translation(bridge)


def _rule(bridge: str) -> list[str]:
    return ["iif", bridge, "preference", str(PREFERENCE), "prohibit"]


def _has_rule(bridge: str) -> bool:
    rules = json.loads(run(["ip", "-4", "-j", "rule"]) or "[]")
    return any((rule.get("iif"), rule.get("priority")) == (bridge, PREFERENCE) for rule in rules)


def _remove_rule(bridge: str) -> None:
    command = ["ip", "-4", "rule", "del", *_rule(bridge)]
    if _has_rule(bridge):
        run(command, doing="opening the hosts' network", accept=(0, 2))  # 2: another process was faster
    if _has_rule(bridge):
        run(command, doing="opening the hosts' network")


def _remove_translation(bridge: str) -> None:
    if bridge in _tables():
        run(["nft", "delete", "table", "ip", bridge], doing="ending the translation of addresses")


def _tables() -> set[str]:
    try:
        listed = json.loads(run(["nft", "-j", "list", "tables", "ip"]))
    except SealerError:
        return set()  # without nft, or without support of the kernel, there can be none of ours
    return {entry["table"]["name"] for entry in listed["nftables"] if "table" in entry}
