"""`sealer logout`."""

from __future__ import annotations

from pathlib import Path

import click

from sealer.cli.app import App, pass_app

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("logout")
@click.argument("registry", default="")
@click.option("--authfile", type=_FILE, help="File with credentials. Default: docker's.")
@pass_app
def command(app: App, registry: str, *, authfile: Path | None) -> None:
    """Remove the stored credentials of REGISTRY."""
    from sealer.image.registry.auth_files import forget  # noqa: PLC0415
    from sealer.image.registry.credentials import AuthFiles  # noqa: PLC0415
    from sealer.image.registry.names import DOCKER_HUB, registry_of  # noqa: PLC0415

    name = registry_of(registry or app.settings.registry or DOCKER_HUB)
    files = AuthFiles.of(authfile)
    removed = forget(files.written, name)
    for other in files.files[1:]:
        if other.find(name):
            app.events.warn(f"{other.path} has a password for {name} too; it was left there")
    app.show({"registry": name, "removed": removed}, f"signed out of {name}" if removed else f"not signed in to {name}")
