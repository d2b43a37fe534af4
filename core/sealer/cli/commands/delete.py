"""`sealer delete`."""

from __future__ import annotations

import re
from typing import Any

import click

from sealer.cli import cluster_options as options
from sealer.cli.app import App, pass_app

_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+|.*:")  # no name that a cluster is likely to have


@click.command("delete")
@options.name_argument
@options.leaving_options
@options.name_option
@options.file_option()
@click.option("-a", "--all", "everything", is_flag=True, help="Delete the whole cluster.")
@click.option(
    "--cluster-id",
    default="",
    metavar="ID",
    help="Delete the cluster with this id, whose record is lost, from -m and -n.",
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Skip hosts that cannot be reached, logged in to or cleaned.")
@click.option("--keep-layers", is_flag=True, help="Keep the image's layers on the hosts for the next run.")
@options.provider_option
@options.login_options
@options.run_options
@pass_app
def command(  # noqa: PLR0917  # click passes them by name
    app: App,
    /,
    cluster: str,
    masters: tuple[str, ...],
    nodes: tuple[str, ...],
    name: str,
    clusterfile: str,
    everything: bool,
    cluster_id: str,
    yes: bool,
    force: bool,
    keep_layers: bool,
    **more: Any,
) -> None:
    """Delete the cluster NAME, or with -m and -n remove hosts from it.

    NAME alone deletes the whole cluster, as --all does. Without NAME, give --all or hosts; the cluster is then the only
    one, or that of the Clusterfile (-f), which also says how to log in. Asks for confirmation. Hosts are addresses,
    names and ranges; hosts that a provider made have names like node-0.

    --force skips a host that is unreachable, refuses the login, or is not the machine that was recorded: the host is
    removed from the record, and nothing runs on it. Skipped hosts are listed. --force also deletes a cluster whose
    record is damaged.

    If the record of a cluster is lost, --all --cluster-id ID deletes it from the hosts of -m and -n, which must all
    have that id. The error about a host of another cluster shows its id.
    """
    from sealer.cli.clusterfiles import resolver  # noqa: PLC0415
    from sealer.cli.operations import operation, show_outcome  # noqa: PLC0415  # 100 ms
    from sealer.cli.requests import chosen_cluster, existing, leaving_hosts, lost_cluster, named_by_file  # noqa: PLC0415
    from sealer.cluster.desired import Flags  # noqa: PLC0415

    name = options.one_name(cluster, name)
    if cluster_id:
        if not everything or name:
            raise click.UsageError("--cluster-id deletes a whole cluster by its id: it needs --all, and no --name")
        login, run = options.split(more)
        flags = Flags(masters=options.joined(masters), nodes=options.joined(nodes), ssh=options.ssh(app, login))
        lost = lost_cluster(app, cluster_id, clusterfile, flags, force=force)
        with operation(app, lost.name, run, yes=yes, force=force, keep_layers=keep_layers) as lifecycle:
            outcome = lifecycle.delete_lost(lost, flags.ssh)
        show_outcome(app, outcome)
        return
    everything = _is_everything(cluster, everything, bool(masters or nodes))
    login, run = options.split(more)
    ssh = options.ssh(app, login)
    named, logins = named_by_file(app, clusterfile, name, ssh.config)
    cluster = chosen_cluster(existing(app), named)
    given = options.provider_fields(app, more)
    with operation(
        app, cluster, run, yes=yes, force=force, keep_layers=keep_layers, provider_options=given
    ) as lifecycle:
        if everything:
            outcome = lifecycle.delete(cluster, ssh, logins)
        else:
            leaving = leaving_hosts(
                lifecycle.recorded(cluster), options.joined(masters), options.joined(nodes), resolver(app, ssh.config)
            )
            outcome = lifecycle.scale_down(cluster, leaving, ssh, logins)
    show_outcome(app, outcome)


def _is_everything(cluster: str, everything: bool, hosts: bool) -> bool:
    """Whether the whole cluster is to be deleted: with `--all`, or by its name as a word and no hosts.

    `--name` and `-f` say where hosts are removed from; alone they delete nothing.

    :param cluster: the name that was given as a word.
    :param hosts: whether hosts are named.
    :raises click.UsageError: nothing says so, or two words say different things.
    """
    if everything and hosts:
        raise click.UsageError("--all deletes the whole cluster; leave it out to remove the hosts of -m and -n")
    if hosts or everything:
        return everything
    if not cluster:
        raise click.UsageError(
            "name what to delete: 'sealer delete NAME' or --all for a whole cluster, -m and -n for hosts of one"
        )
    if _ADDRESS.match(cluster):
        raise click.UsageError(f"'{cluster}' is an address: remove a host with -m {cluster} or -n {cluster}")
    return True
