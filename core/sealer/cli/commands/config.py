"""`sealer config`."""

from __future__ import annotations

import os

import click

from sealer.cli.app import App, pass_app
from sealer.cli.formats import format_option
from sealer.cli.tables import table
from sealer.events import Json


@click.command("config")
@format_option("values", "Value")
@pass_app
def command(app: App) -> None:
    """Show the defaults of options, and where each is set.

    Set them in config.yaml in sealer's home directory, ~/.sealer by default; the keys are user, key, parallel, provider
    and registry. A variable such as SEALER_USER overrides the file; the command line and a Clusterfile override both.
    """
    from sealer.defaults import FILE, VARIABLES, Default, defaults  # noqa: PLC0415
    from sealer.image.registry.names import DOCKER_HUB  # noqa: PLC0415
    from sealer.settings import DEFAULT_PARALLEL_HOSTS, DEFAULT_PROVIDER  # noqa: PLC0415

    built_in = {
        "user": "root",
        "parallel": str(DEFAULT_PARALLEL_HOSTS),
        "provider": DEFAULT_PROVIDER,
        "registry": DOCKER_HUB,
    }
    home = app.settings.home
    found = defaults(home, os.environ)
    values = {name: found.get(name, Default(built_in.get(name, ""), "built in")) for name in VARIABLES}
    records: list[Json] = [{"name": name, "value": it.value, "source": it.source} for name, it in values.items()]
    rows = [(name, it.value or "-", it.source) for name, it in values.items()]
    app.show({"file": str(home / FILE), "values": records}, lambda: table(("name", "value", "source"), rows))
