"""What a cluster is given for its security, below everything that the image's and the user's documents say.

An audit log, ciphers, no profiling, a kubelet whose certificate the API server verifies, and secrets that are encrypted
in etcd. The page `docs/reference/kubernetes-security.md` has a table of it, which a test holds against these documents.
"""

from __future__ import annotations

from collections.abc import Sequence

from sealer.events import Json
from sealer_plugin_kubeadm.documents.needs import ClusterNeeds
from sealer_plugin_kubeadm.documents.trees import CLUSTER, KUBELET, Tree, Trees, get, put
from sealer_plugin_kubeadm.documents.versions import KubernetesVersion
from sealer_plugin_kubeadm.places import (
    API_SERVER,
    AUDIT_LOG,
    AUDIT_LOGS,
    AUDIT_POLICY,
    ENCRYPTION,
    KUBELET_SERVING,
    PKI,
)

# Of TLS 1.2; those of 1.3 cannot be chosen. Go had these names before Kubernetes v1.13; HTTP/2 needs the first or the
# third.
CIPHERS = (
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
)
_TLS: dict[str, Json] = {"tls-cipher-suites": [",".join(CIPHERS)], "tls-min-version": ["VersionTLS12"]}
_AUDIT: dict[str, Json] = {
    "audit-policy-file": [AUDIT_POLICY],
    "audit-log-path": [AUDIT_LOG],
    "audit-log-maxage": ["30"],  # days
    "audit-log-maxbackup": ["10"],  # files
    "audit-log-maxsize": ["100"],  # MiB a file
}
_COMPRESSES_SINCE = 20  # minor version of Kubernetes whose API server compresses the files it has rotated
_ENCRYPTION_FLAGS = ("encryption-provider-config", "experimental-encryption-provider-config")
# etcd of others has no flags; and etcd does not start with ciphers where it is to speak TLS 1.3 alone.
_ETCD_WITHOUT_OURS = ("etcd.external", "etcd.local.extraArgs.tls-min-version")
_FLAGS, _VOLUMES = "apiServer.extraArgs", "apiServer.extraVolumes"


def layer(needs: ClusterNeeds, kubernetes: KubernetesVersion, above: Sequence[Trees]) -> Trees:
    """The layer above the defaults.

    :param above: the documents of the image and of the user. Where one of them sets up auditing, encryption or the
        kubelet's certificate, that replaces ours as a whole: halves of two would not go together.
    """
    flags: Tree = {"profiling": ["false"], **_TLS}
    volumes: Tree = {}
    if not _says_flag(above, "audit-"):
        flags |= _AUDIT
        if kubernetes.minor >= _COMPRESSES_SINCE:
            flags["audit-log-compress"] = ["true"]
        volumes |= _volume("sealer-audit", AUDIT_LOGS, "DirectoryOrCreate", writable=True)
    if needs.encrypt_secrets and not _says_flag(above, *_ENCRYPTION_FLAGS):
        flags["encryption-provider-config"] = [ENCRYPTION]
    if {"audit-policy-file", "encryption-provider-config"} & flags.keys():
        volumes |= _volume("sealer-apiserver", API_SERVER, "Directory", writable=False)
    kubelet: Tree = {
        "rotateCertificates": True,
        "streamingConnectionIdleTimeout": "4h0m0s",
        "tlsCipherSuites": list(CIPHERS),
        "tlsMinVersion": "VersionTLS12",
    }
    own_certificate = _says(above, KUBELET, "tlsCertFile", "tlsPrivateKeyFile")
    if not own_certificate:  # else whose it is only the user knows
        flags["kubelet-certificate-authority"] = [f"{PKI}/ca.crt"]
        if not _says(above, KUBELET, "serverTLSBootstrap"):
            kubelet |= {"tlsCertFile": f"{KUBELET_SERVING}.crt", "tlsPrivateKeyFile": f"{KUBELET_SERVING}.key"}
    mounted = _mounted(above)
    cluster: Tree = {}
    put(cluster, _FLAGS, flags)
    put(cluster, _VOLUMES, {name: it for name, it in volumes.items() if _mount_path(it) not in mounted})
    for component in ("controllerManager", "scheduler"):
        put(cluster, f"{component}.extraArgs", {"profiling": ["false"], **_TLS})
    etcd = [get(trees.get(CLUSTER, {}), path) for trees in above for path in _ETCD_WITHOUT_OURS]
    if not any(etcd):
        put(cluster, "etcd.local.extraArgs", {"cipher-suites": [",".join(CIPHERS)]})
    return {CLUSTER: cluster, KUBELET: kubelet}


def mounted_files(cluster: Tree) -> frozenset[str]:
    """Which of our files an API server of this ClusterConfiguration's tree reads."""
    flags = get(cluster, _FLAGS)
    given = flags if isinstance(flags, dict) else {}
    ours = {"audit-policy-file": AUDIT_POLICY, "encryption-provider-config": ENCRYPTION}
    return frozenset(path for flag, path in ours.items() if given.get(flag) == [path])


def _volume(name: str, path: str, kind: str, *, writable: bool) -> Tree:
    volume: Tree = {"name": name, "hostPath": path, "mountPath": path, "readOnly": not writable, "pathType": kind}
    return {name: volume}


def _says_flag(above: Sequence[Trees], *prefixes: str) -> bool:
    """Whether a document gives the API server such a flag, or takes it away."""
    given = (get(trees.get(CLUSTER, {}), _FLAGS) for trees in above)
    return any(name.startswith(prefixes) for flags in given if isinstance(flags, dict) for name in flags)


def _says(above: Sequence[Trees], kind: str, *names: str) -> bool:
    return any(name in trees.get(kind, {}) for trees in above for name in names)


def _mounted(above: Sequence[Trees]) -> set[str]:
    """Where documents mount volumes into the API server: the kubelet refuses a pod with two in one place."""
    given = (get(trees.get(CLUSTER, {}), _VOLUMES) for trees in above)
    return {_mount_path(volume) for volumes in given if isinstance(volumes, dict) for volume in volumes.values()}


def _mount_path(volume: Json) -> str:
    path = volume.get("mountPath") if isinstance(volume, dict) else None
    return path.rstrip("/") if isinstance(path, str) else ""
