"""`sealer discover`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from sealer.cli.app import App, pass_app
from sealer.cli.discovery_options import (
    DiscoveryOptions,
    discovery_options,
    discovery_request,
    file_readers,
    lists_with_auth,
)
from sealer.cli.tables import table
from sealer.errors import InputError
from sealer.events import Json

if TYPE_CHECKING:
    from sealer.image.discovery.model import Discovery, FoundImage, Unresolved


@click.command("discover")
@click.argument("path", default=".", type=click.Path(path_type=Path))
@discovery_options
@pass_app
def command(app: App, *, path: Path, **options: Unpack[DiscoveryOptions]) -> None:
    """List the container images that the files below PATH mention. Nothing is fetched.

    Every file is read whose content is YAML or JSON, whatever its name, and so are Helm charts and imageList files,
    but for those that a .sealerignore in PATH names.
    """
    from sealer.extension.image_readers import image_finder  # noqa: PLC0415  # loading all of this costs 100 ms
    from sealer.image.discovery.files import DirectoryFiles  # noqa: PLC0415

    if not path.exists():
        raise InputError("there is nothing to look through", where=str(path), why="no such file or directory")
    files = DirectoryFiles(path)
    request = discovery_request(options, lists_with_auth(options))
    found = image_finder(app.plugins)(files, file_readers(options, files.root), request)
    app.show(record(found), lambda: text(found))
    if options["strict"]:
        found.require_resolved(shown=True)


def record(found: Discovery) -> dict[str, Json]:
    """What was found, for a program."""
    return {
        "images": [found_image(one) for one in found.images],
        "unresolved": [unresolved(one) for one in found.unresolved],
        "ignored": [found_image(one) for one in found.ignored],
    }


def unresolved(one: Unresolved) -> dict[str, Json]:
    """A mention that could not be resolved, for a program."""
    place = one.place
    return {"text": one.text, "why": one.why, "file": place.file, "line": place.line, "rule": place.rule}


def found_image(one: FoundImage) -> dict[str, Json]:
    """An image that was found, for a program."""
    places: list[Json] = [{"file": it.file, "line": it.line, "rule": it.rule} for it in one.found]
    return {"image": one.image, "guess": one.guess, "found": places}


def text(found: Discovery) -> str:
    """What was found, for a person: a line a place."""
    rows = [
        (one.image if not number else "", str(place), f"{place.rule} (a guess)" if one.guess else place.rule)
        for one in found.images
        for number, place in enumerate(one.found)
    ]
    parts = [table(("image", "found in", "rule"), rows)] if rows else ["No file mentions an image."]
    if found.unresolved:
        parts.append("Not resolved:\n" + "\n".join(f"  {one}" for one in found.unresolved))
    if found.ignored:
        parts.append("Ignored:\n" + "\n".join(f"  {one.image}" for one in found.ignored))
    return "\n\n".join(parts)
