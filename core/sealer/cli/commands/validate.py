"""`sealer validate`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from sealer.cli import cluster_options as options
from sealer.cli.app import App, pass_app
from sealer.cli.typed import named
from sealer.events import Json

if TYPE_CHECKING:
    from sealer.clusterfile.model import Clusterfile
    from sealer.errors import Problem


@click.command("validate")
@options.file_argument
@click.option(
    *("-f", "--file", "option"),
    type=options.A_FILE,
    default="",
    callback=named,
    metavar="FILE",
    help="Clusterfile; default: the one of this directory; - reads standard input.",
)
@pass_app
def command(app: App, file: str, option: str) -> None:
    """Check a Clusterfile, without connecting to hosts.

    Reports each error with its line and column. Settings that depend on the image are checked if the image is in the
    local store.
    """
    from sealer.cli.clusterfiles import driver_check, resolver  # noqa: PLC0415  # YAML costs 20 ms
    from sealer.clusterfile.reading import read  # noqa: PLC0415
    from sealer.extension.missing_types import all_types  # noqa: PLC0415

    name, text = _text(options.one_file(file, option))
    warnings: list[Problem] = []

    def warn(warning: Problem) -> None:
        warnings.append(warning)
        app.events.warn(str(warning))

    check = driver_check(app.settings)
    clusterfile = read(
        text, name, plugin_types=all_types(app.plugins), check_driver=check, warn=warn, resolve=resolver(app)
    )
    whole = _examined(app, clusterfile)
    app.show(
        {
            "file": name,
            **_summary(clusterfile),
            "imageChecked": whole,
            "warnings": [_record(it) for it in warnings],
        },
        _words(name, clusterfile),
    )


def _examined(app: App, clusterfile: Clusterfile) -> bool | None:
    """Whether the file was held against its image; None: it names none."""
    from sealer.cluster.choices import Choices  # noqa: PLC0415  # as above
    from sealer.cluster.desired import Flags, desired  # noqa: PLC0415
    from sealer.cluster.lifecycle import Lifecycle  # noqa: PLC0415

    if clusterfile.cluster is None:
        return None
    lifecycle = Lifecycle(app.settings, app.plugins, app.events, choices=Choices(dry_run=True))
    there = lifecycle.examine(desired(clusterfile, Flags(), lifecycle.makes_hosts))
    image = clusterfile.cluster.image
    if image and not there:
        app.events.warn(
            f"the image {image} is not in the local store: what depends on it was not checked; "
            f"`sealer pull {image}` gets it"
        )
    return there if image else None


def _text(file: str) -> tuple[str, str]:
    from sealer.clusterfile import reading  # noqa: PLC0415

    if file == "-":
        return "standard input", reading.decoded(sys.stdin.buffer.read(), "standard input")
    return file, reading.file_text(file)


def _summary(clusterfile: Clusterfile) -> dict[str, Json]:
    cluster = clusterfile.cluster
    return {
        "cluster": cluster.name if cluster else None,
        "hosts": [host.address for host in cluster.hosts] if cluster else [],
        "hostsToBeMade": sum(group.count for group in cluster.groups) if cluster else 0,
        "plugins": [plugin.name for plugin in clusterfile.plugins],
        "configs": [config.name for config in clusterfile.configs],
        "kubeadm": [document.kind for document in clusterfile.kubeadm],
    }


def _words(name: str, clusterfile: Clusterfile) -> str:
    summary = _summary(clusterfile)
    parts = [f"cluster {summary['cluster']}"] if summary["cluster"] else []
    counts = [
        (len(clusterfile.cluster.hosts) if clusterfile.cluster else 0, "host"),
        (sum(group.count for group in clusterfile.cluster.groups) if clusterfile.cluster else 0, "host to be made"),
        (len(clusterfile.plugins), "Plugin document"),
        (len(clusterfile.configs), "Config document"),
        (len(clusterfile.kubeadm), "kubeadm document"),
    ]
    parts += [f"{count} {_plural(what, count)}" for count, what in counts if count]
    return f"{name} is valid: {', '.join(parts)}"


def _plural(what: str, count: int) -> str:
    first, blank, rest = what.partition(" ")
    if count == 1:
        return what
    return f"hosts{blank}{rest}" if first == "host" else f"{what}s"


def _record(problem: Problem) -> dict[str, Json]:
    return {
        "file": problem.position.file,
        "line": problem.position.line,
        "column": problem.position.column,
        "path": problem.path,
        "message": problem.message,
    }
