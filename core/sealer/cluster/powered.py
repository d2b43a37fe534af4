"""Hosts that a provider made: whether they are switched on."""

from __future__ import annotations

from sealer.errors import SealerError
from sealer.events import EventStream
from sealer.extension.loading import load_driver
from sealer.extension.operation import Recorded
from sealer.settings import Settings


def switched_off(recorded: Recorded, settings: Settings, events: EventStream) -> tuple[str, ...]:
    """The hosts, by id, that the cluster's provider made and that are off; none where it cannot tell.

    :raises InterruptedRunError: it was cancelled.
    """
    made = [entry.host for entry in recorded.hosts if entry.host.placeholder and entry.host.address]
    cluster = recorded.clusterfile.cluster
    if not made or cluster is None or not cluster.provider.name:
        return ()
    try:
        provider = load_driver("provider", cluster.provider.name, settings, events, cluster.provider.options)
        running = provider.running(recorded.name)
    except SealerError:  # a provider that is not installed any more, say: nothing is claimed
        return ()
    return () if running is None else tuple(host.id for host in made if host.address not in running)
