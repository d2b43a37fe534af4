"""What keeps a cluster from being ready, read from what its API says of nodes and pods."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Document = Mapping[str, Any]  # Any: JSON of the API of Kubernetes
NAMESPACE = "kube-system"  # the control plane's, and of what every cluster has


@dataclass(frozen=True)
class Finding:
    """Something that is not ready.

    :param name: as kubectl names it, `node/worker-1`, `pod/kube-proxy-abcde`.
    :param leaves: it is there, and is to go.
    """

    name: str
    why: str
    leaves: bool = False

    def __str__(self) -> str:
        return f"{self.name}: {self.why}"


@dataclass(frozen=True)
class Look:
    """The nodes and the pods of kube-system at one time."""

    nodes: Sequence[Document]
    pods: Sequence[Document]

    def without(self, addresses: Collection[str]) -> Look:
        """All but the nodes of hosts that leave, and what runs there: they may be dead."""
        leaving = {_name(node) for node in self.nodes if address_of(node) in addresses}
        nodes = [node for node in self.nodes if _name(node) not in leaving]
        return Look(nodes, [pod for pod in self.pods if pod.get("spec", {}).get("nodeName") not in leaving])


def of_nodes(nodes: Sequence[Document], addresses: Sequence[str]) -> Iterator[Finding]:
    """Nodes that are not ready, and hosts that are no node."""
    known = {address_of(node) for node in nodes}
    for address in addresses:
        if address not in known:
            yield Finding(f"host {address}", "it is no node of the cluster yet")
    for node in nodes:
        ready = _ready(node)
        if ready.get("status") != "True":
            yield Finding(f"node/{_name(node)}", ready.get("message") or ready.get("reason") or "it is not ready")


def of_control_plane(look: Look, masters: Collection[str], components: Sequence[str]) -> Iterator[Finding]:
    """Components that a master runs as pods, and of which the API knows no pod there.

    :param masters: addresses.
    :param components: as the pods' label `component` names them.
    """
    for node in look.nodes:
        if address_of(node) not in masters:
            continue
        there = {
            pod["metadata"].get("labels", {}).get("component")
            for pod in look.pods
            if pod.get("spec", {}).get("nodeName") == _name(node)
        }
        for component in components:
            if component not in there:
                yield Finding(f"{component} of {_name(node)}", "the API knows no such pod on this master")


def of_pods(pods: Sequence[Document]) -> Iterator[Finding]:
    """Pods that neither run with all their containers ready nor have done their work."""
    if not pods:
        yield Finding(f"namespace/{NAMESPACE}", "it has no pod yet")
    for pod in pods:
        if _done(pod):
            continue
        leaves = "deletionTimestamp" in pod["metadata"]
        if leaves or not (_ready(pod).get("status") == "True" or _started(pod)):
            yield Finding(f"pod/{_name(pod)}", _why(pod), leaves)


def changed(before: Look, after: Look) -> Iterator[Finding]:
    """What changed from one look to another, both of which found all ready.

    What became unready and ready again in between is found too: the API keeps since when each is as it is.
    """
    old, new = _marks(before), _marks(after)
    done = {f"pod/{_name(pod)}" for pod in after.pods if _done(pod)}
    for name in sorted((old.keys() | new.keys()) - done):
        if name not in new:
            yield Finding(name, "it was there, and is gone")
        elif name not in old:
            yield Finding(name, "it is new")
        elif old[name].uid != new[name].uid:
            yield Finding(name, "it was recreated")
        elif old[name].restarts != new[name].restarts:
            yield Finding(name, "a container of it was started again")
        elif old[name].since and old[name].since != new[name].since:
            yield Finding(name, "it was not ready in between")


def address_of(node: Document) -> str:
    """The address that a node is known by."""
    listed = node.get("status", {}).get("addresses") or ()
    return next((entry["address"] for entry in listed if entry.get("type") == "InternalIP"), "")


@dataclass(frozen=True)
class _Mark:
    """What stays the same of something that nothing happens to.

    :param since: when it became ready; empty where the API does not say yet that it is.
    """

    uid: str
    restarts: int
    since: str


def _marks(look: Look) -> dict[str, _Mark]:
    kinds = {"node": look.nodes, "pod": [pod for pod in look.pods if not _done(pod)]}
    return {
        f"{kind}/{_name(item)}": _Mark(
            item["metadata"].get("uid", ""),
            sum(one.get("restartCount", 0) for one in item.get("status", {}).get("containerStatuses") or ()),
            _ready(item).get("lastTransitionTime", "") if _ready(item).get("status") == "True" else "",
        )
        for kind, items in kinds.items()
        for item in items
    }


def _name(item: Document) -> str:
    return str(item["metadata"]["name"])


def _done(pod: Document) -> bool:
    return bool(pod.get("status", {}).get("phase") == "Succeeded")


def _conditions(item: Document) -> Mapping[str, Document]:
    return {one["type"]: one for one in item.get("status", {}).get("conditions") or ()}


def _ready(item: Document) -> Document:
    return _conditions(item).get("Ready", {})


def _started(pod: Document) -> bool:
    """Whether all its containers run, and those that are not called ready are started and have no probe of readiness.

    That is ready by what a container without such a probe is promised. A kubelet, of v1.20 say, that heard from a
    startup probe tells `started` at once and `ready` only when it looks at the pod the next time, a minute later or
    more: so it is with etcd and the scheduler of a new master.
    """
    spec, status = pod.get("spec", {}), pod.get("status", {})
    # Where the containers are ready and the pod is not, its node does not answer, or something else is waited for.
    if spec.get("readinessGates") or _conditions(pod).get("ContainersReady", {}).get("status") != "False":
        return False
    probed = {one["name"] for one in spec.get("containers") or () if "readinessProbe" in one}
    containers = status.get("containerStatuses") or ()
    return bool(containers) and all(
        "running" in one.get("state", {})
        and (one.get("ready") or (one.get("started") is True and one["name"] not in probed))
        for one in containers
    )


def _why(pod: Document) -> str:
    if "deletionTimestamp" in pod["metadata"]:
        return "it is being deleted"
    status = pod.get("status", {})
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        state = container.get("state", {})
        for kind in ("waiting", "terminated"):
            if found := state.get(kind):
                done = kind == "terminated" and found.get("exitCode") == 0
                if not done:
                    return _said(f"container {container['name']}", found)
    scheduled = _conditions(pod).get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return _said("not scheduled", scheduled)
    unready = [one["name"] for one in status.get("containerStatuses") or () if not one.get("ready")]
    if unready:
        return f"container {', '.join(unready)} runs, and is not ready"
    return _said(status.get("phase") or "no status", status)


def _said(head: str, found: Document) -> str:
    return ": ".join(filter(None, (head, found.get("reason"), " ".join(str(found.get("message", "")).split()))))
