"""The cluster's own API, asked by kubectl on a master."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sealer.documents import load_json
from sealer.errors import CommandError, HostError
from sealer.extension import Node, Result, StepContext
from sealer_plugin_kubeadm.places import ADMIN, program, server

_NOT_FOUND = 127
_LAST_LINES = 20  # of an error
_REFUSED = "was refused"  # what kubectl says where nobody listens


def kubectl(context: StepContext, *arguments: str, stdin: bytes | None = None, check: bool = True) -> Result:
    """Run the image's kubectl on this host, a master, as the cluster's administrator.

    Where the host's own API server takes no connection, another master's is asked: nothing was done by it then.

    :raises CommandError: it failed, or is not there.
    """
    result = _ask(context, (), arguments, stdin)
    for server_of_another in other_servers(context):
        if result.ok or _REFUSED not in result.stderr:
            break
        result = _ask(context, ("--server", server_of_another), arguments, stdin)
    if result.ok or not check:
        return result
    absent = result.status == _NOT_FOUND
    raise CommandError(
        "kubectl is missing on this host" if absent else f"The command ended with status {result.status}",
        status=result.status,
        where=context.host.id,
        output=(result.stderr or result.stdout).splitlines()[-_LAST_LINES:],
        remedy="The image has to bring it as bin/kubectl." if absent else "",
    )


def other_servers(context: StepContext) -> list[str]:
    """URLs of the API servers of other masters that were in the cluster before, and that can be reached."""
    operation = context.operation
    masters = (host for host in operation.kept if host.is_master and host.id not in operation.unreachable)
    return [server(host.address) for host in masters if host.id != context.host.id]


def _ask(context: StepContext, options: Sequence[str], arguments: Sequence[str], stdin: bytes | None) -> Result:
    line = f"exec {shlex.join((program(context.operation.paths, 'kubectl'), *options, *arguments))}"
    return context.query(line, env={"KUBECONFIG": ADMIN}, stdin=stdin, check=False)


class Asking(Protocol):
    """How kubectl is run: :func:`kubectl`, or the same for another cluster."""

    def __call__(self, context: StepContext, *arguments: str) -> Result:
        """Run it on the host of a step."""
        ...


def node_objects(context: StepContext, ask: Asking = kubectl) -> list[Mapping[str, Any]]:
    """All nodes, as the API has them."""
    printed = ask(context, "get", "nodes", "--output", "json").stdout
    try:
        items: list[Mapping[str, Any]] = load_json(printed)["items"]
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
