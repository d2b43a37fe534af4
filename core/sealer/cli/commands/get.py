"""`sealer get`."""

from __future__ import annotations

import click

from sealer.cli import cluster_options as options
from sealer.cli.app import App, pass_app


@click.group("get")
def command() -> None:
    """Print what is recorded of a cluster."""


def _choose(context: click.Context, _: click.Parameter, value: str) -> str:
    if value == "json":
        context.ensure_object(App).options.output = "json"
    return value


@command.command("clusterfile")
@options.name_argument
@options.name_option
@click.option(
    *("-o", "--output", "form"),
    type=click.Choice(["yaml", "json", "text"]),
    default="yaml",
    callback=_choose,
    expose_value=False,
    is_eager=True,
    help="YAML, which 'sealer apply' reads, or JSON for a program; text is YAML, too.",
)
@pass_app
def clusterfile(app: App, cluster: str, name: str) -> None:
    """Print the Clusterfile of a cluster, as 'sealer apply' reads it.

    It has the cluster's current hosts and fields, including later changes by 'scale-up' and 'delete', and its Plugin,
    Config and kubeadm documents. Applying it unchanged changes nothing. It has no passwords, passphrases or private
    keys, as these are not recorded.
    """
    from sealer.cli.requests import chosen_cluster, existing  # noqa: PLC0415  # 100 ms that `--help` need not wait for
    from sealer.clusterfile.writing import documents_of, write  # noqa: PLC0415

    lifecycle = existing(app)
    recorded = lifecycle.recorded(chosen_cluster(lifecycle, options.one_name(cluster, name)))
    if recorded.status not in ("running", "creating"):
        app.events.warn(
            f"The last operation on cluster '{recorded.name}' is not completed: this is the Clusterfile from before it"
        )
    found = recorded.clusterfile
    app.show(
        {"cluster": recorded.name, "documents": [*documents_of(found)]},
        lambda: (
            f"# The cluster {recorded.name}, as sealer recorded it; passwords and private keys are not recorded.\n"
            + write(found).rstrip("\n")
        ),
    )
