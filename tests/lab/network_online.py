"""A host whose network is up though nobody says so: what wants `network-online.target` waits there, for minutes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_NEVER = """\
systemctl stop network-online.target
mkdir -p /run/systemd/system/network-online.target.wants
cd /run/systemd/system
unit='[Unit]\\nBefore=network-online.target\\n[Service]\\nType=oneshot\\nExecStart=/bin/sleep 600\\n'
printf "$unit" >never-online.service
ln -sf ../never-online.service network-online.target.wants/
systemctl daemon-reload
"""
_AGAIN = """\
rm -rf /run/systemd/system/never-online.service /run/systemd/system/network-online.target.wants
systemctl stop never-online 2>/dev/null
systemctl daemon-reload
"""


@contextmanager
def never_online(run: Callable[[str], str]) -> Iterator[None]:
    """While it lasts the host is like that; nothing may have wanted the target at the end.

    :param run: runs a command on the host.
    """
    run(_NEVER)
    try:
        yield
        states = run("systemctl is-active network-online.target never-online.service || true").split()
        assert states == ["inactive", "inactive"], f"something waits for the network: {states}"
    finally:
        run(_AGAIN)
