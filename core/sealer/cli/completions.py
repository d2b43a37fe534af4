"""What a shell completes beside commands and options: names of clusters, images, hosts, plugins and providers.

Completion prints nothing but names: what cannot be read has none. Modules are imported when a shell asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from sealer.cli.app import App

if TYPE_CHECKING:
    from sealer.extension.operation import Recorded

Names = Callable[[App, click.Context], Iterable[tuple[str, str]]]
Completion = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _completion(names: Names) -> Completion:
    """The names that begin with what was typed; of `a,b` the last part, as lists of hosts are written."""

    @wraps(names)
    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        done, comma, part = incomplete.rpartition(",")
        try:
            found = list(names(ctx.find_object(App) or App(), ctx))
        except Exception:  # a damaged record, a plugin that cannot be imported: no names, and nothing on the terminal
            return []
        given = {*_typed(ctx, param), *done.split(",")}
        return [
            CompletionItem(done + comma + name, help=" ".join(about.split()) or None)
            for name, about in dict(found).items()
            if name.startswith(part) and name.isprintable() and name not in given
        ]

    return complete


def _typed(ctx: click.Context, param: click.Parameter) -> Sequence[str]:
    """What a parameter that may be repeated has already."""
    value = ctx.params.get(param.name or "")
    return [word for word in value if isinstance(word, str)] if isinstance(value, tuple | list) else []


@_completion
def cluster_names(app: App, _: click.Context) -> Iterable[tuple[str, str]]:
    """The clusters that are recorded."""
    from sealer.cluster.home import ClusterHome  # noqa: PLC0415

    homes = [ClusterHome(path) for path in sorted(app.settings.clusters.glob("*"))]
    return [(home.name, "cluster") for home in homes if home.exists]


@_completion
def host_names(app: App, ctx: click.Context) -> Iterable[tuple[str, str]]:
    """The hosts of the cluster that the command names so far, or of the only one."""
    return [
        (name, ", ".join(entry.host.roles))
        for entry in _recorded(app, ctx).hosts
        for name in (entry.host.address, entry.host.placeholder)
        if name
    ]


def hosts_of(*, masters: bool) -> Completion:
    """The masters, or the nodes, of that cluster."""

    def names(app: App, ctx: click.Context) -> Iterable[tuple[str, str]]:
        return [
            (name, ", ".join(entry.host.roles))
            for entry in _recorded(app, ctx).hosts
            if entry.host.is_master == masters
            for name in (entry.host.address, entry.host.placeholder)
            if name
        ]

    return _completion(names)


def _recorded(app: App, ctx: click.Context) -> Recorded:
    from sealer.cli.requests import chosen_cluster, existing  # noqa: PLC0415

    lifecycle = existing(app)
    named = ctx.params.get("name") or ctx.params.get("cluster") or ""
    return lifecycle.recorded(chosen_cluster(lifecycle, str(named)))


@_completion
def image_names(app: App, _: click.Context) -> Iterable[tuple[str, str]]:
    """The images of the local store, as a person types them."""
    from sealer.image.store import Store  # noqa: PLC0415

    catalogue = Store(app.settings.images).catalogue()
    names = [name for digest in catalogue.digests for name in catalogue.names(digest)]
    return [(name.removeprefix("docker.io/library/").removeprefix("docker.io/"), "image") for name in sorted(names)]


@_completion
def plugin_names(app: App, _: click.Context) -> Iterable[tuple[str, str]]:
    """The installed plugins."""
    from sealer.extension.inventory import packages  # noqa: PLC0415

    return [(one.name, one.summary) for one in packages(app.plugins)]


@_completion
def provider_names(app: App, _: click.Context) -> Iterable[tuple[str, str]]:
    """The installed providers."""
    from sealer.extension.loading import driver_names  # noqa: PLC0415

    return [(name, "provider") for name in driver_names("provider", app.settings)]
