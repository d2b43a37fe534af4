"""Where things lie on a host that kubeadm sets up, and what they are called."""

from __future__ import annotations

from sealer.extension import HostPaths

KUBERNETES = "/etc/kubernetes"
PKI = f"{KUBERNETES}/pki"
MANIFESTS = f"{KUBERNETES}/manifests"
ADMIN = f"{KUBERNETES}/admin.conf"
KUBELET = f"{KUBERNETES}/kubelet.conf"
# Ours; they go when the directory does.
SEALER = f"{KUBERNETES}/sealer"
DISCOVERY = f"{SEALER}/discovery.conf"  # how a host that joins finds the cluster: gone when it has
DOCUMENTS = f"{SEALER}/kubeadm.yaml"
PATCHES = f"{SEALER}/patches"  # of the control plane's static pods, for kubeadm
IDENTITY = f"{SEALER}/cluster"  # the id of the cluster whose /etc/kubernetes this is
JOINED = f"{SEALER}/joined"  # the last thing that init and join do
API_SERVER = f"{SEALER}/apiserver"  # what API servers mount and read
AUDIT_POLICY = f"{API_SERVER}/audit-policy.yaml"
ENCRYPTION = f"{API_SERVER}/encryption.yaml"  # with the key of the cluster's secrets
BALANCER_CONFIGURATION = f"{SEALER}/balancer.cfg"
BALANCER_MANIFEST = f"{MANIFESTS}/sealer-balancer.yaml"

AUDIT_LOGS = "/var/log/kubernetes/audit"
AUDIT_LOG = f"{AUDIT_LOGS}/audit.log"
KUBELET_PKI = "/var/lib/kubelet/pki"
KUBELET_FIRST_CLIENT = f"{KUBELET_PKI}/kubelet-client-first.pem"
KUBELET_CLIENT = f"{KUBELET_PKI}/kubelet-client-current.pem"  # a link to the newest: the kubelet replaces no file
KUBELET_SERVING = f"{KUBELET_PKI}/kubelet"  # .crt and .key

KUBELET_DROP_IN = "/etc/systemd/system/kubelet.service.d/20-sealer.conf"

NAME = "apiserver.cluster.local"
PORT = 6443
ENDPOINT = f"{NAME}:{PORT}"


def program(paths: HostPaths, name: str) -> str:
    """A program of the cluster's image, also while an application's rootfs lies beside it."""
    return f"{paths.data}/rootfs/bin/{name}"


def server(host: str, port: int = PORT) -> str:
    """The URL of an API server."""
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
