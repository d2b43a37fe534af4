"""The balancer on hosts without control plane: all of them reach every master through it, at 127.0.0.1."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import yaml

from sealer.extension import Operation
from sealer.hosts import Host
from sealer_plugin_kubeadm.images import name_of
from sealer_plugin_kubeadm.places import BALANCER_CONFIGURATION, BALANCER_MANIFEST, PORT

_CONFIGURATION = """\
# Made by sealer; it is written anew when masters come or go.
global
    maxconn 4096

defaults
    mode tcp
    timeout connect 2s
    timeout check 2s
    # Watches are silent for long; whether a master lives is what the checks find out.
    timeout client 1h
    timeout server 1h
    option clitcpka
    option srvtcpka
    option redispatch
    retries 3

listen control-plane
    bind 127.0.0.1:{port}
    balance roundrobin
    option httpchk GET /readyz
    # Where nobody may ask without a certificate, whoever says so is alive.
    http-check expect rstatus ^(200|401|403)$
    # The checks alone do not look at certificates: whoever connects does.
    default-server check check-ssl verify none inter 1s fall 2 rise 1 on-marked-down shutdown-sessions
"""


def image(operation: Operation) -> str:
    """The container image of the balancer that the cluster image brings; empty: none."""
    containers = operation.image.containers if operation.image else ()
    found = (container.reference for container in containers if name_of(container.reference) == "haproxy")
    return next(found, "")


def files(of: str, masters: Sequence[Host]) -> Mapping[str, bytes]:
    """The balancer's configuration and the manifest by which the kubelet runs it, by path.

    :param of: its container image.
    """
    configuration = _CONFIGURATION.format(port=PORT)
    for number, master in enumerate(sorted(masters, key=lambda master: master.address), start=1):
        address = f"[{master.address}]" if ":" in master.address else master.address
        configuration += f"    server master-{number} {address}:{PORT}\n"
    digest = hashlib.sha256(configuration.encode()).hexdigest()[:16]
    return {BALANCER_CONFIGURATION: configuration.encode(), BALANCER_MANIFEST: _manifest(of, digest)}


def _manifest(of: str, digest: str) -> bytes:
    content = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "sealer-balancer",
            "namespace": "kube-system",
            "labels": {"component": "sealer-balancer"},
            # Another configuration makes it another pod.
            "annotations": {"sealer.io/configuration": digest},
        },
        "spec": {
            "hostNetwork": True,
            "priorityClassName": "system-node-critical",
            "terminationGracePeriodSeconds": 1,
            "containers": [
                {
                    "name": "haproxy",
                    "image": of,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["haproxy", "-db", "-f", "/etc/sealer/balancer.cfg"],
                    "resources": {"requests": {"cpu": "25m", "memory": "32Mi"}},
                    "volumeMounts": [
                        {"name": "configuration", "mountPath": "/etc/sealer/balancer.cfg", "readOnly": True}
                    ],
                }
            ],
            "volumes": [{"name": "configuration", "hostPath": {"path": BALANCER_CONFIGURATION, "type": "File"}}],
        },
    }
    return yaml.safe_dump(content, sort_keys=False).encode()
