"""Hosts leave the cluster: first by the word of those that stay, then by their own hands where they can be reached."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from sealer.documents import load_json, load_yaml
from sealer.errors import CommandError
from sealer.events import Json
from sealer.extension import FIRST_MASTER, REMOVED, Effect, Operation, Step, StepContext
from sealer.hosts import Host
from sealer_plugin_kubeadm import etcd
from sealer_plugin_kubeadm.cluster_api import by_address, is_ready, kubectl, node_objects
from sealer_plugin_kubeadm.endpoint import write_lines
from sealer_plugin_kubeadm.ownership import is_own
from sealer_plugin_kubeadm.scripts import script

DRAIN = 120  # seconds that pods may take to end
_STATUS = "ClusterStatus"  # what kubeadm up to v1.21 keeps of masters


def forget(operation: Operation) -> Sequence[Step]:
    """On a master that stays: the hosts are drained, taken out of etcd, and no nodes any more."""
    leaving = operation.removed
    if not operation.masters or not leaving:
        return []
    inputs: dict[str, Json] = {"hosts": [host.address for host in leaving]}

    def run(context: StepContext) -> None:
        _forget(context, leaving)

    timeout = 300 + DRAIN * len(leaving)
    forgetting = Step("forget", "Remove hosts from the cluster", FIRST_MASTER, run, inputs, timeout=timeout)
    return [*checks(operation), forgetting]


def checks(operation: Operation) -> Sequence[Step]:
    """Whether etcd bears it that hosts leave.

    :returns: steps whose failure is a refusal with the reason.
    """
    leaving = tuple(host for host in operation.removed if host.is_master)
    if not leaving:
        return []

    def check(context: StepContext) -> None:
        etcd.refuse_loss(context, leaving)

    inputs: dict[str, Json] = {"hosts": [host.address for host in leaving]}
    title = "Check the etcd quorum"
    return [Step("majority", title, FIRST_MASTER, check, inputs, effect=Effect.QUERY, timeout=120)]


def clean(operation: Operation, credentials: Path) -> Sequence[Step]:
    """On hosts that leave nothing of the cluster runs any more; what the image's scripts made is theirs to undo.

    :param credentials: the cluster's own keys on this machine.
    """

    def run(context: StepContext) -> None:
        rootfs = f"{context.operation.paths.data}/rootfs"
        if is_own(context, credentials):
            context.query(script("leave"), env={"SEALER_ROOTFS": rootfs})
        else:
            context.warn("what is there of Kubernetes is not this cluster's, and stays as it is")
        write_lines(context, [])

    return [Step("reset", "Remove Kubernetes from the hosts", REMOVED, run, unreachable="skip", timeout=300)]


def _forget(context: StepContext, leaving: Sequence[Host]) -> None:
    known = by_address(node_objects(context))
    for host in leaving:
        item = known.get(host.address)
        if item is not None:
            _drain(context, item, answers=host.id not in context.operation.unreachable)
    masters = {host.address for host in leaving if host.is_master}
    if masters:
        gone = [member for member in etcd.members(context) if member.address in masters]
        for member in sorted(gone, key=lambda member: member.healthy):  # those that are down first
            etcd.remove(context, member)
        _forget_endpoints(context, [str(known[host]["metadata"]["name"]) for host in masters if host in known])
    for host in leaving:
        if item := known.get(host.address):
            kubectl(context, "delete", "node", item["metadata"]["name"], "--ignore-not-found", "--wait=false")


def _drain(context: StepContext, item: Mapping[str, Any], *, answers: bool) -> None:
    """Pods go elsewhere; where nobody answers any more, there is nobody to wait for.

    :param answers: the host itself: for as long as forty seconds a dead one is still a node that is ready.
    """
    name = item["metadata"]["name"]
    if not answers or not is_ready(item):
        context.warn(f"{name} {'is not ready' if answers else 'does not answer'}: its pods are not waited for")
        return
    words = ("--ignore-daemonsets", "--delete-emptydir-data", "--force", f"--timeout={DRAIN}s")
    drained = kubectl(context, "drain", name, *words, check=False)
    if not drained.ok:
        last = (drained.stderr.strip().splitlines() or ["no reason given"])[-1]
        context.warn(f"not all pods of {name} ended within {DRAIN} s: {last}")


def _forget_endpoints(context: StepContext, names: Sequence[str]) -> None:
    """Up to v1.21 kubeadm keeps a list of masters, and asks all of them whenever another joins."""
    found = kubectl(context, "-n", "kube-system", "get", "configmap", "kubeadm-config", "-o", "json", check=False)
    if not found.ok:
        return
    data = load_json(found.stdout).get("data", {})
    status = load_yaml(data.get(_STATUS, "")) or {}
    endpoints = status.get("apiEndpoints", {})
    left = {name: value for name, value in endpoints.items() if name not in names}
    if left == endpoints:
        return
    text = yaml.safe_dump({**status, "apiEndpoints": left}, sort_keys=False)
    patch = json.dumps({"data": {_STATUS: text}})
    try:
        kubectl(context, "-n", "kube-system", "patch", "configmap", "kubeadm-config", "--type=merge", "--patch", patch)
    except CommandError as error:
        context.warn(f"kubeadm's list of masters still has {', '.join(names)}: {error}")
