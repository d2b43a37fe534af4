"""The container images that a version of Kubernetes needs: kubeadm knows them; where it cannot be asked, a table."""

from __future__ import annotations

import subprocess
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from sealer.errors import InputError
from sealer_plugin_kubeadm.base.versions import Versions

PATIENCE = 60  # seconds that kubeadm gets for an answer
COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
BALANCER = "haproxy"
_NEW_REGISTRY_SINCE = 25  # minor version: registry.k8s.io in place of k8s.gcr.io
_COREDNS_BELOW_ITS_NAME_SINCE = 21  # coredns/coredns in place of coredns
# What a cluster can be without, and what it then is.
OPTIONAL = {
    "coredns": "kubeadm's phase addon/coredns is left out, and the cluster has no DNS until something else brings it",
    BALANCER: "workers of a cluster with several masters have no balancer for the API",
}


@dataclass(frozen=True)
class ImageList:
    """What goes into `manifests/imageList`.

    :param references: normalised.
    :param lacking: what nobody has, by name, each with what follows from that.
    """

    references: tuple[str, ...]
    lacking: tuple[tuple[str, str], ...] = ()

    @property
    def pause(self) -> str:
        """The image of the sandboxes."""
        return next(reference for reference in self.references if name_of(reference) == "pause")


def name_of(reference: str) -> str:
    """`kube-proxy` of `k8s.gcr.io/kube-proxy:v1.20.2`."""
    return reference.rpartition("/")[2].partition("@")[0].partition(":")[0]


def ask_version(kubeadm: Path) -> str:
    """The version that a kubeadm says it is of; empty: it does not run on this machine."""
    return _ask(kubeadm, "version", "--output", "short").strip()


def ask_images(kubeadm: Path, kubernetes: str) -> list[str]:
    """The images that a kubeadm wants; empty: it does not run on this machine."""
    words = _ask(kubeadm, "config", "images", "list", "--kubernetes-version", kubernetes).split()
    return words if all("/" in word and ":" in word for word in words) else []


def _ask(kubeadm: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            [kubeadm.absolute(), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            check=False,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent"},
        )
    except (OSError, subprocess.SubprocessError):  # a program of another architecture, say
        return ""
    return done.stdout if done.returncode == 0 else ""


def table_images(versions: Versions) -> list[str]:
    """The images by the table."""
    minor = int(versions.kubernetes.split(".")[1])
    registry = "registry.k8s.io" if minor >= _NEW_REGISTRY_SINCE else "k8s.gcr.io"
    coredns = "coredns/coredns" if minor >= _COREDNS_BELOW_ITS_NAME_SINCE else "coredns"
    parts = versions.parts
    return [
        *(f"{registry}/{name}:{versions.kubernetes}" for name in COMPONENTS),
        f"{registry}/{coredns}:{parts['coredns']}",
        f"{registry}/pause:{parts['pause']}",
        f"{registry}/etcd:{parts['etcd']}",
    ]


def complete(wanted: Sequence[str], balancer: str) -> ImageList:
    """The list of an image whose container images come from wherever they are."""
    return ImageList((*wanted, balancer))


def available(wanted: Sequence[str], balancer: str, there: Collection[str]) -> ImageList:
    """The list of an image that is made offline: what is there, as far as it is needed.

    :param there: all images of the archives; any haproxy among them will do, and any release of etcd and CoreDNS that
        kubeadm does not insist on will not.
    :raises InputError: an image is missing that no cluster can be without.
    """
    balancers = sorted(one for one in there if name_of(one) == BALANCER)
    chosen = balancer if balancer in there or not balancers else balancers[0]
    missing = [one for one in (*wanted, chosen) if one not in there]
    needed = [one for one in missing if name_of(one) not in OPTIONAL]
    if needed:
        raise InputError(
            f"the image archives lack {', '.join(needed)}",
            why=f"they have {', '.join(sorted(there)) or 'none'}",
            remedy="add archives with --image-archive; each image must have the very name that kubeadm asks for",
        )
    found = tuple(one for one in (*wanted, chosen) if one in there)
    return ImageList(found, tuple((name_of(one), f"{one}: {OPTIONAL[name_of(one)]}") for one in missing))
