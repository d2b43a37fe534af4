"""`sealer start`."""

from __future__ import annotations

from typing import Any

import click

from sealer.cli import cluster_options as options
from sealer.cli.app import App, pass_app


@click.command("start")
@options.name_argument
@options.name_option
@options.picking_options
@options.provider_option
@pass_app
def command(app: App, /, cluster: str, name: str, **given: Any) -> None:
    """Start the hosts that a provider made for the cluster NAME, and wait until they answer.

    NAME may be left out where there is one cluster. Masters start first; hosts that are running stay as they are. An
    operation on the cluster may be unfinished: start its hosts, then run its command again. Hosts that sealer did not
    make, and those of a provider that cannot start hosts, are refused.
    """
    from sealer.cli.switching import switch  # noqa: PLC0415  # 100 ms that `--help` need not wait for

    switch(app, "start", options.one_name(cluster, name), given, yes=True)
