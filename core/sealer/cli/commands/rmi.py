"""`sealer rmi`."""

from __future__ import annotations

import click

from sealer.cli.app import App, pass_app
from sealer.cli.completions import image_names
from sealer.events import Json
from sealer.image.catalogue import Removal


@click.command("rmi")
@click.argument("images", nargs=-1, metavar="IMAGE...", shell_complete=image_names)
@click.option(
    "-f", "--force", is_flag=True, help="Also remove an image in use, or one given by digest that has several names."
)
@click.option("-p", "--prune", is_flag=True, help="Remove all images without a name, instead of IMAGE.")
@pass_app
def command(app: App, images: tuple[str, ...], *, force: bool, prune: bool) -> None:
    """Remove images: each is a name, a digest, or the beginning of one.

    Removing the last tag deletes the image. Layers that other images use are kept. An image that a recorded cluster
    needs, or that a running sealer reads, is only removed with --force; a process that reads it can finish.
    """
    from sealer.cluster.images import users_of_images  # noqa: PLC0415
    from sealer.image.store import Store  # noqa: PLC0415

    if prune == bool(images):
        raise click.UsageError("--prune takes no IMAGE." if prune else "Missing argument 'IMAGE...'.")
    store, clusters = Store(app.settings.images), app.settings.clusters
    if prune:
        done = store.remove_nameless(lambda: users_of_images(clusters)) if store.root.is_dir() else ()
    else:
        done = store.remove(*images, force=force, users=lambda: users_of_images(clusters))
    app.show({"removed": [_record(removal) for removal in done]}, lambda: "\n".join(filter(None, map(_text, done))))


def _record(removal: Removal) -> dict[str, Json]:
    return {"names": list(removal.names), "digest": removal.digest, "blobs": list(removal.blobs)}


def _text(removal: Removal) -> str:
    lines = [f"untagged {name}" for name in removal.names]
    return "\n".join([*lines, *([f"removed {removal.digest}"] if removal.digest else [])])
