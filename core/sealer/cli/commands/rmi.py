"""`sealer rmi`."""

from __future__ import annotations

import click

from sealer.cli.app import App, pass_app
from sealer.events import Json
from sealer.image.catalogue import Removal


@click.command("rmi")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option(
    "-f", "--force", is_flag=True, help="Also an image in use, and one given by digest that has several names."
)
@pass_app
def command(app: App, images: tuple[str, ...], force: bool) -> None:
    """Remove images: each is a name, a digest, or the beginning of one.

    An image goes with its last name. What other images use stays. An image that a recorded cluster needs, or that a
    running sealer reads, is removed by --force alone; whoever reads it then still reads it to the end.
    """
    from sealer.cluster.images import users_of_images  # noqa: PLC0415
    from sealer.image.store import Store  # noqa: PLC0415

    clusters = app.settings.clusters
    done = Store(app.settings.images).remove(*images, force=force, users=lambda: users_of_images(clusters))
    app.show({"removed": [_record(removal) for removal in done]}, lambda: "\n".join(filter(None, map(_text, done))))


def _record(removal: Removal) -> dict[str, Json]:
    return {"names": list(removal.names), "digest": removal.digest, "blobs": list(removal.blobs)}


def _text(removal: Removal) -> str:
    lines = [f"untagged {name}" for name in removal.names]
    return "\n".join([*lines, *([f"removed {removal.digest}"] if removal.digest else [])])
