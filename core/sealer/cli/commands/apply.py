"""`sealer apply`."""

from __future__ import annotations

from typing import Any

import click

from sealer.cli import cluster_options as options
from sealer.cli.app import App, pass_app
from sealer.cli.fetching import fetch_options, fetching
from sealer.cli.typed import as_text


@click.command("apply")
@options.file_argument
@options.file_option("Clusterfile; default: the one of this directory.")
@options.host_options
@options.name_option
@click.option(
    "-e",
    "--env",
    multiple=True,
    callback=as_text,
    metavar="KEY=VALUE",
    help="Overrides the Clusterfile's; may be repeated.",
)
@options.driver_options("Overrides the Clusterfile's.")
@options.login_options
@options.run_options
@fetch_options
@click.option("-y", "--yes", is_flag=True, help="Do not ask before removing hosts or using this machine.")
@click.option("--force", is_flag=True, help="Skip removed hosts that cannot be reached, logged in to or cleaned.")
@pass_app
def command(  # noqa: PLR0917  # click passes them by name
    app: App,
    /,
    file: str,
    clusterfile: str,
    masters: tuple[str, ...],
    nodes: tuple[str, ...],
    name: str,
    env: tuple[str, ...],
    yes: bool,
    force: bool,
    **more: Any,
) -> None:
    """Create or change a cluster to match a Clusterfile: create it, add hosts, remove hosts.

    Shows the changes first, and asks before it removes a host. If nothing differs, it changes nothing.
    """
    from sealer.cli.operations import operation, show_outcome  # noqa: PLC0415  # 100 ms that `--help` need not wait for
    from sealer.cli.requests import cluster_name, cluster_request  # noqa: PLC0415
    from sealer.cluster.desired import Flags  # noqa: PLC0415

    clusterfile = options.one_file(file, clusterfile)
    login, run = options.split(more)
    flags = Flags(
        name=name,
        masters=options.joined(masters),
        nodes=options.joined(nodes),
        ssh=options.ssh(app, login),
        env=env,
        **options.driver_flags(app, more),
    )
    desired = cluster_request(app, clusterfile, flags, fetching(app, more))
    with operation(app, cluster_name(desired), run, yes=yes, force=force) as lifecycle:
        outcome = lifecycle.apply(desired)
    show_outcome(app, outcome)
