"""`spec.on` of a Plugin document as the targets of a step."""

from __future__ import annotations

from sealer.clusterfile import selectors
from sealer.extension.operation import Operation
from sealer.extension.targets import FIRST_MASTER, Addresses, Labelled, Role, Targets, everyone, within
from sealer.phases import LABEL_PHASES, Phase


def select(on: str, phase: Phase, operation: Operation) -> Targets:
    """The hosts that `on` means in a phase, of those that the phase is about.

    Of addresses only those of the operation's hosts are taken: a range is written for hosts to come, too.

    :raises ValueError: with a message that says what is wrong.
    """
    selector, hosts = selectors.parse(on), within(phase)
    if isinstance(selector, selectors.HostsWithRole):
        return Role(selector.role, hosts)
    if isinstance(selector, selectors.FirstMaster):
        return FIRST_MASTER
    if isinstance(selector, selectors.HostsByAddress):
        ours = {host.address for host in (*operation.hosts, *operation.removed)}
        return Addresses(selector.addresses & ours, hosts)
    if isinstance(selector, selectors.HostsWithLabel):
        if phase not in LABEL_PHASES:
            able = ", ".join(one for one in Phase if one in LABEL_PHASES)
            raise ValueError(f"on takes a label only where the cluster answers: in {able}, not in {phase}")
        return Labelled(selector.key, selector.value, hosts)
    return everyone(phase)
