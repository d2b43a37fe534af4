"""Which kubeadm API a version of Kubernetes speaks, and the other things that go by its version."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sealer.clusterfile.report import quoted
from sealer.errors import InputError
from sealer_plugin_kubeadm.documents.fields import KUBEADM

_VERSION = re.compile(r"v?(1)\.([0-9]{1,3})\.([0-9]{1,3})((?:[-+][0-9A-Za-z.+-]+)?)", re.ASCII)
OLDEST = 13

# The first minor version of Kubernetes whose kubeadm reads an API version, and the first that does not any more.
_READ = {1: (13, 22), 2: (15, 27), 3: (22, 1_000), 4: (31, 1_000)}


@dataclass(frozen=True)
class KubernetesVersion:
    """A version of Kubernetes 1.

    :param suffix: `-rc.1`, `+build`, or nothing.
    """

    minor: int
    patch: int
    suffix: str = ""

    @classmethod
    def parse(cls, text: str) -> KubernetesVersion:
        """Understand `v1.20.2` or `1.20.2`.

        :raises InputError: it is no version, or one that kubeadm's beta API is not old enough for.
        """
        match = _VERSION.fullmatch(text.strip())
        if not match:
            raise InputError(f"{quoted(text)} is no version of Kubernetes such as v1.20.2")
        version = cls(int(match[2]), int(match[3]), match[4])
        if version.minor < OLDEST:
            raise InputError(f"Kubernetes {version} is too old", why="kubeadm's v1beta1 came with v1.13")
        return version

    def __str__(self) -> str:
        return f"v1.{self.minor}.{self.patch}{self.suffix}"

    @property
    def api(self) -> int:
        """The newest kubeadm API that its kubeadm reads, n of v1betan: what sealer writes."""
        return max(api for api, (first, gone) in _READ.items() if first <= self.minor < gone)

    @property
    def api_version(self) -> str:
        """The same as a document's apiVersion."""
        return api_version(self.api)

    @property
    def signing_duration_flag(self) -> str:
        """The controller manager's flag for the life of the certificates it signs."""
        return "cluster-signing-duration" if self.minor >= 19 else "experimental-cluster-signing-duration"

    @property
    def patches_flag(self) -> str:
        """kubeadm's flag for a directory of patches, for an API without the field; empty where there is none."""
        return "--experimental-patches" if self.minor >= 19 else ""


def api_version(api: int) -> str:
    """`kubeadm.k8s.io/v1beta3` for 3."""
    return f"{KUBEADM}/v1beta{api}"
