"""The fields of `spec.runtime` beside its name."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from sealer.events import Json

_UNITS = {"h": 1, "d": 24, "y": 24 * 365}
DEFAULT_VALIDITY = "100y"
_YEAR = datetime.timedelta(days=365)

SCHEMA: Mapping[str, Json] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "skipPhases": {
            "type": "array",
            "items": {"type": "string", "minLength": 1},
            "description": "Phases of kubeadm init and join to leave out, beside those the image cannot have.",
            "examples": [["addon/kube-proxy"]],
        },
        "ignorePreflightErrors": {
            "type": "array",
            "items": {"type": "string", "minLength": 1},
            "description": "Checks of kubeadm's own preflight that may fail.",
            "examples": [["Swap", "NumCPU"]],
        },
        "certificateValidity": {
            "type": "string",
            "pattern": "^[1-9][0-9]{0,5}[hdy]$",
            "default": DEFAULT_VALIDITY,
            "description": "How long certificates are valid, authorities and what they sign: hours, days or years.",
            "examples": ["100y", "365d", "8760h"],
        },
        "encryptSecrets": {
            "type": "boolean",
            "default": True,
            "description": "Whether secrets are encrypted in etcd, by a key made for the cluster; for new clusters.",
        },
        "kubeconfig": {
            "type": "string",
            "enum": ["auto", "merge", "never"],
            "default": "auto",
            "description": "Whether the cluster comes into the user's own kubeconfig: auto is, if there is none yet.",
        },
    },
}


@dataclass(frozen=True)
class Options:
    """`spec.runtime`, understood.

    :param validity: of certificates.
    :param encrypt_secrets: whether secrets are encrypted in etcd.
    :param kubeconfig: whether the user's own kubeconfig is told of the cluster.
    """

    skip_phases: tuple[str, ...] = ()
    ignore_preflight_errors: tuple[str, ...] = ()
    validity: datetime.timedelta = datetime.timedelta(0)
    kubeconfig: Literal["auto", "merge", "never"] = "auto"
    encrypt_secrets: bool = True

    @classmethod
    def of(cls, options: Mapping[str, Json]) -> Options:
        """Fields that the schema found right."""
        validity = str(options.get("certificateValidity", DEFAULT_VALIDITY))
        return cls(
            _texts(options.get("skipPhases")),
            _texts(options.get("ignorePreflightErrors")),
            datetime.timedelta(hours=int(validity[:-1]) * _UNITS[validity[-1]]),
            cast("Literal['auto', 'merge', 'never']", options.get("kubeconfig", "auto")),
            options.get("encryptSecrets", True) is True,
        )

    @property
    def validity_duration(self) -> str:
        """The validity as Kubernetes writes durations."""
        return _duration(self.validity)

    @property
    def signing_duration(self) -> str:
        """The validity of what the controller manager signs, as Kubernetes writes durations."""
        return _duration(renewed(self.validity))


def renewed(validity: datetime.timedelta) -> datetime.timedelta:
    """The validity of certificates that kubelets show to the API, and renew, where others are valid for `validity`."""
    return min(validity, _YEAR)


def _duration(of: datetime.timedelta) -> str:
    return f"{int(of.total_seconds()) // 3600}h0m0s"


def _texts(value: Json) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()
