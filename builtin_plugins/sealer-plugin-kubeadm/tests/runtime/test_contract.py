"""The runtime holds to what every runtime must."""

from __future__ import annotations

import json

from sealer.testing import Answers, Reply, RuntimeContract
from sealer_plugin_kubeadm.runtime import Kubeadm


def node(name: str, address: str) -> dict[str, object]:
    addresses = [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": address}]
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "status": {"addresses": addresses, "conditions": [{"type": "Ready", "status": "True"}]},
    }


NODES = json.dumps({"items": [node(f"host-{number}", f"192.0.2.{number}") for number in (11, 12, 13)]})


class TestKubeadm(RuntimeContract):
    driver = Kubeadm

    def answers(self) -> Answers:
        return Answers().on("get nodes", Reply(NODES))
