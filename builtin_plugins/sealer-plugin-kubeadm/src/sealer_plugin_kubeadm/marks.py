"""Labels, taints and further roles of hosts, on their nodes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sealer.errors import CommandError, HostError
from sealer.events import Json
from sealer.extension import FIRST_MASTER, Operation, Step, StepContext
from sealer.hosts import MASTER, NODE, Host
from sealer_plugin_kubeadm.cluster_api import by_address, kubectl, node_objects

ROLE = "node-role.kubernetes.io/"
COVERS = frozenset({"spec.hosts.labels", "spec.hosts.taints", "spec.hosts.roles"})
_ATTEMPTS = 5  # the control plane, too, writes taints


@dataclass(frozen=True)
class Taint:
    """One taint of a host, as its Clusterfile has it.

    :param effect: empty, in a removal: every effect.
    :param removed: it is to go.
    """

    key: str
    value: str
    effect: str
    removed: bool = False

    @classmethod
    def parse(cls, text: str) -> Taint:
        """Understand `key=value:Effect`, `key:Effect`, and with `-` at the very end its removal.

        A hyphen anywhere else belongs to the key or the value.
        """
        removed = text.endswith("-")
        rest, _, effect = text.removesuffix("-").rpartition(":") if ":" in text else (text.removesuffix("-"), "", "")
        key, _, value = rest.partition("=")
        return cls(key, value, effect, removed)


def steps(identifier: str, operation: Operation, hosts: Sequence[Host]) -> Sequence[Step]:
    """Give the nodes of `hosts` what their Clusterfile says of them; empty where it says and said nothing."""
    before = _recorded(operation)
    wanted = [host for host in hosts if _said(host) or (host.address in before and _said(before[host.address]))]
    if not wanted:
        return []

    def mark(context: StepContext) -> None:
        for host in wanted:
            _mark(context, host, before.get(host.address))

    inputs: dict[str, Json] = {
        host.address: {"labels": dict(host.labels), "taints": list(host.taints), "roles": list(host.roles)}
        for host in wanted
    }
    return [Step(identifier, "Label and taint nodes", FIRST_MASTER, mark, inputs, timeout=300, covers=COVERS)]


def changed_base_role(operation: Operation) -> Host | None:
    """A host that stays and is to be master instead of node, or the other way round."""
    before = _recorded(operation)
    return next(
        (
            host
            for host in operation.kept
            if host.address in before and before[host.address].is_master != host.is_master
        ),
        None,
    )


def labels_of(host: Host) -> dict[str, str]:
    """The labels of a host's node: its own, and one for each role beyond master and node."""
    return {**{f"{ROLE}{role}": "" for role in host.roles if role not in (MASTER, NODE)}, **host.labels}


def _said(host: Host) -> bool:
    return bool(labels_of(host) or host.taints)


def _recorded(operation: Operation) -> Mapping[str, Host]:
    kept = {host.address for host in operation.kept}
    recorded = operation.recorded.hosts if operation.recorded else ()
    return {entry.host.address: entry.host for entry in recorded if entry.member and entry.host.address in kept}


def _mark(context: StepContext, host: Host, before: Host | None) -> None:
    for _ in range(_ATTEMPTS):
        item = by_address(node_objects(context)).get(host.address)
        if item is None:
            raise HostError(f"{host.address} is no node of the cluster", where=context.host.id)
        patch = patch_of(item, host, before)
        if not patch:
            return
        patch["metadata"]["resourceVersion"] = item["metadata"]["resourceVersion"]
        name = item["metadata"]["name"]
        done = kubectl(context, "patch", "node", name, "--type=merge", "--patch", json.dumps(patch), check=False)
        if done.ok:
            return
        if "Conflict" not in done.stderr and "has been modified" not in done.stderr:
            raise CommandError(
                f"The node of {host.address} cannot be labelled and tainted as its Clusterfile says",
                status=done.status,
                where=context.host.id,
                output=done.stderr.splitlines()[-5:],
            )
    raise HostError(f"The node of {host.address} is changed by others all the time", where=context.host.id)


def patch_of(item: Mapping[str, Any], host: Host, before: Host | None) -> dict[str, Any]:
    """A merge patch that makes a node what the Clusterfile says; empty where it is.

    :param before: the host as it was recorded: what was said then and is not any more, goes.
    """
    labels = _label_changes(item["metadata"].get("labels", {}), host, before)
    old = item.get("spec", {}).get("taints", [])
    new = _taints(old, host, before)
    if not labels and new == old:
        return {}
    patch: dict[str, Any] = {"metadata": {"labels": labels}}
    if new != old:
        patch["spec"] = {"taints": new}
    return patch


def _label_changes(present: Mapping[str, str], host: Host, before: Host | None) -> dict[str, str | None]:
    wanted = labels_of(host)
    gone = (labels_of(before).keys() if before else set()) - wanted.keys()
    changes: dict[str, str | None] = {key: value for key, value in wanted.items() if present.get(key) != value}
    return changes | dict.fromkeys((key for key in gone if key in present), None)


def _taints(present: Sequence[Mapping[str, Any]], host: Host, before: Host | None) -> list[Mapping[str, Any]]:
    wanted = [Taint.parse(text) for text in host.taints]
    said = [Taint.parse(text) for text in before.taints] if before else []
    gone = [taint for taint in wanted if taint.removed]
    gone += [taint for taint in said if not taint.removed and taint not in wanted]
    taints = [entry for entry in present if not any(_is(entry, taint) for taint in gone)]
    for taint in wanted:
        if taint.removed:
            continue
        entry = {"key": taint.key, "effect": taint.effect, **({"value": taint.value} if taint.value else {})}
        same = next((other for other in taints if _is(other, taint)), None)
        if same is None:
            taints.append(entry)
        elif same.get("value", "") != taint.value:
            taints[taints.index(same)] = entry
    return taints


def _is(entry: Mapping[str, Any], taint: Taint) -> bool:
    """Whether it is that taint: of one key and effect there is one only."""
    return entry.get("key") == taint.key and taint.effect in ("", entry.get("effect"))
