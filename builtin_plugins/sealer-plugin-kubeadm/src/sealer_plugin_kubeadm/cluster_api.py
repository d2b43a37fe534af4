"""The cluster's own API, asked by kubectl on a master."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sealer.errors import CommandError, HostError
from sealer.extension import Node, Result, StepContext
from sealer_plugin_kubeadm.places import ADMIN, program

_NOT_FOUND = 127


def kubectl(context: StepContext, *arguments: str, stdin: bytes | None = None, check: bool = True) -> Result:
    """Run the image's kubectl on this host, a master, as the cluster's administrator.

    :raises CommandError: it failed, or is not there.
    """
    line = f"exec {shlex.join((program(context.operation.paths, 'kubectl'), *arguments))}"
    try:
        result = context.query(line, env={"KUBECONFIG": ADMIN}, stdin=stdin, check=check)
    except CommandError as error:
        if error.status != _NOT_FOUND:
            raise
        raise CommandError(
            "kubectl is not on this host",
            status=error.status,
            where=context.host.id,
            output=error.output,
            remedy="The image has to bring it as bin/kubectl.",
        ) from error
    return result


class Asking(Protocol):
    """How kubectl is run: :func:`kubectl`, or the same for another cluster."""

    def __call__(self, context: StepContext, *arguments: str) -> Result:
        """Run it on the host of a step."""
        ...


def node_objects(context: StepContext, ask: Asking = kubectl) -> list[Mapping[str, Any]]:
    """All nodes, as the API has them."""
    printed = ask(context, "get", "nodes", "--output", "json").stdout
    try:
        items: list[Mapping[str, Any]] = json.loads(printed)["items"]
    except (ValueError, KeyError, TypeError) as error:
        raise HostError("kubectl printed no list of nodes", where=context.host.id, why=str(error)) from error
    return items


def nodes(context: StepContext, ask: Asking = kubectl) -> Sequence[Node]:
    """All nodes: a host is found by its address, whatever its labels."""
    return [_node(item) for item in node_objects(context, ask)]


def addresses_of(item: Mapping[str, Any]) -> list[str]:
    """Under which addresses a node is reached by others, the first one first."""
    listed = item.get("status", {}).get("addresses", [])
    return [entry["address"] for entry in listed if entry.get("type") == "InternalIP"]


def by_address(items: Sequence[Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
    """Nodes by each of their addresses."""
    return {address: item for item in items for address in addresses_of(item)}


def is_ready(item: Mapping[str, Any]) -> bool:
    """Whether a node says of itself that it is ready."""
    return _condition(item).get("status") == "True"


def _condition(item: Mapping[str, Any]) -> Mapping[str, Any]:
    conditions = item.get("status", {}).get("conditions", [])
    return next((entry for entry in conditions if entry.get("type") == "Ready"), {})


def _node(item: Mapping[str, Any]) -> Node:
    condition = _condition(item)
    addresses = addresses_of(item)
    ready = condition.get("status") == "True"
    return Node(
        name=item["metadata"]["name"],
        address=addresses[0] if addresses else "",
        ready=ready,
        labels=item["metadata"].get("labels", {}),
        reason=""
        if ready
        else str(condition.get("message") or condition.get("reason") or "it has not said anything yet"),
    )
