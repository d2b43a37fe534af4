"""Platforms by their OCI names."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping

from sealer.errors import InputError
from sealer.events import Json
from sealer.image.oci import texts

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


def config_platform(config: Mapping[str, Json]) -> dict[str, str]:
    """The platform object that an image's config tells; the original sealer's earlier configs have it in `spec`."""
    spec = config.get("spec")
    told = texts(spec.get("platform") if isinstance(spec, dict) and "os" not in config else dict(config))
    return {key: told[key] for key in ("os", "architecture", "variant") if told.get(key)}
