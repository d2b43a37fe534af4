"""`sealer status`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sealer.cli import cluster_options as options
from sealer.cli.app import App, pass_app
from sealer.cli.tables import some, table

if TYPE_CHECKING:
    from sealer.extension.operation import Recorded, RecordedHost


@click.command("status")
@options.name_option
@pass_app
def command(app: App, name: str) -> None:
    """Show the clusters of this machine, or with --name the hosts of one.

    What is shown is what sealer recorded; no host is asked.
    """
    from sealer.cli.operations import cluster_record  # noqa: PLC0415  # 100 ms that `--help` need not wait for
    from sealer.cli.requests import existing  # noqa: PLC0415

    lifecycle = existing(app)
    if name:
        recorded = lifecycle.recorded(name)
        app.show(cluster_record(recorded), lambda: _one(recorded))
        return
    clusters = [lifecycle.recorded(known) for known in lifecycle.names()]
    app.show({"clusters": [cluster_record(recorded) for recorded in clusters]}, lambda: _all(clusters))


def _all(clusters: list[Recorded]) -> str:
    if not clusters:
        return "There is no cluster. 'sealer run IMAGE' makes one."
    rows = [
        (
            recorded.name,
            recorded.status,
            str(sum(entry.host.is_master for entry in recorded.hosts)),
            str(sum(not entry.host.is_master for entry in recorded.hosts)),
            recorded.image,
            some(sorted(recorded.applications)),
        )
        for recorded in clusters
    ]
    return table(("name", "status", "masters", "nodes", "image", "applications"), rows)


def _one(recorded: Recorded) -> str:
    lines = [f"name:          {recorded.name}", f"status:        {recorded.status}", f"image:         {recorded.image}"]
    if recorded.applications:
        lines.append(f"applications:  {', '.join(sorted(recorded.applications))}")
    rows = [
        (entry.host.id, ", ".join(entry.host.roles), entry.host.placeholder, _state(entry)) for entry in recorded.hosts
    ]
    return "\n".join([*lines, "", table(("host", "roles", "made as", "state"), rows)])


def _state(entry: RecordedHost) -> str:
    return "member" if entry.member else "joining or leaving"
