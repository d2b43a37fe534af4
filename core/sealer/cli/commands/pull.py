"""`sealer pull`."""

from __future__ import annotations

from typing import Unpack

import click

from sealer.cli.app import App, pass_app
from sealer.cli.completions import image_names
from sealer.cli.registry_options import RegistryOptions, registries, registry_options
from sealer.errors import ImageNotFoundError
from sealer.events import Json


@click.command("pull")
@click.argument("image", shell_complete=image_names)
@click.option(
    "--platform", "platforms", multiple=True, metavar="OS/ARCH",
    help="Pull only these platforms; comma-separated, may be repeated. Default: all platforms of the image.",
)  # fmt: skip
@click.option(
    "--policy", type=click.Choice(["always", "ifnewer", "missing", "never"]), default="always",
    help="missing: only if it is not in the local store. never: fail if it is not there. Default: always.",
)  # fmt: skip
@registry_options
@pass_app
def command(
    app: App, image: str, *, platforms: tuple[str, ...], policy: str, **options: Unpack[RegistryOptions]
) -> None:
    """Pull IMAGE from its registry, or from a mirror of it.

    What is here already is not fetched again. A pull that was interrupted, or killed, is continued by the same command.
    """
    from sealer.image.registry.pull import pull  # noqa: PLC0415  # only this command pulls
    from sealer.image.store import Store  # noqa: PLC0415

    store = Store(app.settings.images)
    if policy in ("missing", "never"):
        try:
            digest = store.find(image).digest
        except ImageNotFoundError:
            if policy == "never":
                raise
        else:
            record: dict[str, Json] = {
                "name": image,
                "source": "",
                "digest": digest,
                "changed": False,
                "size": 0,
                "moved": 0,
            }
            app.show({"image": record}, f"{image} {digest}")
            return
    wanted = [word.strip() for text in platforms for word in text.split(",")]
    with app.watch(plugins=False):
        pulled = pull(store, registries(app, options), app.events, image, wanted)
    app.show(
        {
            "image": {
                "name": pulled.name,
                "source": pulled.source,
                "digest": pulled.digest,
                "changed": pulled.changed,
                "size": pulled.size,
                "moved": pulled.moved,
            }
        },
        f"{pulled.name or pulled.source} {pulled.digest}" + ("" if pulled.changed else " (it was here already)"),
    )
