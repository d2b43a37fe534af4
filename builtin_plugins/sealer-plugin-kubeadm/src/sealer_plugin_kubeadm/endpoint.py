"""`apiserver.cluster.local`: where each host finds the control plane, and the user's own names of hosts."""

from __future__ import annotations

from typing import Literal

from sealer.events import Json
from sealer.extension import Addresses, Operation, Step, StepContext
from sealer.hosts import Host
from sealer_plugin_kubeadm import balancer
from sealer_plugin_kubeadm.delivery import deliver, fetch
from sealer_plugin_kubeadm.ownership import own
from sealer_plugin_kubeadm.places import NAME
from sealer_plugin_kubeadm.scripts import script

LOOPBACK = "127.0.0.1"
COVERS = frozenset({"spec.hostAliases"})


def address(operation: Operation, host: Host) -> str:
    """What a host takes for the control plane.

    A master itself, also while it joins: pods on the host's network keep the hosts file that they were started with, so
    it is never to change. Another host its balancer; where the image has none, the first master.
    """
    if host.is_master:
        return host.address
    if balancer.image(operation):
        return LOOPBACK
    first = operation.first_master
    assert first is not None  # the kernel refuses a cluster without master
    return first.address


def single(operation: Operation) -> str:
    """What to warn of where there are several masters and nodes reach one of them alone; empty: they reach all."""
    first, nodes = operation.first_master, operation.nodes
    if first is None or len(operation.masters) < 2 or not nodes or balancer.image(operation):
        return ""
    why = "the image brings no haproxy" if operation.image else "the cluster's image is not at hand"
    return (
        f"{why}: nodes reach the control plane through {first.address} alone, and lose it when that master is down; "
        "an image that brings a container image named haproxy lets them reach every master"
    )


def lines(operation: Operation, host: Host) -> list[str]:
    """The cluster's lines of a host's hosts file."""
    aliases = [f"{alias.ip} {' '.join(alias.hostnames)}" for alias in operation.spec.host_aliases]
    return [f"{address(operation, host)} {NAME}", *aliases]


def settle(identifier: str, title: str, operation: Operation, on: Addresses) -> Step:
    """The step that lets hosts find the control plane."""
    inputs: dict[str, Json] = {
        "masters": [*sorted(host.id for host in operation.masters)],
        "aliases": [f"{alias.ip} {' '.join(alias.hostnames)}" for alias in operation.spec.host_aliases],
        "balancer": balancer.image(operation),
    }
    warning = single(operation)
    told = [host.id for host in operation.nodes if host.id in on.addresses] if warning else []
    speaker = min(told, default="")  # one host speaks for all

    def run(context: StepContext) -> None:
        operation = context.operation
        own(context)
        write_lines(context, lines(operation, context.host))
        of = balancer.image(operation)
        if context.host.id == speaker:
            context.warn(warning)
        if context.host.is_master or not of:
            return
        wanted = balancer.files(of, operation.masters)
        present = fetch(context, wanted)
        # The configuration first: the manifest makes the kubelet read it.
        deliver(context, {path: content for path, content in wanted.items() if present.get(path) != content})

    # A host that stays and is out of reach must not keep others from coming. A field that changed is another matter.
    passed_over = on.within == "kept" and (operation.added or operation.removed)
    unreachable: Literal["fail", "skip"] = "skip" if passed_over else "fail"
    return Step(identifier, title, on, run, inputs, timeout=60, covers=COVERS, unreachable=unreachable)


def write_lines(context: StepContext, wanted: list[str]) -> None:
    """Make these, and no others, the cluster's lines of the host's hosts file."""
    env = {"SEALER_CLUSTER": context.operation.cluster, "SEALER_LINES": "\n".join(wanted)}
    context.query(script("hosts"), env=env)
