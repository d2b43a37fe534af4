"""What `sealer check` asks of hosts beside what the cluster's API says of them."""

from __future__ import annotations

from collections.abc import Sequence

from sealer.errors import HostError
from sealer.extension import Addresses, Effect, Operation, Step, StepContext


def steps(operation: Operation) -> Sequence[Step]:
    """Each member's kubelet runs: of one that was stopped the API says for 40 seconds more that its node is ready."""
    recorded = operation.recorded.hosts if operation.recorded else ()
    members = frozenset(entry.host.address for entry in recorded if entry.member)

    def ask(context: StepContext) -> None:
        state = context.query("systemctl is-active kubelet", check=False).stdout.strip()
        if state != "active":
            raise HostError(
                "The kubelet of this host does not run",
                where=context.host.id,
                why=f"systemd says that it is {state or 'not there'}",
                remedy="`systemctl start kubelet` on the host; `journalctl -u kubelet` there says why it ended.",
            )

    return [Step("kubelet", "Its kubelet runs", Addresses(members), ask, effect=Effect.QUERY)] if members else []
