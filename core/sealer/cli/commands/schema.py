"""`sealer schema`."""

from __future__ import annotations

import json

import click

from sealer.cli.app import App, pass_app
from sealer.clusterfile import schema


@click.command("schema")
@pass_app
def command(app: App) -> None:
    """Print the JSON Schema of a Clusterfile, for editors.

    With the YAML language server: sealer schema > clusterfile.json, and as the Clusterfile's first line
    "# yaml-language-server: $schema=clusterfile.json".
    """
    made = schema.schema(app.plugins.plugin_types())
    app.show({"schema": made}, lambda: json.dumps(made, indent=2))
