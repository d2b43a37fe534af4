"""What documents may not say otherwise, because sealer says it itself, and other things that cannot be right."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sealer.clusterfile.report import quoted
from sealer.events import Json
from sealer_plugin_kubeadm.documents.needs import ClusterNeeds
from sealer_plugin_kubeadm.documents.phases import ALL, wrong_check, wrong_phase
from sealer_plugin_kubeadm.documents.trees import CLUSTER, INIT, JOIN, KUBE_PROXY, KUBELET, Tree, get, take, texts
from sealer_plugin_kubeadm.documents.versions import KubernetesVersion
from sealer_plugin_kubeadm.places import ENDPOINT, NAME, PORT

Complain = Callable[[str, str], None]
"""Called with the path of a field and what is wrong with it."""

_NOBODY: Json = None
_TOKENS = "each host is given certificates of its own, and needs neither token nor key to join; leave it out"
_EACH = "each host has its own; leave it out"
_NAMED = "each host has its own; a Plugin document of type HOSTNAME gives names"
_PORT = "hosts, their balancers and sealer's checks look for every API server there; leave it out"
_ENDPOINT = "each host's hosts file and balancer lead there; other names of the API server go into spec.certSANS"


@dataclass(frozen=True)
class Must:
    """A field that sealer alone decides.

    :param value: the only value it may have; None: it may not be given at all.
    :param why: what to do instead.
    :param same: the same value, written otherwise.
    """

    path: str
    value: Json
    why: str
    same: Json = None


# What is here is the same for every cluster; `kubernetesVersion` and the first master's address are looked at by
# themselves.
MUSTS: Mapping[str, tuple[Must, ...]] = {
    INIT: (
        Must("certificateKey", _NOBODY, _TOKENS),
        Must("dryRun", False, "sealer's own --dry-run shows what a run would do"),
        Must("localAPIEndpoint.bindPort", PORT, _PORT),
        Must("nodeRegistration.name", _NOBODY, _NAMED),
    ),
    CLUSTER: (
        Must("apiServer.extraArgs.secure-port", [str(PORT)], _PORT),
        Must("certificatesDir", "/etc/kubernetes/pki", "sealer makes and renews the certificates there"),
        Must("controlPlaneEndpoint", ENDPOINT, _ENDPOINT, NAME),
    ),
    JOIN: (
        Must("caCertPath", "/etc/kubernetes/pki/ca.crt", "sealer looks for it there"),
        Must("controlPlane.certificateKey", _NOBODY, _TOKENS),
        Must("controlPlane.localAPIEndpoint.advertiseAddress", _NOBODY, _EACH),
        Must("controlPlane.localAPIEndpoint.bindPort", PORT, _PORT),
        Must("discovery.bootstrapToken", _NOBODY, _TOKENS),
        Must("discovery.file", _NOBODY, "each host finds the cluster by a kubeconfig that it is given; leave it out"),
        Must("discovery.tlsBootstrapToken", _NOBODY, _TOKENS),
        Must("dryRun", False, "sealer's own --dry-run shows what a run would do"),
        Must("nodeRegistration.name", _NOBODY, _NAMED),
    ),
    KUBELET: (Must("staticPodPath", "/etc/kubernetes/manifests", "kubeadm puts the control plane there"),),
}  # fmt: skip
_REPOSITORIES = ("imageRepository", "dns.imageRepository", "etcd.local.imageRepository")
_MODES = {"nftables": (29, 1_000), "userspace": (0, 25)}  # minor versions of Kubernetes that have them


def enforce(kind: str, tree: Tree, needs: ClusterNeeds, kubernetes: KubernetesVersion, complain: Complain) -> None:
    """Take what sealer alone decides out of a document's tree, and tell of what differs from it."""
    for must in MUSTS.get(kind, ()):
        value = take(tree, must.path)
        if value is not None and (must.value is None or value not in (must.value, must.same)):
            shown = must.value[0] if isinstance(must.value, list) else must.value
            only = "" if shown is None else f"it is always {json.dumps(shown)}; "
            complain(must.path, f"this is for sealer to set: {only}{must.why}")
    if kind == INIT:
        address = take(tree, "localAPIEndpoint.advertiseAddress")
        first = needs.masters[0] if needs.masters else ""
        if isinstance(address, str) and first and not _same_address(address, first):
            only = f"it is always the first master's, {json.dumps(first)}"
            complain("localAPIEndpoint.advertiseAddress", f"this is for sealer to set: {only}; leave it out")
    if kind == CLUSTER:
        version = take(tree, "kubernetesVersion")
        if isinstance(version, str) and f"v{version.removeprefix('v')}" != str(kubernetes):
            message = (
                f"{quoted(version)} is not what the image brings, {kubernetes}; leave it out, or take another image"
            )
            complain("kubernetesVersion", message)
        for path in _REPOSITORIES:
            value = get(tree, path)
            if needs.registry and isinstance(value, str) and f"{value}/".startswith(f"{needs.registry}/"):
                take(tree, path)
                offline = f"the hosts ask {needs.registry} for every name"
                complain(path, f"images keep their public names, also offline: {offline}; leave it out")


def check(
    kind: str, tree: Mapping[str, Json], needs: ClusterNeeds, kubernetes: KubernetesVersion, complain: Complain
) -> None:
    """Tell of what cannot be right in a document's tree."""
    if kind in (INIT, JOIN):
        for index, name in enumerate(texts(tree.get("skipPhases"))):
            if wrong := wrong_phase(name, kind):
                complain(f"skipPhases[{index}]", wrong)
        path = "nodeRegistration.ignorePreflightErrors"
        for index, name in enumerate(texts(get(tree, path))):
            if name.lower() == ALL:
                message = "kubeadm takes 'all' on its command line alone; give it in spec.runtime.ignorePreflightErrors"
                complain(f"{path}[{index}]", message)
            elif wrong := wrong_check(name):
                complain(f"{path}[{index}]", wrong)
    if kind == CLUSTER:
        _check_etcd(tree, complain)
    if kind == KUBE_PROXY:
        _check_mode(tree.get("mode"), needs, kubernetes, complain)


def _same_address(one: str, other: str) -> bool:
    try:
        return ipaddress.ip_address(one) == ipaddress.ip_address(other)
    except ValueError:
        return one == other


def _check_etcd(tree: Mapping[str, Json], complain: Complain) -> None:
    if get(tree, "etcd.local") is not None and get(tree, "etcd.external") is not None:
        complain("etcd", "local and external exclude each other")


def _check_mode(mode: Json, needs: ClusterNeeds, kubernetes: KubernetesVersion, complain: Complain) -> None:
    if mode in needs.missing_proxy_modes:
        complain("mode", f"the hosts' kernels do not have {mode}; leave it out, or take iptables")
    first, last = _MODES.get(str(mode), (0, 1_000))
    if not first <= kubernetes.minor <= last:
        complain("mode", f"kube-proxy of Kubernetes {kubernetes} does not have {mode}")
