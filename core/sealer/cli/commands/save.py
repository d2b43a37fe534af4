"""`sealer save`."""

from __future__ import annotations

from pathlib import Path

import click

from sealer.cli.app import App, pass_app

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("save")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option("-o", "--output", "target", required=True, type=_FILE, help="The file.")
@pass_app
def command(app: App, images: tuple[str, ...], target: Path) -> None:
    """Write images to an OCI archive, a tar that `sealer load` and skopeo read."""
    from sealer.image.archive import save  # noqa: PLC0415  # only save and load need it
    from sealer.image.store import Store  # noqa: PLC0415

    saved = save(Store(app.settings.images), images, target)
    size = target.stat().st_size
    app.show({"file": str(target), "size": size, "images": [entry.digest for entry in saved]}, "")
