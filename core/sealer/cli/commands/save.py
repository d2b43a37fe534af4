"""`sealer save`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from sealer.cli.app import App, pass_app
from sealer.cli.completions import image_names
from sealer.errors import InputError
from sealer.events import Json

if TYPE_CHECKING:
    from sealer.image.archive import ArchiveFormat

_FORMATS: list[ArchiveFormat] = ["oci-archive", "oci-dir", "docker-archive"]
_STDOUT = "-"
_GLOBAL = ("json", "text")  # what the global --output takes
_PATH = click.Path(allow_dash=True)


@click.command("save")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...", shell_complete=image_names)
@click.option(
    "-o", "--output", "target", default=_STDOUT, type=_PATH, help="File or directory to write; - is standard output."
)
@click.option("--format", "form", type=click.Choice(_FORMATS), default="oci-archive", help="Format of the archive.")
@pass_app
def command(app: App, images: tuple[str, ...], target: str, form: ArchiveFormat) -> None:
    """Write images to an archive, or to standard output.

    An OCI archive is a tar that `sealer load` and skopeo read; oci-dir is the same as a directory. A docker-archive,
    which `docker load` reads, cannot contain the container images of a cluster image, or several platforms.
    """
    if target in _GLOBAL:
        raise InputError(
            f"-o {target} would write a file of that name",
            remedy=f"write `sealer --output {target} save -o FILE IMAGE`, or -o ./{target} for such a file",
        )
    from sealer.image.archive import save  # noqa: PLC0415  # only save and load need it
    from sealer.image.store import Store  # noqa: PLC0415

    place: Path | BinaryIO = Path(target) if target != _STDOUT else _standard_output(app, form)
    saved = save(Store(app.settings.images), images, place, form)
    if isinstance(place, Path):
        size = sum(path.stat().st_size for path in (place, *place.rglob("*")) if path.is_file())
        digests: list[Json] = [entry.digest for entry in saved]
        app.show({"file": target, "format": form, "size": size, "images": digests}, "")


def _standard_output(app: App, form: str) -> BinaryIO:
    if form == "oci-dir":
        raise InputError("a directory cannot go to standard output", remedy="name it with -o DIRECTORY")
    if sys.stdout.isatty():
        raise InputError("an archive is nothing for a terminal", remedy="name a file with -o FILE, or use a pipe")
    if app.output == "json":
        raise InputError(
            "standard output is taken by the archive", remedy="name a file with -o FILE, or leave out --output json"
        )
    return sys.stdout.buffer
