"""Names of kubeadm's phases and of its preflight checks."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sealer.clusterfile.report import nearest, quoted
from sealer_plugin_kubeadm.documents.trees import INIT, JOIN

_CERTIFICATES = (
    "all", "apiserver", "apiserver-etcd-client", "apiserver-kubelet-client", "ca", "etcd-ca", "etcd-healthcheck-client",
    "etcd-peer", "etcd-server", "front-proxy-ca", "front-proxy-client", "sa",
)  # fmt: skip
# Phases, and the phases in them, of kubeadm v1.20; and those that later ones have.
_PHASES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    INIT: {
        "addon": ("all", "coredns", "kube-proxy"),
        "bootstrap-token": (),
        "certs": _CERTIFICATES,
        "control-plane": ("all", "apiserver", "controller-manager", "scheduler"),
        "etcd": ("local",),
        "kubeconfig": ("admin", "all", "controller-manager", "kubelet", "scheduler", "super-admin"),
        "kubelet-finalize": ("all", "enable-client-cert-rotation", "experimental-cert-rotation"),
        "kubelet-start": (),
        "mark-control-plane": (),
        "preflight": (),
        "show-join-command": (),
        "upload-certs": (),
        "upload-config": ("all", "kubeadm", "kubelet"),
        "wait-control-plane": (),
    },
    JOIN: {
        "check-etcd": (),
        "control-plane-join": ("all", "etcd", "mark-control-plane", "update-status"),
        "control-plane-prepare": ("all", "certs", "control-plane", "download-certs", "kubeconfig"),
        "etcd-join": (),
        "kubelet-start": (),
        "kubelet-wait-bootstrap": (),
        "preflight": (),
        "wait-control-plane": (),
    },
}
_CHECKS = (
    "ContainerRuntimeVersion", "CRI", "ExternalEtcdVersion", "Firewalld", "Hostname", "HTTPProxy", "HTTPProxyCIDR",
    "ImagePull", "IsDockerSystemdCheck", "IsPrivilegedUser", "KubeletVersion", "KubernetesVersion", "Mem", "NumCPU",
    "Swap", "SystemVerification",
)  # fmt: skip
_CHECKS_OF = ("DirAvailable-", "FileAvailable-", "FileContent-", "FileExisting-", "Port-", "Service-")
_OF = re.compile(r"[\w.-]+", re.ASCII)
ALL = "all"


def phases_of(kind: str) -> tuple[str, ...]:
    """The phases of `kubeadm init` or `kubeadm join`, by the kind of its document: `addon`, `addon/coredns`, ..."""
    return tuple(
        name for phase, parts in _PHASES[kind].items() for name in (phase, *(f"{phase}/{part}" for part in parts))
    )


def wrong_phase(name: str, *kinds: str) -> str:
    """What is wrong with the name of a phase to skip; empty if nothing."""
    known = tuple(dict.fromkeys(phase for kind in kinds for phase in phases_of(kind)))
    if name in known:
        return ""
    near = nearest(name, known) or next((phase for phase in known if phase.endswith(f"/{name}")), "")
    command = " and ".join("init" if kind == INIT else "join" for kind in kinds)
    rule = f"{quoted(name)} is no phase of kubeadm {command}"
    return f"{rule}; did you mean {quoted(near)}?" if near else f"{rule}; known are {', '.join(known)}"


def wrong_check(name: str) -> str:
    """What is wrong with the name of a preflight check to ignore, upper and lower case being one; empty if nothing."""
    lower = name.lower()
    if lower == ALL or lower in {check.lower() for check in _CHECKS}:
        return ""
    if any(lower.startswith(of.lower()) and _OF.fullmatch(name[len(of) :]) for of in _CHECKS_OF):
        return ""
    near = nearest(name, (*_CHECKS, *_CHECKS_OF))
    rule = f"{quoted(name)} is no preflight check of kubeadm"
    known = ", ".join((*_CHECKS, *(f"{of}..." for of in _CHECKS_OF)))
    return f"{rule}; did you mean {quoted(near)}?" if near else f"{rule}; known are all, {known}"
