"""The Debian programs this provider needs on this machine."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping

from sealer.errors import SealerError
from sealer_plugin_nspawn.programs import run

PACKAGES: Mapping[str, str] = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "ssh-keygen": "openssh-client",
    "unshare": "util-linux",
    "setpriv": "util-linux",
}
INSTALLING = 600.0  # seconds
FURTHER_PATH = "/usr/local/sbin:/usr/sbin:/sbin"  # where Debian keeps ip; not on every root's PATH (su, cron)


def require_machine() -> None:
    """Only root on Linux can make hosts.

    :raises SealerError: this is something else; says what to do.
    """
    if not sys.platform.startswith("linux"):
        raise SealerError("NSPAWN makes no hosts here", why=f"it needs Linux, this is {sys.platform}")
    if os.geteuid() != 0:
        raise SealerError("NSPAWN makes no hosts here", why="it needs root", remedy="run sealer as root")
    have = os.environ.get("PATH", os.defpath).split(":")
    os.environ["PATH"] = ":".join([*have, *(part for part in FURTHER_PATH.split(":") if part not in have)])


def missing_packages(further: Mapping[str, str]) -> list[str]:
    """Debian packages whose programs are not there, sorted."""
    needed = {**PACKAGES, **further}
    return sorted({package for program, package in needed.items() if not shutil.which(program)})


def ensure_tools(install: bool, say: Callable[[str], None], *, nat: bool = False) -> None:
    """See to it that all programs are there.

    :param nat: those that translate addresses, too.
    :param install: install what is missing.
    :param say: told what is installed.
    :raises SealerError: something is missing and may not or cannot be installed; says what to install.
    """
    packages = missing_packages({"nft": "nftables"} if nat else {})
    if not packages:
        return
    command = f"apt-get install -y {' '.join(packages)}"
    if not install or not shutil.which("apt-get"):
        raise SealerError(
            "NSPAWN lacks programs of this machine", why=f"not installed: {', '.join(packages)}", remedy=command
        )
    say(f"Installing on this machine what makes hosts: {command}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    doing = "installing what makes hosts"
    run(["apt-get", "update", "-qq"], timeout=INSTALLING, environment=quiet, doing=doing)
    install_now = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    run(install_now, timeout=INSTALLING, environment=quiet, doing=doing)
