"""`sealer rmi`."""

from __future__ import annotations

import click

from sealer.cli.app import App, pass_app
from sealer.events import Json
from sealer.image.catalogue import Removal


@click.command("rmi")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option("-f", "--force", is_flag=True, help="Remove an image given by its digest with all its names.")
@pass_app
def command(app: App, images: tuple[str, ...], force: bool) -> None:
    """Remove images: each is a name, a digest, or the beginning of one.

    An image goes with its last name. What other images use stays.
    """
    from sealer.image.store import Store  # noqa: PLC0415

    store = Store(app.settings.images)
    for image in dict.fromkeys(images):
        store.descriptor(image)  # all of them must be there before the first one goes
    done = [store.remove(image, force=force) for image in dict.fromkeys(images)]
    app.show({"removed": [_record(removal) for removal in done]}, lambda: "\n".join(filter(None, map(_text, done))))


def _record(removal: Removal) -> dict[str, Json]:
    return {"names": list(removal.names), "digest": removal.digest, "blobs": list(removal.blobs)}


def _text(removal: Removal) -> str:
    lines = [f"untagged {name}" for name in removal.names]
    return "\n".join([*lines, *([f"removed {removal.digest}"] if removal.digest else [])])
