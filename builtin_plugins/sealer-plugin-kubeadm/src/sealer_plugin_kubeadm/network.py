"""The pod network that an image brings as `scripts/network.sh`: each host learns its pods' ranges, and the others'."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from sealer.errors import HostError
from sealer.extension import FIRST_MASTER, Addresses, Effect, Fact, Operation, Step, StepContext
from sealer.hosts import Host
from sealer_plugin_kubeadm.cluster_api import by_address, node_objects, other_servers
from sealer_plugin_kubeadm.places import ADMIN, program
from sealer_plugin_kubeadm.scripts import script

PODS: Fact[dict[str, Any]] = Fact("kubeadm.pods", dict)  # ranges of pod addresses, a list for each host's address
_LABEL = "io.sealer.kubernetes.network"
_SCRIPT = "scripts/network.sh"
_PATIENCE = 60  # seconds that the controller manager may take to give nodes their ranges


def brought(operation: Operation) -> bool:
    """Whether the image may bring a network: its label says so, or does not say anything."""
    return bool(operation.image) and operation.image.first.labels.get(_LABEL, "") != "none"  # type: ignore[union-attr]


def steps(operation: Operation) -> Sequence[Step]:
    """Ask which host has which addresses, and tell all hosts."""
    if not brought(operation):
        return []
    hosts = sorted(host.address for host in operation.hosts)

    def ask(context: StepContext) -> None:
        context.give(PODS, dict(_ranges(context, hosts)))

    def tell(context: StepContext) -> None:
        ranges = context.get(PODS)
        own = ranges.get(context.host.address, [])
        routes = [
            f"{cidr} via {host}"
            for host in hosts
            if host != context.host.address
            for cidr in ranges[host]
            if (":" in cidr) == (":" in host)
        ]
        path = f"{context.operation.paths.data}/rootfs/{_SCRIPT}"
        env = {"PodCIDR": ",".join(own), "PodRoutes": "\n".join(routes)}
        context.sh(f"[ ! -e {shlex.quote(path)} ] || exec sh {shlex.quote(path)}\n", env=env)

    asking = Step(
        "pods",
        "Read the nodes' pod CIDRs",
        FIRST_MASTER,
        ask,
        {"hosts": list(hosts)},
        effect=Effect.QUERY,
        gives=frozenset({PODS}),
        timeout=_PATIENCE + 30,
    )
    telling = Step(
        "network",
        "Configure pod routes",
        _on(operation.added, "added"),
        tell,
        {"hosts": list(hosts)},
        after=frozenset({"pods"}),
        needs=frozenset({PODS}),
        timeout=120,
    )
    if not operation.kept:
        return [asking, telling]
    # A host that stays and is out of reach must not keep others from coming.
    kept = _on(operation.kept, "kept")
    staying = replace(
        telling, id="network-of-others", title="Configure pod routes on existing hosts", on=kept, unreachable="skip"
    )
    return [asking, staying, *([telling] if operation.added else [])]


def _on(hosts: Sequence[Host], within: Literal["added", "kept"]) -> Addresses:
    return Addresses(frozenset(host.id for host in hosts), within)


def _ranges(context: StepContext, hosts: Sequence[str]) -> Mapping[str, list[str]]:
    """The ranges of all hosts, once all have them."""
    found = _known(node_objects(context), hosts)
    if any(host not in found for host in hosts):
        # One call that ends when the last host has its range: a watch would end with each change.
        env = {"SEALER_KUBECTL": program(context.operation.paths, "kubectl"), "KUBECONFIG": ADMIN}
        env |= {"SEALER_COUNT": str(len(hosts)), "SEALER_PATIENCE": str(_PATIENCE)}
        env |= {"SEALER_SERVERS": " ".join(other_servers(context))}
        context.query(script("pod-ranges"), env=env, check=False)
        found = _known(node_objects(context), hosts)
    missing = [host for host in hosts if host not in found]
    if missing:
        raise HostError(
            f"No range of pod addresses was given to {', '.join(missing)}",
            where=context.host.id,
            why=f"the controller manager did not do so for {_PATIENCE} s",
            remedy="See its log, and whether the range of pods (spec.network.podCIDR) has room for all hosts.",
        )
    return found


def _known(items: Sequence[Mapping[str, Any]], hosts: Sequence[str]) -> dict[str, list[str]]:
    nodes = by_address(items)
    found: dict[str, list[str]] = {}
    for host in hosts:
        spec = nodes[host].get("spec", {}) if host in nodes else {}
        ranges = spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else [])
        if ranges:
            found[host] = list(ranges)
    return found
