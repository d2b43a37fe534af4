"""`sealer version`."""

from __future__ import annotations

import click

from sealer.cli import version
from sealer.cli.app import App, pass_app


@click.command("version")
@click.option("--short", is_flag=True, help="Print only the version number.")
@pass_app
def command(app: App, short: bool) -> None:
    """Show the version."""
    app.show(version.record(), version.text(short))
