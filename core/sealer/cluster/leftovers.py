"""What runs that came to nothing left behind on this machine, taken back by whoever has the cluster's lock next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from sealer.cluster import state
from sealer.cluster.files import write_atomically, writing
from sealer.cluster.home import ClusterHome
from sealer.cluster.journal import Journal
from sealer.errors import SealerError
from sealer.events import EventStream, Json
from sealer.hosts import Host


def key(host: Host) -> str:
    """What stays the same when a host gets its address."""
    return host.placeholder or host.address


def before(home: ClusterHome) -> Json:
    """What an operation is begun on, for its record: enough to take back what is recorded of it.

    :raises SealerError: the record is damaged.
    """
    recorded = state.load(home)
    if recorded is None:
        return None
    return {
        "status": recorded.status,
        "hosts": [key(entry.host) for entry in recorded.hosts],
        "image": recorded.image,
        "imageDigest": recorded.image_digest,
        "pending": _text_of(home.pending_clusterfile),
    }


def _text_of(path: Path) -> str | None:
    try:
        return path.read_text("utf-8")
    except (OSError, ValueError):
        return None


def undo_nothing(home: ClusterHome, journal: Journal) -> None:
    """An operation that ended before it changed anything leaves no unfinished one in anybody's way.

    It may be killed and run again at any point: the journal's word comes last.
    """
    unfinished = journal.state.unfinished
    if unfinished is None or not journal.state.untouched:
        return
    then: dict[str, Any] | None = unfinished.get("before")
    recorded = state.load(home)
    if then is None or recorded is None:
        journal.close()
        home.discard()
        return
    restored = replace(
        recorded,
        status=then["status"],
        hosts=tuple(entry for entry in recorded.hosts if key(entry.host) in then["hosts"]),
        image=then["image"],
        image_digest=then["imageDigest"],
    )
    state.save(home, restored)
    _put_back_pending(home, then)
    journal.end("abandoned")


def _put_back_pending(home: ClusterHome, then: dict[str, Any]) -> None:
    """What the operation before it was about, where that one has not ended; the only Clusterfile is never removed."""
    if text := then.get("pending"):
        write_atomically(home.pending_clusterfile, text.encode())
    elif home.clusterfile.exists():
        home.pending_clusterfile.unlink(missing_ok=True)


def tidy(home: ClusterHome, events: EventStream, *, force: bool = False) -> None:
    """Take back what a run left that was killed before it changed anything, or when all but its own files was gone.

    :param force: put a damaged journal aside: whoever deletes a cluster for good can do without.
    :raises SealerError: the record is damaged.
    """
    if not home.exists:
        # The state is written first and removed first: without it all else is litter.
        if not force:
            home.discard()
        return
    try:
        journal = Journal(home.journal)
    except SealerError as error:
        if not force:
            raise
        aside = home.journal.with_suffix(".damaged")
        with writing(home.journal):
            home.journal.rename(aside)
        events.warn(f"{error}; going on without it, as what is left to do is done whatever was done before")
        return
    try:
        undo_nothing(home, journal)
    except SealerError:
        if not force:  # the record is damaged: whoever salvages it says so
            raise
    finally:
        journal.close()
