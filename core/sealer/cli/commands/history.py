"""`sealer history`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sealer.cli.app import App, pass_app
from sealer.cli.commands.images import SHORT, human
from sealer.cli.completions import image_names
from sealer.cli.tables import table
from sealer.errors import InputError
from sealer.events import Json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sealer.image.history import HistoryStep
    from sealer.image.model import ClusterImage, Rootfs

_WIDEST = 60  # characters of an instruction
_HEADERS = ["layer", "created", "created by", "size", "comment"]


@click.command("history")
@click.argument("image", shell_complete=image_names)
@click.option("--no-trunc", is_flag=True, help="Show digests and instructions in full.")
@click.option("--platform", default="", metavar="OS/ARCH", help="Show only this platform.")
@click.option("-q", "--quiet", "--ids", "ids_only", is_flag=True, help="Print only the layers' digests.")
@pass_app
def command(app: App, image: str, no_trunc: bool, platform: str, ids_only: bool) -> None:
    """Show the instructions that made IMAGE, the last one first, and the size of what each added.

    Sizes are those of the compressed layers. Images that sealer built contain no times, so that the same input always
    gives the same image.
    """
    from sealer.image.history import read_steps  # noqa: PLC0415
    from sealer.image.store import Store  # noqa: PLC0415

    store = Store(app.settings.images)
    found = store.find(image)
    histories = [(rootfs, read_steps(store, rootfs)[::-1]) for rootfs in _chosen(found, platform)]

    def text() -> str:
        if ids_only:
            return "\n".join(step.layer.digest for _, steps in histories for step in steps if step.layer)
        tables = [table(_HEADERS, [_row(step, no_trunc) for step in steps], whole=no_trunc) for _, steps in histories]
        if len(tables) > 1:
            tables = [f"{rootfs.platform}\n{shown}" for (rootfs, _), shown in zip(histories, tables, strict=True)]
        return "\n\n".join(tables)

    value: dict[str, Json] = {
        "reference": image,
        "digest": found.digest,
        "rootfs": [_record(rootfs, steps) for rootfs, steps in histories],
    }
    app.show({"image": value}, text)


def _chosen(image: ClusterImage, platform: str) -> list[Rootfs]:
    chosen = [rootfs for rootfs in image.rootfs if f"{rootfs.platform}/".startswith(f"{platform}/" if platform else "")]
    if not chosen:
        have = ", ".join(rootfs.platform for rootfs in image.rootfs)
        raise InputError(f"the image has no rootfs for {platform}", where=image.reference, why=f"it has {have}")
    return chosen


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:SHORT]


def _row(step: HistoryStep, no_trunc: bool) -> list[str]:
    layer = step.layer
    digest = (layer.digest if no_trunc else _short(layer.digest)) if layer else ""
    made_by = _printable(step.created_by)
    if not no_trunc and len(made_by) > _WIDEST:
        made_by = made_by[: _WIDEST - 1] + "…"
    return [digest, _printable(step.created), made_by, human(layer.size if layer else 0), _printable(step.comment)]


def _printable(text: str) -> str:
    """One line that does nothing to a terminal: whoever made the image wrote it."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in _line(text))


def _line(text: str) -> str:
    return " ".join(text.split())


def _record(rootfs: Rootfs, steps: Sequence[HistoryStep]) -> dict[str, Json]:
    history: list[Json] = [
        {
            "createdBy": step.created_by,
            "created": step.created,
            "comment": step.comment,
            "layer": step.layer.digest if step.layer else "",
            "diffId": step.layer.diff_id if step.layer else "",
            "size": step.layer.size if step.layer else 0,
        }
        for step in steps
    ]
    return {"platform": rootfs.platform, "digest": rootfs.digest, "history": history}
