"""`sealer load`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO

import click

from sealer.cli.app import App, pass_app
from sealer.errors import InputError
from sealer.events import Json

_STDIN = "-"
_PATH = click.Path(allow_dash=True)


@click.command("load")
@click.option(
    "-i",
    "--input",
    "source",
    default=_STDIN,
    type=_PATH,
    help="The file, or the directory of an OCI layout; - is standard input.",
)
@pass_app
def command(app: App, source: str) -> None:
    """Read images from an archive, or from standard input.

    The archive is one of `sealer save`, an OCI archive or layout of skopeo, buildah or podman, or a docker-archive;
    it may be compressed with gzip, bzip2, xz or zstd. An image that sealer did not build becomes a cluster image, with
    its files as rootfs, which FROM can use.
    """
    from sealer.image.archive import load  # noqa: PLC0415  # only save and load need it
    from sealer.image.store import Store  # noqa: PLC0415

    with app.watch(plugins=False):
        place = Path(source) if source != _STDIN else _standard_input()
        loaded = load(Store(app.settings.images), place, app.events.warn)
    records: list[Json] = [{"name": name, "digest": digest} for name, digest in loaded]
    app.show({"images": records}, lambda: "\n".join(f"loaded {name or '<none>'} {digest}" for name, digest in loaded))


def _standard_input() -> BinaryIO:
    if sys.stdin.isatty():
        raise InputError("there is no archive on a terminal", remedy="name a file with -i FILE, or use a pipe")
    return sys.stdin.buffer
