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
_USUAL_VARIANTS = {"amd64": "v1", "arm": "v7", "arm64": "v8"}
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


def serves(have: str, wanted: str) -> bool:
    """Whether what is made for one platform is what another asks for.

    `linux/arm64` takes `linux/arm64/v8`; and that variant is the usual one, so that what names none has it.
    """
    if f"{have}/".startswith(f"{wanted}/"):
        return True
    usual, _, variant = wanted.rpartition("/")
    return have == usual and _USUAL_VARIANTS.get(usual.partition("/")[2]) == variant


def config_platform(config: Mapping[str, Json]) -> dict[str, str]:
    """The platform object that an image's config tells; the original sealer's earlier configs have it in `spec`."""
    spec = config.get("spec")
    told = texts(spec.get("platform") if isinstance(spec, dict) and "os" not in config else dict(config))
    return {key: told[key] for key in ("os", "architecture", "variant") if told.get(key)}
