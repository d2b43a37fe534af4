"""`sealer push`."""

from __future__ import annotations

from typing import Unpack

import click

from sealer.cli.app import App, pass_app
from sealer.cli.completions import image_names
from sealer.cli.registry_options import RegistryOptions, registries, registry_options
from sealer.errors import InputError


@click.command("push")
@click.argument("image", shell_complete=image_names)
@click.option(
    "--all", "everything", type=bool, is_flag=False, flag_value=True, default=True, metavar="[true]",
    help="Ignored; all platforms are pushed.",
)  # fmt: skip
@registry_options
@pass_app
def command(app: App, image: str, *, everything: bool, **options: Unpack[RegistryOptions]) -> None:
    """Push IMAGE to the registry of its name.

    Layers that the registry has already are not sent again. To continue an interrupted push, run the same command
    again.
    """
    from sealer.image.registry.push import push  # noqa: PLC0415  # only this command pushes
    from sealer.image.store import Store  # noqa: PLC0415

    if not everything:
        raise InputError("--all=false", why="an image is pushed whole, or its index would name what is not there")
    with app.watch(plugins=False):
        pushed = push(Store(app.settings.images), registries(app, options), app.events, image)
    app.show(
        {
            "image": {
                "name": pushed.target,
                "digest": pushed.digest,
                "size": pushed.size,
                "moved": pushed.moved,
                "sent": list(pushed.sent),
                "mounted": list(pushed.mounted),
            }
        },
        f"{pushed.target} {pushed.digest}",
    )
