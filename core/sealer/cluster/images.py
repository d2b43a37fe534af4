"""Which images the recorded clusters cannot do without."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sealer.cluster import state
from sealer.cluster.home import ClusterHome


def users_of_images(clusters: Path) -> Mapping[str, Sequence[str]]:
    """The clusters that need an image, in words, by the image's digest.

    :param clusters: where they are recorded.
    :raises SealerError: what is recorded of one cannot be read.
    """
    users: dict[str, list[str]] = {}
    homes = sorted(clusters.iterdir()) if clusters.is_dir() else []
    for directory in homes:
        recorded = state.load_state(ClusterHome(directory))
        if recorded is None:
            continue
        needed = {recorded.image_digest, recorded.pending_image, *recorded.applications.values()}
        for digest in sorted(needed - {""}):
            users.setdefault(digest, []).append(f"the cluster '{recorded.name}' ({recorded.status})")
    return users
