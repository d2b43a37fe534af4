"""`sealer inspect`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from sealer.cli.app import App, pass_app
from sealer.cli.completions import image_names
from sealer.cli.formats import format_option
from sealer.cli.terminal import visible_json
from sealer.errors import InputError
from sealer.events import Json

if TYPE_CHECKING:
    from sealer.image.model import ContainerImage, Rootfs
    from sealer.image.store import Store


@click.command("inspect")
@click.argument("image", shell_complete=image_names)
@click.option("--platform", metavar="OS/ARCH", default="", help="Show only this platform.")
@click.option("-t", "--type", type=click.Choice(["image"]), expose_value=False, help="Ignored; there are only images.")
@format_option("image", "Digest")
@pass_app
def command(app: App, image: str, *, platform: str) -> None:
    """Show what IMAGE is made of: its layers, environment, labels and commands, and the container images inside."""
    from sealer.image.store import Store  # noqa: PLC0415

    store = Store(app.settings.images)
    found = store.find(image)
    rootfs = [one for one in found.rootfs if _is_for(one.platform, platform)]
    if not rootfs:
        have = ", ".join(one.platform for one in found.rootfs)
        raise InputError(f"the image has nothing for {platform}", where=image, why=f"it has {have}")
    value: dict[str, Json] = {
        "reference": image,
        "names": list(store.catalogue().names(found.digest)),
        "digest": found.digest,
        "type": found.first.type,
        "runtime": found.first.runtime,
        "rootfs": [_rootfs(store, one) for one in rootfs],
        "containerImages": [_container(store, one) for one in found.containers if _is_for(one.platform, platform)],
    }
    app.show({"image": value}, lambda: visible_json(json.dumps(value, indent=2, ensure_ascii=False)))


def _is_for(have: str, wanted: str) -> bool:
    return not wanted or f"{have}/".startswith(f"{wanted}/")


def _rootfs(store: Store, rootfs: Rootfs) -> dict[str, Json]:
    from sealer.image.oci_image import read_history  # noqa: PLC0415

    made_by = [text for text, empty in read_history(store, rootfs.digest) if not empty]
    layers: list[Json] = [
        {
            "digest": layer.digest,
            "diffId": layer.diff_id,
            "size": layer.size,
            "createdBy": made_by[number] if number < len(made_by) else "",
        }
        for number, layer in enumerate(rootfs.layers)
    ]
    return {
        "platform": rootfs.platform,
        "digest": rootfs.digest,
        "env": dict(rootfs.env),
        "labels": dict(rootfs.labels),
        "cmds": list(rootfs.cmds),
        "applications": [
            {"name": app.name, "type": app.type, "role": app.role, "launched": app.name in rootfs.applications.launch}
            for app in rootfs.applications.by_name.values()
        ],
        "layers": layers,
    }


def _container(store: Store, container: ContainerImage) -> dict[str, Json]:
    from sealer.image.containers import container_size  # noqa: PLC0415

    places: list[Json] = [{"file": place.file, "line": place.line, "rule": place.rule} for place in container.found]
    return {
        "image": container.reference,
        "platform": container.platform,
        "digest": container.manifest.digest,
        "size": container_size(store, container),
        "index": container.index.digest if container.index else "",
        "converted": container.converted,
        "found": places,
    }
