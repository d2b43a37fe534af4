"""What keeps a cluster from being ready, read from what its API says of its pods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sealer.extension import Node

Document = Mapping[str, Any]  # Any: JSON of the API of Kubernetes
NAMESPACE = "kube-system"  # the control plane's, and of what every cluster has


@dataclass(frozen=True)
class Finding:
    """Something that is not ready.

    :param name: as kubectl names it, `node/worker-1`, `pod/kube-proxy-abcde`.
    """

    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.name}: {self.why}"


def of_nodes(nodes: Sequence[Node], addresses: Sequence[str]) -> Iterator[Finding]:
    """Nodes that are not ready, and hosts that are no node."""
    known = {node.address for node in nodes}
    for address in addresses:
        if address not in known:
            yield Finding(f"host {address}", "it is no node of the cluster yet")
    for node in nodes:
        if not node.ready:
            yield Finding(f"node/{node.name}", node.reason or "it is not ready")


def of_pods(pods: Sequence[Document]) -> Iterator[Finding]:
    """Pods that neither run with all their containers ready nor have done their work."""
    if not pods:
        yield Finding(f"namespace/{NAMESPACE}", "it has no pod yet")
    for pod in pods:
        status = pod.get("status", {})
        if status.get("phase") == "Succeeded":
            continue
        conditions = {one["type"]: one for one in status.get("conditions") or ()}
        if conditions.get("Ready", {}).get("status") == "True" and "deletionTimestamp" not in pod["metadata"]:
            continue
        yield Finding(f"pod/{pod['metadata']['name']}", _why(pod, conditions))


def restarts(pods: Sequence[Document]) -> dict[str, int]:
    """By pod, which is another one after it was made anew, how often its containers were started again."""
    return {
        pod["metadata"].get("uid", pod["metadata"]["name"]): sum(
            one.get("restartCount", 0) for one in pod.get("status", {}).get("containerStatuses") or ()
        )
        for pod in pods
        if pod.get("status", {}).get("phase") != "Succeeded"
    }


def _why(pod: Document, conditions: Mapping[str, Document]) -> str:
    if "deletionTimestamp" in pod["metadata"]:
        return "it is being taken away"
    status = pod.get("status", {})
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        state = container.get("state", {})
        for kind in ("waiting", "terminated"):
            if found := state.get(kind):
                done = kind == "terminated" and found.get("exitCode") == 0
                if not done:
                    return _said(f"container {container['name']}", found)
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return _said("not scheduled", scheduled)
    unready = [one["name"] for one in status.get("containerStatuses") or () if not one.get("ready")]
    if unready:
        return f"container {', '.join(unready)} runs, and is not ready"
    return _said(status.get("phase") or "no status", status)


def _said(head: str, found: Document) -> str:
    return ": ".join(filter(None, (head, found.get("reason"), " ".join(str(found.get("message", "")).split()))))
