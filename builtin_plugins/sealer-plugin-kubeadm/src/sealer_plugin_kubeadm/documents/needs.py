"""What sealer gives to kubeadm's documents: its defaults, and what a cluster and each of its hosts need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sealer.errors import Position
from sealer.events import Json
from sealer.redaction import Secret
from sealer_plugin_kubeadm.documents.networks import DEFAULT_PODS, DEFAULT_SERVICES
from sealer_plugin_kubeadm.documents.phases import ALL, phases_of
from sealer_plugin_kubeadm.documents.trees import CLUSTER, INIT, JOIN, KUBE_PROXY, KUBELET, Tree, Trees, put
from sealer_plugin_kubeadm.documents.versions import KubernetesVersion
from sealer_plugin_kubeadm.places import ENDPOINT, NAME


def _somewhere(path: str) -> Position:
    return Position("Clusterfile")


@dataclass(frozen=True)
class ClusterNeeds:
    """What a cluster needs, whichever host a document is for.

    :param kubernetes_version: the image's.
    :param masters: addresses, the first master's first.
    :param nodes: addresses of the other hosts.
    :param pod_cidr, service_cidr: `spec.network`; empty: not given.
    :param cert_sans: `spec.certSANS`.
    :param cgroup_driver: the first master's, `systemd` or `cgroupfs`; empty: not known.
    :param validity: how long certificates are valid, a duration such as `876000h0m0s`; empty: as kubeadm has it.
    :param signing: how long those are valid that the controller manager signs; empty: as it has it.
    :param encrypt_secrets: whether secrets are encrypted in etcd.
    :param missing_proxy_modes: modes that the hosts' kernels do not have.
    :param conntrack_fixed: the hosts do not let kube-proxy set the size of the table of connections.
    :param registry: `domain:port` of the private registry on the hosts.
    :param skip_phases, ignore_preflight_errors: `spec.runtime`.
    :param made: the cluster is there: what its documents say cannot be changed any more.
    :param at: where a field of the Clusterfile's Cluster document stands, by its path.
    """

    kubernetes_version: str
    masters: tuple[str, ...]
    nodes: tuple[str, ...] = ()
    pod_cidr: str = ""
    service_cidr: str = ""
    cert_sans: tuple[str, ...] = ()
    cgroup_driver: str = ""
    validity: str = ""
    signing: str = ""
    encrypt_secrets: bool = True
    missing_proxy_modes: frozenset[str] = frozenset()
    conntrack_fixed: bool = False
    registry: str = ""
    skip_phases: tuple[str, ...] = ()
    ignore_preflight_errors: tuple[str, ...] = ()
    made: bool = False
    at: Callable[[str], Position] = _somewhere


@dataclass(frozen=True)
class NodeNeeds:
    """What one host needs.

    :param name: the node's name.
    :param address: what the other hosts reach it by.
    :param cri_socket: path of the container runtime's socket.
    :param cgroup_driver: as detected on this host; empty: as the cluster's.
    """

    name: str
    address: str
    cri_socket: str
    cgroup_driver: str = ""


@dataclass(frozen=True)
class InitSecrets:
    """What kubeadm is given on the first master so that it makes no secret of its own.

    :param token: a bootstrap token; None: kubeadm makes one, and prints it.
    :param token_ttl: how long it is valid.
    """

    token: Secret | None = None
    token_ttl: str = "2h0m0s"  # noqa: S105  # a duration


NO_SECRETS = InitSecrets()


def defaults() -> Trees:
    """The lowest layer: what holds where nobody says anything."""
    cluster: Tree = {"networking": {"podSubnet": DEFAULT_PODS, "serviceSubnet": DEFAULT_SERVICES}}
    return {INIT: {}, CLUSTER: cluster, JOIN: {}, KUBELET: {"failSwapOn": False}, KUBE_PROXY: {}}


def of_cluster(needs: ClusterNeeds, kubernetes: KubernetesVersion) -> Trees:
    """What the cluster needs; most of it users may have otherwise."""
    cluster: Tree = {"controlPlaneEndpoint": ENDPOINT}
    sans = ["127.0.0.1", NAME, *needs.masters, *needs.cert_sans]
    put(cluster, "apiServer.certSANs", list(dict.fromkeys(sans)))
    if needs.pod_cidr:
        put(cluster, "networking.podSubnet", needs.pod_cidr)
    if needs.service_cidr:
        put(cluster, "networking.serviceSubnet", needs.service_cidr)
    if needs.signing:
        put(cluster, "controllerManager.extraArgs", {kubernetes.signing_duration_flag: [needs.signing]})
    if needs.validity and kubernetes.api >= 4:
        cluster |= {"certificateValidityPeriod": needs.validity, "caCertificateValidityPeriod": needs.validity}
    kubelet: Tree = {"cgroupDriver": needs.cgroup_driver} if needs.cgroup_driver else {}
    return {CLUSTER: cluster, KUBELET: kubelet, KUBE_PROXY: _proxy(needs), **_runtime_options(needs)}


def of_node(needs: ClusterNeeds, node: NodeNeeds, kubernetes: KubernetesVersion) -> Tree:
    """`nodeRegistration` of a host."""
    registration: Tree = {"name": node.name, "criSocket": _socket(node.cri_socket, kubernetes)}
    flags: dict[str, Json] = {"node-ip": [node.address]}
    if node.cgroup_driver and needs.cgroup_driver and node.cgroup_driver != needs.cgroup_driver:
        flags["cgroup-driver"] = [node.cgroup_driver]  # kubelet's document is one for all hosts
    registration["kubeletExtraArgs"] = flags
    return registration


def _socket(path: str, kubernetes: KubernetesVersion) -> str:
    return f"unix://{path}" if path.startswith("/") and kubernetes.minor >= 24 else path


def _proxy(needs: ClusterNeeds) -> Tree:
    proxy: Tree = {}
    if needs.conntrack_fixed:
        put(proxy, "conntrack.maxPerCore", 0)
    return proxy


def _runtime_options(needs: ClusterNeeds) -> Trees:
    trees: Trees = {}
    ignored = [name for name in needs.ignore_preflight_errors if name.lower() != ALL]
    for kind in (INIT, JOIN):
        tree: Tree = {}
        if phases := [name for name in needs.skip_phases if name in phases_of(kind)]:
            tree["skipPhases"] = list(phases)
        if ignored:
            put(tree, "nodeRegistration.ignorePreflightErrors", list(ignored))
        trees[kind] = tree
    return trees


def ignores_all(needs: ClusterNeeds) -> bool:
    """Whether every preflight error is ignored; kubeadm takes that on its command line alone."""
    return any(name.lower() == ALL for name in needs.ignore_preflight_errors)
