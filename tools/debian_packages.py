"""Sees to the programs of the operating system that the tests or the demo call.

As root on Debian it installs what is missing; otherwise it says what to install and lets the caller go on: the tests
that need it skip with a reason.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

# program: the Debian package that has it
DEMO = {
    "ip": "iproute2",
    "mmdebstrap": "mmdebstrap",
    "ssh": "openssh-client",
    "systemd-nspawn": "systemd-container",
}
TESTS = DEMO | {
    "buildah": "buildah",
    "busybox": "busybox-static",
    "containerd": "containerd",
    "docker-registry": "docker-registry",
    "fish": "fish",
    "/usr/lib/podman/netavark": "netavark",  # what buildah of Debian 13 wants, and only recommends
    "nft": "nftables",
    "qemu-aarch64-static": "qemu-user-static",
    "runc": "runc",
    "shellcheck": "shellcheck",
    "skopeo": "skopeo",
    "sshd": "openssh-server",
    "sudo": "sudo",
    "tcsh": "tcsh",
    "zsh": "zsh",
}
POLICY = Path("/usr/sbin/policy-rc.d")


def missing(programs: dict[str, str]) -> list[str]:
    """The packages whose programs are not there."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return sorted({package for program, package in programs.items() if not shutil.which(program, path=path)})


def install(packages: list[str]) -> int:
    """Install packages, without starting any service of theirs: the tests start what they need."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    ours = not POLICY.exists()
    if ours:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        for words in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
            status = subprocess.run(["apt-get", "-qq", *words], env=environment, check=False).returncode
            if status:
                return status
    finally:
        if ours:
            with suppress(FileNotFoundError):
                POLICY.unlink()
    return 0


def main() -> int:
    """`tests` or `demo`: see to the programs of that."""
    packages = missing(DEMO if sys.argv[1:] == ["demo"] else TESTS)
    if not packages:
        return 0
    command = "apt-get install -y " + " ".join(packages)
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print("installing:", *packages, flush=True)  # noqa: T201  # a script for people
        return install(packages)
    print(f"missing programs; as root on Debian: {command}", flush=True)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
