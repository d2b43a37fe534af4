"""`sealer status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import click

from sealer.cli import cluster_options as options
from sealer.cli.app import App, pass_app
from sealer.cli.formats import format_option
from sealer.cli.tables import some, table
from sealer.errors import SealerError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from sealer.cli.unfinished import Progress
    from sealer.cluster.cancellation import Cancellation
    from sealer.cluster.health import Health
    from sealer.cluster.lifecycle import Lifecycle
    from sealer.events import Json
    from sealer.extension.operation import Recorded

_FOREIGN = "(not made by sealer)"
PATIENCE = 5.0  # seconds for all hosts: longer than any that is well takes, short enough to wait for


@click.command("status")
@options.name_argument
@options.name_option
@click.option("--recorded", "only_recorded", is_flag=True, help="Do not connect to hosts: show what is recorded.")
@format_option("clusters", "Name")
@click.option("-w", "--watch", is_flag=True, help="Refresh every 2 seconds, until Ctrl-C.")
@pass_app
def command(app: App, cluster: str, name: str, only_recorded: bool, watch: bool) -> None:
    """List the clusters of this machine, or with NAME show the hosts of one and their current state.

    Without NAME, sealer shows what it recorded and does not connect to hosts. With NAME, hosts and the cluster's API
    have five seconds to answer; 'sealer check' checks more.
    """
    from sealer.cli.requests import existing  # noqa: PLC0415  # 100 ms that `--help` need not wait for
    from sealer.cluster.cancellation import Cancellation  # noqa: PLC0415

    name = options.one_name(cluster, name)
    cancellation = Cancellation()
    lifecycle = existing(app, cancellation)
    if not watch:
        with _interrupts(app, cancellation):
            result, text = _looked_at(app, lifecycle, name, ask=not only_recorded)
        app.show(result, text)
        return
    from sealer.cli.watching import watching  # noqa: PLC0415

    with watching(cancellation) as rounds:
        for clear in rounds:
            result, text = _looked_at(app, lifecycle, name, ask=not only_recorded)
            clear(app)
            app.show(result, text)


def _interrupts(app: App, cancellation: Cancellation) -> AbstractContextManager[None]:
    from sealer.cli.interrupts import interrupts  # noqa: PLC0415

    return interrupts(cancellation.request, app.events)


def _looked_at(app: App, lifecycle: Lifecycle, name: str, *, ask: bool) -> tuple[Mapping[str, Json], Callable[[], str]]:
    """How one cluster is, or which there are: for a program, and for a person.

    :param name: empty: all.
    :param ask: whether hosts are asked.
    """
    from sealer.cli.operations import cluster_record  # noqa: PLC0415
    from sealer.cli.unfinished import Progress  # noqa: PLC0415

    if name:
        recorded = lifecycle.recorded(name)
        health = _asked(app, lifecycle, name) if ask else None
        progress = Progress(lifecycle.settings.clusters, recorded)
        record = {**cluster_record(recorded), "failure": progress.record}
        return _with_health(record, recorded, health), lambda: _one(recorded, health, progress)
    clusters: list[Recorded | Damaged] = [_recorded(lifecycle, known) for known in lifecycle.names()]
    progresses = {it.name: Progress(lifecycle.settings.clusters, it) for it in clusters if not isinstance(it, Damaged)}
    records: list[Json] = [
        _damaged_record(it)
        if isinstance(it, Damaged)
        else {**cluster_record(it), "failure": progresses[it.name].record}
        for it in clusters
    ]
    return {"clusters": records}, lambda: _all(clusters, progresses)


class Damaged(NamedTuple):
    """A cluster whose record cannot be read, and why."""

    name: str
    error: SealerError


def _recorded(lifecycle: Lifecycle, name: str) -> Recorded | Damaged:
    """What is recorded of a cluster; what is wrong with one record is no reason to keep the others back."""
    try:
        return lifecycle.recorded(name)
    except SealerError as error:
        return Damaged(name, error)


def _damaged_record(cluster: Damaged) -> dict[str, Json]:
    from sealer.cli.failures import error_record  # noqa: PLC0415

    return {"name": cluster.name, "status": "damaged", "error": error_record(cluster.error)}


def _asked(app: App, lifecycle: Lifecycle, name: str) -> Health | None:
    """How the cluster is; None: nobody can be asked, and what is recorded is shown all the same."""
    from sealer.errors import InterruptedRunError  # noqa: PLC0415

    try:
        return lifecycle.look(name, PATIENCE)
    except InterruptedRunError:
        raise
    except SealerError as error:  # a driver that is not installed any more, say
        app.events.warn(f"no host was asked: {error}")
        return None


def _with_health(record: dict[str, Json], recorded: Recorded, health: Health | None) -> dict[str, Json]:
    """The record of a cluster, and how it is."""
    from sealer.cli.health import now_json, strangers  # noqa: PLC0415

    record["asked"] = health is not None
    record["api"] = None if health is None or not health.keeps_nodes else health.nodes is not None
    hosts = record["hosts"]
    assert isinstance(hosts, list)  # it is of our own making
    record["hosts"] = [
        {**host, "now": now_json(entry, health) if health else None}
        for host, entry in zip(hosts, recorded.hosts, strict=True)
        if isinstance(host, dict)
    ]
    unknown = strangers(recorded.hosts, health) if health else []
    record["unknownNodes"] = [{"name": node.name, "address": node.address, "ready": node.ready} for node in unknown]
    return record


def _all(clusters: list[Recorded | Damaged], progresses: Mapping[str, Progress]) -> str:
    if not clusters:
        return "There is no cluster. 'sealer run IMAGE' makes one."
    rows = [
        (recorded.name, "damaged", "-", "-", "-", "-")
        if isinstance(recorded, Damaged)
        else (
            recorded.name,
            progresses[recorded.name].short,
            "-" if recorded.foreign else str(sum(entry.host.is_master for entry in recorded.hosts)),
            "-" if recorded.foreign else str(sum(not entry.host.is_master for entry in recorded.hosts)),
            _FOREIGN if recorded.foreign else recorded.image,
            some(sorted(recorded.applications)),
        )
        for recorded in clusters
    ]
    lines = [table(("name", "status", "masters", "nodes", "image", "applications"), rows)]
    for cluster in clusters:
        if isinstance(cluster, Damaged):
            lines += ["", str(cluster.error), f"what to do: {cluster.error.remedy}"]
        elif said := progresses[cluster.name].lines:
            lines += ["", f"{cluster.name}: {said[0]}", *said[1:]]
    return "\n".join(lines)


def _one(recorded: Recorded, health: Health | None, progress: Progress) -> str:
    from sealer.cli.health import now_text, strangers  # noqa: PLC0415

    image = _FOREIGN if recorded.foreign else recorded.image
    lines = [f"name:          {recorded.name}", f"id:            {recorded.id or '-'}"]
    where, *why = progress.lines or [recorded.status]
    lines += [f"status:        {where}", *(f"reason:        {line}" for line in why), f"image:         {image}"]
    if recorded.applications:
        lines.append(f"applications:  {', '.join(sorted(recorded.applications))}")
    rows = [
        (
            entry.host.id,
            "-" if recorded.foreign else ", ".join(entry.host.roles),
            entry.host.placeholder,
            progress.of_host(entry),
            now_text(entry, health) if health else "not asked",
        )
        for entry in recorded.hosts
    ]
    shown = [*lines, "", table(("host", "roles", "made as", "recorded as", "now"), rows)]
    for node in strangers(recorded.hosts, health) if health else ():
        shown.append(f"The cluster has a node {node.name} ({node.address}) that is no host of ours.")
    return "\n".join(shown)
