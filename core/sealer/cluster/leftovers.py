"""What runs that came to nothing left behind on this machine, taken back by whoever has the cluster's lock next."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sealer.cluster import state
from sealer.cluster.home import ClusterHome
from sealer.cluster.journal import Journal
from sealer.errors import SealerError
from sealer.events import EventStream, Json
from sealer.extension.operation import Recorded
from sealer.hosts import Host


def key(host: Host) -> str:
    """What stays the same when a host gets its address."""
    return host.placeholder or host.address


def before(recorded: Recorded | None) -> Json:
    """What an operation is begun on, for its record: enough to take back what is recorded of it."""
    if recorded is None:
        return None
    return {
        "status": recorded.status,
        "hosts": [key(entry.host) for entry in recorded.hosts],
        "image": recorded.image,
        "imageDigest": recorded.image_digest,
    }


def undo_nothing(home: ClusterHome, journal: Journal) -> None:
    """An operation that ended before it changed anything leaves no unfinished one in anybody's way."""
    unfinished = journal.state.unfinished
    if unfinished is None or not journal.state.untouched:
        return
    then: dict[str, Any] | None = unfinished.get("before")
    recorded = state.load(home)
    if then is None or recorded is None:
        home.state.unlink(missing_ok=True)
        home.cluster_id.unlink(missing_ok=True)
    else:
        state.save(
            home,
            replace(
                recorded,
                status=then["status"],
                hosts=tuple(entry for entry in recorded.hosts if key(entry.host) in then["hosts"]),
                image=then["image"],
                image_digest=then["imageDigest"],
            ),
        )
    home.pending_clusterfile.unlink(missing_ok=True)
    journal.end("abandoned")


def tidy(home: ClusterHome, events: EventStream, *, force: bool = False) -> None:
    """Take back what a run left that was killed before it changed anything, or when all but its own files was gone.

    :param force: put a damaged journal aside: whoever deletes a cluster for good can do without.
    :raises SealerError: the journal is damaged.
    """
    if not home.exists:
        # The state is written first and removed first: without it all else is litter.
        for path in (home.journal, home.clusterfile, home.pending_clusterfile, home.cluster_id):
            path.unlink(missing_ok=True)
        return
    try:
        journal = Journal(home.journal)
    except SealerError as error:
        if not force:
            raise
        aside = home.journal.with_suffix(".damaged")
        home.journal.rename(aside)
        events.warn(f"{error}; going on without it, as what is left to do is done whatever was done before")
        return
    try:
        undo_nothing(home, journal)
    finally:
        journal.close()
