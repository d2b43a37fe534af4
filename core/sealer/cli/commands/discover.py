"""`sealer discover`."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import click

from sealer.cli.app import App, pass_app
from sealer.cli.tables import table
from sealer.errors import InputError
from sealer.events import Json

if TYPE_CHECKING:
    from sealer.image.discovery.model import Discovery, FoundImage

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("discover")
@click.argument("path", default=".", type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="Fail when a mention of an image could not be resolved.")
@click.option("--image-list", "lists", multiple=True, type=_FILE, metavar="FILE", help="More images, one a line.")
@click.option(
    "--image-list-with-auth",
    "lists_with_auth",
    multiple=True,
    type=_FILE,
    metavar="FILE",
    help="More images, by registry, with its credentials; YAML.",
)
@click.option(
    "--ignored-image-list",
    "ignored_lists",
    multiple=True,
    type=_FILE,
    metavar="FILE",
    help="Images to leave out, one a line; nginx is docker.io/library/nginx:latest.",
)
@click.option(
    "--values",
    multiple=True,
    metavar="[CHART=]FILE",
    help="Values for Helm charts: for the one at the path CHART, or for all.",
)
@click.option("--kube-version", default="", metavar="VERSION", help="The version of Kubernetes that charts are told.")
@click.option("--helm", type=_FILE, metavar="PROGRAM", help="Default: helm of PATH, or bin/helm below the directory.")
@click.option("--no-helm", is_flag=True, help="Run no helm; what charts would run is guessed.")
@pass_app
def command(
    app: App,
    *,
    path: Path,
    strict: bool,
    lists: tuple[Path, ...],
    lists_with_auth: tuple[Path, ...],
    ignored_lists: tuple[Path, ...],
    values: tuple[str, ...],
    kube_version: str,
    helm: Path | None,
    no_helm: bool,
) -> None:
    """List the container images that the files below PATH mention. Nothing is fetched.

    Every file is read whose content is YAML or JSON, whatever its name, and so are Helm charts and imageList files,
    but for those that a .sealerignore in PATH names.
    """
    from sealer.extension.image_readers import image_finder  # noqa: PLC0415  # loading all of this costs 100 ms
    from sealer.image.discovery import lists as image_lists  # noqa: PLC0415
    from sealer.image.discovery.discover import DiscoveryRequest, own_ignore  # noqa: PLC0415
    from sealer.image.discovery.files import DirectoryFiles  # noqa: PLC0415
    from sealer.image.discovery.readers import Readers  # noqa: PLC0415
    from sealer.image.discovery.rendering import Helm, find_helm  # noqa: PLC0415

    if not path.exists():
        raise InputError("there is nothing to look through", where=str(path), why="no such file or directory")
    if helm and no_helm:
        raise click.UsageError("--helm and --no-helm exclude each other.")
    files = DirectoryFiles(path)
    given = [(str(file), image_lists.given_images(file)) for file in lists]
    given += [(str(file), image_lists.images_of(image_lists.images_with_auth(file))) for file in lists_with_auth]
    request = DiscoveryRequest(
        ignore=own_ignore(files),
        ignored_images=frozenset().union(*(image_lists.ignored_images(file) for file in ignored_lists)),
        given=tuple(given),
    )
    program = None if no_helm else helm or find_helm(files.root)
    chosen = tuple(_values(path, text) for text in values)
    readers = Readers(Helm(program, kube_version) if program else None, chosen)
    found = image_finder(app.plugins)(files, readers, request)
    app.show(record(found), lambda: text(found))
    if strict:
        found.require_resolved()


def _values(root: Path, text: str) -> tuple[str, Path]:
    chart, equals, file = text.rpartition("=")
    if not Path(file).is_file():
        raise InputError(f"--values {text}", why=f"there is no file '{file}'")
    if not equals:
        return "", Path(file)
    if not (root / chart).exists():
        raise InputError(f"--values {text}", why=f"there is no chart '{chart}' in {root}")
    return str(PurePosixPath(chart)), Path(file)


def record(found: Discovery) -> dict[str, Json]:
    """What was found, for a program."""
    return {
        "images": [_image(one) for one in found.images],
        "unresolved": [
            {"text": one.text, "why": one.why, "file": one.place.file, "line": one.place.line, "rule": one.place.rule}
            for one in found.unresolved
        ],
        "ignored": [_image(one) for one in found.ignored],
    }


def _image(one: FoundImage) -> dict[str, Json]:
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
