"""`NO_PROXY`: which hosts are reached without a proxy, by the rules of programs written in Go.

docker, containerd, skopeo, kubeadm and helm follow them (golang.org/x/net/http/httpproxy): one value serves all.

* `corp` is that name and every name below it; `.corp` and `*.corp` are the names below it alone;
* `10.0.0.7` and `fd00::7` are addresses, `10.0.0.0/8` and `fd00::/8` networks; names are not looked up for them;
* `corp:5000`, `10.0.0.7:5000` and `[fd00::7]:5000` are for that port alone;
* `*` is every host. This machine (`localhost`, 127.0.0.0/8, ::1) is always reached without a proxy.
"""

from __future__ import annotations

import ipaddress
import os
import re

_PORT = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*):(?P<port>[^:]*)")


def goes_direct(host: str, port: int) -> bool:
    """Whether `NO_PROXY` takes a host out, or it is this machine.

    :param host: a name or an address, without brackets.
    """
    name = host.strip().strip("[]").lower().rstrip(".")
    address = _address(name)
    if name == "localhost" or (address is not None and address.is_loopback):
        return True
    text = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
    return any(_covers(entry, name, address, port) for entry in map(str.strip, text.lower().split(",")) if entry)


def _covers(entry: str, name: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None, port: int) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        return address is not None and _is_in(address, entry)
    split = _PORT.fullmatch(entry)
    wanted, only = (split["host"], split["port"]) if split else (entry, "")
    wanted = wanted.strip("[]")
    if not wanted or (only and only != str(port)):
        return False
    own = _address(wanted)
    if own is not None or address is not None:
        return own == address
    below = wanted.removeprefix("*")
    return name.endswith(below) if below.startswith(".") else name == below or name.endswith(f".{below}")


def _is_in(address: ipaddress.IPv4Address | ipaddress.IPv6Address, network: str) -> bool:
    try:
        return address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
