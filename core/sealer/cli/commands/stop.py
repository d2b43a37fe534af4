"""`sealer stop`."""

from __future__ import annotations

from typing import Any

import click

from sealer.cli import cluster_options as options
from sealer.cli.app import App, pass_app


@click.command("stop")
@options.name_argument
@options.name_option
@options.picking_options
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@options.provider_option
@pass_app
def command(app: App, /, cluster: str, name: str, yes: bool, **given: Any) -> None:
    """Shut down the hosts that a provider made for the cluster NAME, nodes first.

    NAME may be left out where there is one cluster. Asks before it stops a host. Each host shuts down by itself; one
    that takes too long is switched off. Hosts keep their disks and addresses: 'sealer start' boots them again. An
    unfinished operation has to be completed first.
    """
    from sealer.cli.switching import switch  # noqa: PLC0415  # 100 ms that `--help` need not wait for

    switch(app, "stop", options.one_name(cluster, name), given, yes=yes)
