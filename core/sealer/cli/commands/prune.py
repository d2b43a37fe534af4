"""`sealer prune`."""

from __future__ import annotations

from pathlib import Path

import click

from sealer.cli.app import App, pass_app
from sealer.cli.commands.images import human
from sealer.events import Json


@click.command("prune")
@pass_app
def command(app: App) -> None:
    """Remove unused data: images without a name, unused blobs, and what interrupted transfers left.

    Data that a recorded cluster needs, or that a running sealer reads or writes, is kept.
    """
    from sealer.cluster.images import users_of_images  # noqa: PLC0415
    from sealer.image.store import Store  # noqa: PLC0415

    store = Store(app.settings.images)
    before = _bytes(store.root)
    gone: list[Json] = []
    blobs: list[Json] = []
    if store.root.is_dir():
        for removal in store.remove_nameless(lambda: users_of_images(app.settings.clusters)):
            gone.append(removal.digest)
            blobs += removal.blobs
        blobs += store.prune()
    freed = max(before - _bytes(store.root), 0)
    text = f"{len(gone)} images and {len(blobs)} blobs removed, {human(freed)} freed"
    app.show({"images": gone, "blobs": blobs, "freed": freed}, text)


def _bytes(root: Path) -> int:
    """What the store's files hold."""
    total = 0
    for path in root.rglob("*"):
        try:
            total += path.lstat().st_size if path.is_file() else 0
        except FileNotFoundError:  # a running sealer's, and gone
            continue
    return total
