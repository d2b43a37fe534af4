"""`sealer check`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from sealer.cli import cluster_options as options
from sealer.cli.app import App, pass_app
from sealer.cli.formats import format_option

if TYPE_CHECKING:
    from sealer.cluster.health import Health

DEFAULT_SECONDS = 120


@click.command("check")
@options.name_argument
@options.name_option
@click.option(
    "--timeout",
    type=click.IntRange(1),
    default=DEFAULT_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="Checks that take longer are reported as unknown.",
)
@click.option("--parallel", type=click.IntRange(1), metavar="N", help="Hosts in parallel; default 32.")
@format_option("checks", "State")
@options.login_options
@pass_app
def command(app: App, /, cluster: str, name: str, timeout: int, parallel: int | None, **login: Any) -> None:
    """Check the health of a cluster.

    Checks that every host is reachable, is the machine that was recorded, and is a ready node, then runs the checks of
    the image, the runtime, the registry and all plugins. Changes and records nothing. All checks run; if one fails, the
    exit status is 1.
    """
    import dataclasses  # noqa: PLC0415  # what `--help` need not wait for

    from sealer.cli.health import as_json, as_text, summary  # noqa: PLC0415
    from sealer.cli.interrupts import interrupts  # noqa: PLC0415
    from sealer.cli.requests import chosen_cluster  # noqa: PLC0415
    from sealer.cluster.cancellation import Cancellation  # noqa: PLC0415
    from sealer.cluster.lifecycle import Lifecycle  # noqa: PLC0415

    cancellation = Cancellation()
    settings = dataclasses.replace(app.settings, parallel_hosts=parallel) if parallel else app.settings
    lifecycle = Lifecycle(settings, app.plugins, app.events, cancellation)
    cluster = chosen_cluster(lifecycle, options.one_name(cluster, name))
    ssh = options.ssh(app, options.login(login))
    with interrupts(cancellation.request, app.events):
        health = lifecycle.check(cluster, float(timeout), ssh)
    app.show(as_json(health), lambda: _text(app, health, as_text(health), summary(health)))
    if not health.well:
        _not_well(health, summary(health))


def _text(app: App, health: Health, table: str, words: str) -> str:
    if not health.well:
        return table
    well = f"Cluster {health.cluster} is healthy: {words}."
    return well if app.options.quiet else f"{table}\n\n{well}"


def _not_well(health: Health, words: str) -> None:
    from sealer.errors import SealerError  # noqa: PLC0415

    remedy = f"Fix what is named, then run `sealer check --name {health.cluster}` again."
    raise SealerError(f"Cluster {health.cluster} is unhealthy", why=words, remedy=remedy)
