"""What must be so before anything is changed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from sealer.documents import load_json
from sealer.errors import HostError
from sealer.extension import ADDED, FIRST_MASTER, OPERATOR, Effect, Fact, Operation, Step, StepContext
from sealer_plugin_kubeadm.constraints import refuse_unfit, wanted_by
from sealer_plugin_kubeadm.obstacles import ignored_checks, judge, number, obstacles, warnings
from sealer_plugin_kubeadm.places import IDENTITY, program
from sealer_plugin_kubeadm.scripts import script

CHECKED: Fact[dict[str, Any]] = Fact("kubeadm.checked", dict, per_host=True)  # what `check.sh` prints, by key
LARGEST_SKEW = 60  # seconds between the clocks of two hosts
MASTER_PORTS = "10250 6443 2379 2380 10257 10259"
NODE_PORTS = "10250"


def hosts(operation: Operation) -> Sequence[Step]:
    """Each host that comes by itself, then all of them beside each other."""
    if not operation.added:
        return []
    ignored = ignored_checks(operation)

    def look(context: StepContext) -> None:
        master = context.host.is_master
        env = {
            "SEALER_PORTS": MASTER_PORTS if master else NODE_PORTS,
            "SEALER_IDENTITY": IDENTITY,
            "SEALER_CLUSTER_ID": context.operation.cluster_id,
            "SEALER_DATA": context.operation.paths.data,
        }
        began = time.time()
        printed = context.query(script("check"), env=env).stdout
        found = dict(line.partition("=")[::2] for line in printed.splitlines())
        # Compared with the middle of the exchange: half of what it took is the error.
        found["skew"] = str(number(found.get("clock", "")) - (began + time.time()) / 2)
        context.give(CHECKED, found)
        if "ours" in found:
            return  # an earlier run came this far
        for warning in warnings(found, master=master):
            context.warn(warning)
        judge(context, [*obstacles(found, master=master)], ignored)

    def compare(context: StepContext) -> None:
        refuse_same_names(
            {host.id: str(context.get(CHECKED, host).get("name", "")) for host in operation.added}, operation
        )
        clocks = {host.id: number(context.get(CHECKED, host).get("skew", "")) for host in operation.added}
        refuse_skew(clocks)

    return [
        Step(
            "hosts",
            "Run preflight checks",
            ADDED,
            look,
            effect=Effect.QUERY,
            gives=frozenset({CHECKED}),
            timeout=60,
        ),
        Step(
            "compare",
            "Compare host names and clocks",
            OPERATOR,
            compare,
            effect=Effect.QUERY,
            needs=frozenset({CHECKED}),
        ),
    ]


def application(operation: Operation) -> Sequence[Step]:
    """KUBEVERSION of an application's image, against the cluster's version."""
    if not wanted_by(operation):
        return []

    def compare(context: StepContext) -> None:
        refuse_unfit(operation, _version(context), context.host)

    return [Step("version", "Check the application's Kubernetes version", FIRST_MASTER, compare, effect=Effect.QUERY)]


def refuse_same_names(names: Mapping[str, str], operation: Operation) -> None:
    """See that no two hosts would be one node.

    :param names: what hosts are called now, by id.
    :raises HostError: two are called the same, and nothing gives them other names.
    """
    seen: dict[str, str] = {}
    given = {host.id: operation.names.get(host.address) or names[host.id] for host in operation.added}
    for host, name in given.items():
        other = seen.setdefault(name.lower(), host)
        if name and other != host:
            raise HostError(
                f"The hosts {other} and {host} are both called {name}",
                why="a node is known by the name of its host",
                remedy="Give them different names, for example with a Plugin document of type HOSTNAME.",
            )


def refuse_skew(clocks: Mapping[str, float]) -> None:
    """See that clocks go alike: certificates, leases and etcd depend on it.

    :param clocks: seconds that each host's clock is ahead of this machine's.
    :raises HostError: two differ by more than a minute.
    """
    if not clocks:
        return
    behind, ahead = min(clocks, key=clocks.__getitem__), max(clocks, key=clocks.__getitem__)
    apart = clocks[ahead] - clocks[behind]
    if apart > LARGEST_SKEW:
        raise HostError(
            f"The clock of {ahead} is {apart:.0f} s ahead of that of {behind}",
            why=f"certificates and etcd need clocks that are at most {LARGEST_SKEW} s apart",
            remedy="Set the clocks, for example with chrony or systemd-timesyncd.",
        )


def _version(context: StepContext) -> str:
    kubectl = program(context.operation.paths, "kubectl")
    printed = context.query(
        f"[ -e {kubectl} ] || exit 0; KUBECONFIG=/etc/kubernetes/admin.conf {kubectl} get --raw /version"
    ).stdout
    return str(load_json(printed)["gitVersion"]) if printed else ""
