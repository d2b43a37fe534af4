"""`sealer run`."""

from __future__ import annotations

from typing import Any

import click

from sealer.cli import cluster_options as options
from sealer.cli.app import App, pass_app
from sealer.cli.completions import image_names
from sealer.cli.fetching import fetch_options, fetching
from sealer.cli.typed import as_text, named


@click.command("run")
@click.argument("image", required=False, default="", shell_complete=image_names)
@options.host_options
@options.name_option
@options.file_option()
@click.option(
    "-e",
    "--env",
    multiple=True,
    callback=as_text,
    metavar="KEY=VALUE",
    help="Exported to all scripts on the hosts.",
)
@click.option(
    "--cmds",
    multiple=True,
    callback=as_text,
    metavar="COMMAND",
    help="Run this instead of the image's CMDs; may be repeated.",
)
@click.option(
    "--apps",
    multiple=True,
    callback=as_text,
    metavar="NAME",
    help="Applications to install instead of LAUNCH's; '' for none.",
)
@click.option(
    "--cmd-args",
    multiple=True,
    callback=as_text,
    metavar="KEY=VALUE",
    help="Overrides the image's ARGs; may be repeated.",
)
@options.driver_options("Provider that creates the hosts, e.g. NSPAWN; default: hosts are given by address.")
@click.option(
    "--kubeconfig",
    type=options.A_FILE,
    default="",
    callback=named,
    metavar="FILE",
    help="Install an application image onto an existing Kubernetes cluster, one that sealer did not make.",
)
@click.option(
    "--no-publish",
    is_flag=True,
    help="With --kubeconfig: do not push the application's images; the hosts get them elsewhere.",
)
@options.login_options
@options.run_options
@fetch_options
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@pass_app
def command(  # noqa: PLR0917  # click passes them by name
    app: App,
    /,
    image: str,
    masters: tuple[str, ...],
    nodes: tuple[str, ...],
    name: str,
    clusterfile: str,
    env: tuple[str, ...],
    cmds: tuple[str, ...],
    apps: tuple[str, ...],
    cmd_args: tuple[str, ...],
    kubeconfig: str,
    no_publish: bool,
    yes: bool,
    **more: Any,
) -> None:
    """Turn hosts into a cluster, or install an application image onto one.

    Hosts are addresses, names and ranges, optionally with a port: -m 192.168.0.2,192.168.0.3:2222
    -n 192.168.0.5-192.168.0.9. With a provider that makes hosts, give counts. Without hosts, sealer asks whether to use
    this machine as the master. To continue an interrupted run, run the same command again.

    With --kubeconfig, an application image is installed onto a Kubernetes cluster that sealer did not make. Its CMDs
    run on this machine, or on the first host of --masters.
    """
    from sealer.cli.operations import operation, show_outcome  # noqa: PLC0415  # 100 ms that `--help` need not wait for
    from sealer.cli.requests import cluster_name, cluster_request  # noqa: PLC0415
    from sealer.cluster.desired import Flags  # noqa: PLC0415

    login, run = options.split(more)
    flags = Flags(
        image=image,
        name=name,
        masters=options.joined(masters),
        nodes=options.joined(nodes),
        ssh=options.ssh(app, login),
        env=env,
        **options.driver_flags(app, more),
        cmds=cmds,
        apps=tuple(filter(None, ",".join(apps).split(","))) if apps else None,
        cmd_args=cmd_args,
        kubeconfig=options.kubeconfig(kubeconfig),
    )
    desired = cluster_request(app, clusterfile, flags, fetching(app, more))
    with operation(app, cluster_name(desired), run, yes=yes, publish=not no_publish) as lifecycle:
        outcome = lifecycle.create(desired, foreign=bool(kubeconfig))
    show_outcome(app, outcome)
