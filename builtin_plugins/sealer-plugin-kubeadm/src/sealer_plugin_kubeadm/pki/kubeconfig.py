"""kubeconfig files: where an API server is, and who asks it."""

from __future__ import annotations

import base64

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
    context = context or f"{user}@{cluster}"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster, "cluster": {"certificate-authority-data": _data(ca), "server": server}}],
        "users": [
            {
                "name": user,
                "user": {"client-certificate-data": _data(pair.certificate), "client-key-data": _data(pair.key)},
            }
        ],
        "contexts": [{"name": context, "context": {"cluster": cluster, "user": user}}],
        "current-context": context,
        "preferences": {},
    }
    return yaml.safe_dump(content, sort_keys=False).encode()


def _data(pem: bytes) -> str:
    return base64.b64encode(pem).decode()
