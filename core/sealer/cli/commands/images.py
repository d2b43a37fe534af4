"""`sealer images`."""

from __future__ import annotations

import click

from sealer.cli.app import App, pass_app
from sealer.cli.completions import image_names
from sealer.cli.formats import format_option
from sealer.cli.tables import table
from sealer.events import Json
from sealer.image.catalogue import StoredImage
from sealer.image.reference import Reference

_UNITS = ("B", "kB", "MB", "GB", "TB")
SHORT = 12


@click.command("images")
@click.argument("name", default="", shell_complete=image_names)
@click.option("-q", "--quiet", "--ids", "ids_only", is_flag=True, help="Print only digests.")
@click.option("--digests", is_flag=True, help="Also show the digests.")
@click.option("--no-trunc", is_flag=True, help="Do not shorten the ids.")
@click.option("-n", "--noheading", is_flag=True, help="Do not print the header.")
@click.option("-a", "--all", is_flag=True, expose_value=False, help="Ignored; all images are listed.")
@format_option("images", "Name")
@click.option("--json", "as_json", is_flag=True, help="The same as --output json.")
@pass_app
def command(
    app: App, *, name: str, ids_only: bool, digests: bool, no_trunc: bool, noheading: bool, as_json: bool
) -> None:
    """List the images of this machine; with NAME only those with that name, or with that name and tag.

    If no image has that name, the exit status is 2; with -q or --json the list is empty.
    """
    from sealer.image.store import Store  # noqa: PLC0415

    wanted = Reference.parse(name) if name else None
    found = [image for image in Store(app.settings.images).list() if _is_wanted(image, wanted, name)]
    if name and not found and not ids_only and not as_json and app.output == "text":
        Store(app.settings.images).descriptor(name)  # says that there is none, and which names are near
    for image in found:
        if image.problem:
            app.events.warn(f"{image.reference or image.digest}: {image.problem}")

    def text() -> str:
        if ids_only:
            return "\n".join(dict.fromkeys(image.digest for image in found))
        columns = ["name", "tag", *(["digest"] if digests else []), "id", "platform", "size", "created"]
        lines = table(
            columns, [_row(image, digests, no_trunc) for image in found], whole=no_trunc or digests
        ).splitlines()
        return "\n".join(lines[1:] if noheading else lines)

    if as_json:
        app.options.output = "json"
    app.show({"images": [_record(image) for image in found]}, text)


def _is_wanted(image: StoredImage, wanted: Reference | None, text: str) -> bool:
    if wanted is None:
        return True
    if not image.reference:
        return False
    own = Reference.parse(image.reference)
    has_tag = text.removeprefix(wanted.name).startswith(":")
    return own.name == wanted.name and (not has_tag or own.tag == wanted.tag) and wanted.digest in ("", image.digest)


def _row(image: StoredImage, digests: bool, whole: bool) -> list[str]:
    name, tag = _name(image)
    digest = [image.digest] if digests else []
    identity = image.digest.removeprefix("sha256:")[: None if whole else SHORT]
    about = [identity, ",".join(image.platforms), human(image.size), image.created]
    return [name or "<none>", tag or "<none>", *digest, *about]


def _name(image: StoredImage) -> tuple[str, str]:
    if not image.reference:
        return "", ""
    reference = Reference.parse(image.reference)
    return reference.name, reference.tag


def _record(image: StoredImage) -> dict[str, Json]:
    name, tag = _name(image)
    return {
        "name": name,
        "tag": tag,
        "digest": image.digest,
        "platforms": list(image.platforms),
        "size": image.size,
        "created": image.created,
        "problem": image.problem,
    }


def human(size: float) -> str:
    """Bytes as a person reads them: `12.3 MB`."""
    for unit in _UNITS:
        if size < 1000 or unit == _UNITS[-1]:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError("the last unit takes everything")
