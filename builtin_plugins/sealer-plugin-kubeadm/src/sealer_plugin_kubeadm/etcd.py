"""The members of etcd, one on each master: who they are, and how one leaves."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from sealer.errors import RefusedError
from sealer.extension import StepContext
from sealer.hosts import Host
from sealer_plugin_kubeadm.scripts import script

PEER_PORT = 2380


@dataclass(frozen=True)
class Member:
    """A member of etcd.

    :param identifier: hexadecimal.
    :param address: its host's; empty while it has not said it.
    :param healthy: whether it answers, and takes part.
    """

    identifier: str
    address: str
    healthy: bool = False


def members(context: StepContext) -> Sequence[Member]:
    """All members, asked on a master; none where etcd is somebody else's."""
    printed = context.query(script("etcd"), env={"SEALER_ETCD": "list"}).stdout
    return parse(printed)


def parse(printed: str) -> Sequence[Member]:
    """What `etcd.sh` printed: a line `identifier address yes|no` for each member."""
    found = (line.split() for line in printed.splitlines())
    return [Member(words[0], words[1], words[2] == "yes") for words in found if len(words) == 3]


def remove(context: StepContext, member: Member) -> None:
    """Let a member leave.

    :raises CommandError: etcd refuses.
    """
    context.query(script("etcd"), env={"SEALER_ETCD": f"remove {shlex.quote(member.identifier)}"})


def refuse_loss(context: StepContext, leaving: Sequence[Host]) -> None:
    """See that etcd keeps a majority while hosts leave it.

    :raises RefusedError: it would not, and so the cluster would stand still for good.
    """
    addresses = {host.address for host in leaving if host.is_master}
    if not addresses:
        return
    known = members(context)
    if not known:
        return
    if all(member.address not in addresses for member in known):
        return
    if why := loss(known, addresses):
        raise RefusedError(
            f"etcd would lose its majority, and the cluster would stand still, if {', '.join(sorted(addresses))} left",
            where=context.host.id,
            why=why,
            remedy="Bring back masters that are down, or add others, before you remove any.",
        )


def loss(known: Sequence[Member], leaving: set[str]) -> str:
    """Why etcd would lose its majority if members left one after the other; empty if it would not.

    Those that are down leave first: nobody misses them, and each that goes makes the majority smaller.
    """
    left = list(known)
    for member in sorted((it for it in known if it.address in leaving), key=lambda it: it.healthy):
        alive = [it.address for it in left if it.healthy]
        if 2 * len(alive) <= len(left):
            return _why(left)
        left.remove(member)
    alive = [it.address for it in left if it.healthy]
    return _why(left) if left and 2 * len(alive) <= len(left) else ""


def _why(left: Sequence[Member]) -> str:
    down = sorted(it.address or "one that never started" for it in left if not it.healthy)
    return f"of {len(left)} members {len(left) - len(down)} would answer; down: {', '.join(down) or 'none'}"
