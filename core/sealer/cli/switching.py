"""What `sealer start` and `sealer stop` have in common."""

from __future__ import annotations

import sys
from typing import Any

from sealer.cli import cluster_options as options
from sealer.cli.app import App
from sealer.cli.clusterfiles import resolver
from sealer.cli.interrupts import interrupts
from sealer.cli.process_title import without_secrets
from sealer.cli.requests import chosen_cluster, picked_hosts
from sealer.cluster.cancellation import Cancellation
from sealer.cluster.choices import Choices
from sealer.cluster.lifecycle import Lifecycle
from sealer.cluster.powered import Switched, Verb
from sealer.events import Json
from sealer.hosts import Ssh


def switch(app: App, verb: Verb, name: str, given: dict[str, Any], *, yes: bool) -> None:
    """Start or stop hosts of a cluster, and say what came of it.

    :param name: of the cluster; empty: the only one.
    :param given: the values of `roles`, `hosts` and the provider's fields.
    """
    cancellation = Cancellation()
    choices = Choices(
        command=without_secrets(["sealer", *sys.argv[1:]]),
        confirm=lambda question: yes or app.confirm(question, cancellation.stop),
        provider_options=options.provider_fields(app, given),
    )
    lifecycle = Lifecycle(app.settings, app.plugins, app.events, cancellation, choices)
    cluster = chosen_cluster(lifecycle, name)
    roles, hosts = options.joined(given["roles"]), options.joined(given["hosts"])
    chosen = None
    if roles or hosts:
        chosen = picked_hosts(lifecycle.recorded(cluster), roles, hosts, Ssh(), resolver(app))
    with app.watch(), interrupts(cancellation.request, app.events):
        switched = lifecycle.switch(verb, cluster, chosen)
    _show(app, cluster, verb, switched)


def _show(app: App, cluster: str, verb: Verb, switched: tuple[Switched, ...]) -> None:
    text = ""
    if not app.options.quiet and not any(one.changed for one in switched):
        ids = ", ".join(one.host.id for one in switched)
        text = f"cluster {cluster}: already {'running' if verb == 'start' else 'off'}: {ids}"
    record: list[Json] = [
        {
            "address": one.host.address,
            "placeholder": one.host.placeholder,
            "roles": list(one.host.roles),
            "state": "running" if one.on else "off",
            "changed": one.changed,
        }
        for one in switched
    ]
    app.show({"cluster": cluster, "operation": verb, "hosts": record}, text)
