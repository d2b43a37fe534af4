"""The provider's own fields in a Clusterfile: `spec.provider: {name: NSPAWN, release: bookworm, ...}`."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sealer.errors import InputError
from sealer.events import Json
from sealer.redaction import Secret

DEFAULT_SUBNET = ipaddress.IPv4Network("198.18.0.0/15")  # set apart for tests of networks (RFC 2544)
SMALLEST_PREFIX, LARGEST_PREFIX = 8, 24

SCHEMA: Mapping[str, Json] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "release": {
            "type": "string",
            "pattern": "^[a-z][a-z0-9-]*$",
            "default": "bookworm",
            "description": "Debian release that the hosts run",
        },
        "subnet": {
            "type": "string",
            "default": str(DEFAULT_SUBNET),
            "description": "IPv4 network of /8 to /24 out of which every cluster gets a free /24",
        },
        "stateDir": {
            "type": "string",
            "pattern": "^/",
            "default": "/var/lib/sealer-nspawn",
            "description": "where the hosts' files and the record of what was made are kept",
        },
        "cacheDir": {
            "type": "string",
            "pattern": "^/",
            "default": "/var/cache/sealer-nspawn",
            "description": "where the base trees are kept, for all clusters",
        },
        "installTools": {
            "type": "boolean",
            "default": True,
            "description": "install missing Debian packages on this machine with apt-get",
        },
        "nat": {
            "type": "boolean",
            "default": False,
            "description": "let the hosts reach what this machine reaches; otherwise nothing leads out",
        },
        "password": {
            "type": "string",
            "minLength": 1,
            "description": "password of root on the hosts; without it only the cluster's key opens them",
        },
    },
}


@dataclass(frozen=True)
class Options:
    """What a Clusterfile may choose. :data:`SCHEMA` describes the fields."""

    release: str = "bookworm"
    subnet: ipaddress.IPv4Network = DEFAULT_SUBNET
    state: Path = Path("/var/lib/sealer-nspawn")
    cache: Path = Path("/var/cache/sealer-nspawn")
    install_tools: bool = True
    nat: bool = False
    password: Secret | None = None

    @classmethod
    def from_fields(cls, fields: Mapping[str, Json]) -> Options:
        """Read the fields, which fit the schema.

        :raises InputError: a value that the schema cannot judge is wrong.
        """
        default = cls()
        password = fields.get("password")
        return cls(
            release=str(fields.get("release", default.release)),
            subnet=_subnet(str(fields.get("subnet", default.subnet))),
            state=_directory("stateDir", str(fields.get("stateDir", default.state))),
            cache=_directory("cacheDir", str(fields.get("cacheDir", default.cache))),
            install_tools=bool(fields.get("installTools", True)),
            nat=bool(fields.get("nat", False)),
            password=Secret(str(password)) if password else None,
        )


def _subnet(text: str) -> ipaddress.IPv4Network:
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise InputError("spec.provider.subnet is no IPv4 network", why=str(error)) from None
    if not SMALLEST_PREFIX <= network.prefixlen <= LARGEST_PREFIX:
        raise InputError(
            "spec.provider.subnet has the wrong size",
            why=f"{network} is a /{network.prefixlen}; a /{SMALLEST_PREFIX} to /{LARGEST_PREFIX} is needed",
        )
    return network


def _directory(field: str, text: str) -> Path:
    path = Path(text)
    # Each host is booted with an empty /run of its own, which would hide them; mount options end at a comma or colon.
    if not path.is_absolute() or path.is_relative_to("/run") or any(sign in text for sign in ",:\\\n"):
        raise InputError(
            f"spec.provider.{field} cannot be used",
            why=f"'{text}' must be absolute, outside of /run, and without comma, colon and backslash",
        )
    return path
