"""When hosts have joined: all of them are ready."""

from __future__ import annotations

from collections.abc import Sequence

from sealer.errors import HostError
from sealer.events import Json
from sealer.extension import FIRST_MASTER, Effect, Operation, Step, StepContext
from sealer.hosts import Host
from sealer_plugin_kubeadm import network
from sealer_plugin_kubeadm.cluster_api import by_address, is_ready, kubectl, node_objects, nodes
from sealer_plugin_kubeadm.scripts import script

PATIENCE = 180  # seconds


def steps(operation: Operation, hosts: Sequence[Host]) -> Sequence[Step]:
    """Wait until `hosts` are ready: where the image brings a network, without which no node gets ready."""
    if not network.brought(operation):
        return []

    def wait(context: StepContext) -> None:
        known = by_address(node_objects(context))
        late = [known[host.address] for host in hosts if host.address in known and not is_ready(known[host.address])]
        if not late:
            return
        names = [f"node/{item['metadata']['name']}" for item in late]
        waited = kubectl(context, "wait", "--for=condition=Ready", f"--timeout={PATIENCE}s", *names, check=False)
        if waited.ok:
            return
        unready = [node for node in nodes(context) if not node.ready]
        reasons = [f"{node.name}: {node.reason}" for node in unready]
        added = {host.address: host.id for host in hosts}
        raise HostError(
            f"Not ready after {PATIENCE} s: {'; '.join(reasons)}",
            # Its logs are the ones that say why, not those of the master that was asked.
            where=next((added[node.address] for node in unready if node.address in added), context.host.id),
            remedy="`journalctl -u kubelet` on that host says more; the same command goes on waiting.",
        )

    inputs: dict[str, Json] = {"hosts": [host.address for host in hosts]}
    return [
        Step(
            "ready",
            "Wait until the nodes are ready",
            FIRST_MASTER,
            wait,
            inputs,
            effect=Effect.CONVERGE,
            timeout=PATIENCE + 60,
            diagnosis=script("diagnose"),
        )
    ]
