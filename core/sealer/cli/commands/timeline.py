"""`sealer timeline`."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from sealer.cli import cluster_options as options
from sealer.cli.app import App, pass_app
from sealer.cli.formats import format_option
from sealer.cli.typed import as_text, named


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The ids of the runs that are recorded."""
    from sealer.cluster.home import ClusterHome  # noqa: PLC0415
    from sealer.cluster.runs import runs_of  # noqa: PLC0415
    from sealer.settings import Settings  # noqa: PLC0415

    clusters = Settings.from_environment().clusters
    name = str(ctx.params.get("name") or "")
    homes = [ClusterHome(path) for path in sorted(clusters.glob(name or "*")) if ClusterHome(path).exists]
    runs = [run for home in homes for run in runs_of(home)]
    return [CompletionItem(run.id, help=run.summary) for run in runs if run.id.startswith(incomplete)]


@click.command("timeline")
@click.argument("run", default="", metavar="[RUN]", callback=as_text, shell_complete=_complete)
@options.name_option
@click.option("--list", "listed", is_flag=True, help="List recorded runs.")
@click.option("--hosts", is_flag=True, help="Show a bar for each host of a step.")
@click.option(
    "--html", type=options.A_FILE, default="", callback=named, metavar="FILE", help="Write a page for a browser."
)
@format_option("runs", "Run")
@pass_app
def command(  # noqa: PLR0917  # click passes them by name
    app: App, /, run: str, name: str, listed: bool, hosts: bool, html: str
) -> None:
    """Show how long the steps of a run took: the last run on a cluster, or RUN.

    Shows each step from its start to its end. Full bars are the critical path, the chain of steps that the run waited
    for. A run that continued another one is a separate run. Does not connect to hosts. --html FILE writes the chart to
    a self-contained page.
    """
    from sealer.cli.requests import chosen_cluster, existing  # noqa: PLC0415  # `--help` need not wait for them
    from sealer.cli.timelines import as_json, as_text, run_as_json, runs_as_text  # noqa: PLC0415
    from sealer.cluster.home import ClusterHome  # noqa: PLC0415
    from sealer.cluster.runs import events_of, events_path, run_of, runs_of  # noqa: PLC0415
    from sealer.cluster.timeline import timeline  # noqa: PLC0415

    lifecycle = existing(app)
    cluster = chosen_cluster(lifecycle, name)
    lifecycle.recorded(cluster)  # one that there is
    home = ClusterHome.of(lifecycle.settings.clusters, cluster)
    if listed:
        runs = runs_of(home)
        app.show({"cluster": cluster, "runs": [run_as_json(one) for one in runs]}, lambda: runs_as_text(runs))
        return
    chosen = run_of(home, run)
    found = timeline(chosen, events_of(events_path(home, chosen.id)))
    if html:
        from sealer.cli.timeline_page import write  # noqa: PLC0415

        write(html, cluster, found)
        app.show({**as_json(cluster, found), "file": html}, f"{html} is written")
        return
    app.show(as_json(cluster, found), lambda: as_text(found, hosts=hosts))
