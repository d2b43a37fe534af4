"""Platforms by their OCI names."""

from __future__ import annotations

import platform
import re
from pathlib import Path

from sealer.errors import InputError

_ARCHITECTURES = {
    "x86_64": "amd64",
    "amd64": "amd64",
    "aarch64": "arm64",
    "arm64": "arm64",
    "armv7l": "arm",
    "ppc64le": "ppc64le",
    "riscv64": "riscv64",
    "s390x": "s390x",
}
_PLATFORM = re.compile(r"[a-z0-9]+/[a-z0-9]+(/[a-z0-9]+)?")


def host_platform() -> str:
    """`linux/<architecture>` of this machine: hosts of a cluster run Linux, whatever the operator's machine does."""
    machine = platform.machine().lower()
    return f"linux/{_ARCHITECTURES.get(machine, machine)}"


def platform_object(text: str) -> dict[str, str]:
    """The OCI platform object of `linux/arm64/v8`.

    :raises InputError: it is no platform.
    """
    if not _PLATFORM.fullmatch(text):
        raise InputError(f"'{text}' is no platform", remedy="write it as linux/amd64 or linux/arm64/v8")
    parts = text.split("/")
    value = {"os": parts[0], "architecture": parts[1]}
    if len(parts) > 2:
        value["variant"] = parts[2]
    return value


_QEMU = {"amd64": "x86_64", "arm64": "aarch64"}


def foreign_advice(platform: str) -> str:
    """What one must know about a RUN for another architecture than this machine's; empty for its own."""
    own, wanted = host_platform().split("/")[1], platform.split("/")[1]
    if own == wanted:
        return ""
    handler = Path("/proc/sys/fs/binfmt_misc") / f"qemu-{_QEMU.get(wanted, wanted)}"
    state = "which is installed" if handler.exists() else "which is not set up here: install qemu-user-static"
    return (
        f"RUN for {platform} uses this machine's programs, which are of {own}; "
        f"programs of {wanted} in the rootfs need qemu-user, {state}"
    )
