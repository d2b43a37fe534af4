"""`sealer tag`."""

from __future__ import annotations

import click

from sealer.cli.app import App, pass_app
from sealer.cli.completions import image_names


@click.command("tag")
@click.argument("image", shell_complete=image_names)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@pass_app
def command(app: App, image: str, names: tuple[str, ...]) -> None:
    """Give IMAGE more names. If another image has the name, it loses it."""
    from sealer.image.store import Store  # noqa: PLC0415

    digest = Store(app.settings.images).tag(image, names)
    app.show({"image": {"names": list(names), "digest": digest}}, "")
