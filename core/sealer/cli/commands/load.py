"""`sealer load`."""

from __future__ import annotations

from pathlib import Path

import click

from sealer.cli.app import App, pass_app
from sealer.events import Json

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("load")
@click.option("-i", "--input", "source", required=True, type=_FILE, help="The file.")
@pass_app
def command(app: App, source: Path) -> None:
    """Read images from an archive that `sealer save` wrote, or from a docker-archive.

    A container image of a docker-archive becomes a cluster image, whose rootfs are its files: a base for FROM.
    """
    from sealer.image.archive import load  # noqa: PLC0415  # only save and load need it
    from sealer.image.store import Store  # noqa: PLC0415

    loaded = load(Store(app.settings.images), source)
    records: list[Json] = [{"name": name, "digest": digest} for name, digest in loaded]
    app.show({"images": records}, lambda: "\n".join(f"loaded {name or '<none>'} {digest}" for name, digest in loaded))
