"""`sealer scale-up`, also called `join`."""

from __future__ import annotations

from typing import Any

import click

from sealer.cli import cluster_options as options
from sealer.cli.app import App, pass_app


@click.command("scale-up")
@options.host_options
@options.name_option
@options.provider_option
@options.login_options
@options.run_options
@pass_app
def command(app: App, /, masters: tuple[str, ...], nodes: tuple[str, ...], name: str, **more: Any) -> None:
    """Add hosts to a cluster.

    Hosts are addresses, names and ranges; with a provider that makes hosts, they are how many to add.
    """
    from sealer.cli.clusterfiles import resolver  # noqa: PLC0415
    from sealer.cli.operations import operation, show_outcome  # noqa: PLC0415  # 100 ms
    from sealer.cli.requests import chosen_cluster, existing, further_hosts  # noqa: PLC0415
    from sealer.cluster.desired import Flags  # noqa: PLC0415

    login, run = options.split(more)
    flags = Flags(masters=options.joined(masters), nodes=options.joined(nodes), ssh=options.ssh(app, login))
    cluster = chosen_cluster(existing(app), name)
    with operation(app, cluster, run, provider_options=options.provider_fields(app, more)) as lifecycle:
        hosts, counts = further_hosts(lifecycle, cluster, flags, resolver(app))
        outcome = lifecycle.scale_up(cluster, hosts, counts, flags.ssh)
    show_outcome(app, outcome)
