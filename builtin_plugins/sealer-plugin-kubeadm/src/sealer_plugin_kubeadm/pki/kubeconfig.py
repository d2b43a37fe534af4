"""kubeconfig files: where an API server is, and who asks it."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import yaml

from sealer_plugin_kubeadm.pki.x509 import Pair


def kubeconfig(
    server: str, ca: bytes, user: str, pair: Pair, *, cluster: str = "kubernetes", context: str = ""
) -> bytes:
    """A kubeconfig with everything in it.

    :param server: URL of the API server.
    :param ca: certificate of its authority, PEM.
    :param user: name of the user within the file.
    :param context: name of the only context; empty: as kubeadm calls it.
    """
    credentials = {"client-certificate-data": _data(pair.certificate), "client-key-data": _data(pair.key)}
    return _written(server, ca, user, credentials, cluster=cluster, context=context)


def kubeconfig_of_files(server: str, ca: bytes, user: str, pem: str) -> bytes:
    """A kubeconfig whose user shows what a file has, at any time.

    :param pem: path of a file with a certificate and its key, which its owner may replace.
    """
    credentials = {"client-certificate": pem, "client-key": pem}
    return _written(server, ca, user, credentials)


def _written(
    server: str,
    ca: bytes,
    user: str,
    credentials: Mapping[str, str],
    *,
    cluster: str = "kubernetes",
    context: str = "",
) -> bytes:
    context = context or f"{user}@{cluster}"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster, "cluster": {"certificate-authority-data": _data(ca), "server": server}}],
        "users": [{"name": user, "user": dict(credentials)}],
        "contexts": [{"name": context, "context": {"cluster": cluster, "user": user}}],
        "current-context": context,
        "preferences": {},
    }
    return yaml.safe_dump(content, sort_keys=False).encode()


def _data(pem: bytes) -> str:
    return base64.b64encode(pem).decode()
