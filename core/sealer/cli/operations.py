"""Carries out an operation on a cluster for a command: shown, recorded, interruptible, and its result told."""

from __future__ import annotations

import dataclasses
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from sealer.cli.app import App
from sealer.cli.cluster_options import RunOptions, settled
from sealer.cli.interrupts import interrupts
from sealer.cli.plans import as_json, as_text
from sealer.cli.process_title import without_secrets
from sealer.cli.questions import somebody_is_there
from sealer.cli.run_records import RunRecord
from sealer.cluster.cancellation import Cancellation
from sealer.cluster.choices import Choices, nobody_knows
from sealer.cluster.differences import as_json as changes_as_json
from sealer.cluster.differences import lines_of
from sealer.cluster.lifecycle import Lifecycle, Outcome
from sealer.events import Event, Json, State
from sealer.extension.operation import Recorded


@contextmanager
def operation(
    app: App,
    cluster: str,
    options: RunOptions,
    *,
    yes: bool = False,
    force: bool = False,
    keep_layers: bool = False,
    publish: bool = True,
    provider_options: Mapping[str, Json] | None = None,
) -> Iterator[Lifecycle]:
    """The lifecycle, for one operation on the cluster `cluster` within the body.

    A dry run is neither shown step by step nor recorded: its result is the plan. Why it waits is told all the same.
    """
    cancellation = Cancellation()
    asked = not yes and app.output == "text" and somebody_is_there()
    choices = Choices(
        command=without_secrets(["sealer", *sys.argv[1:]]),
        dry_run=options["dry_run"],
        force=force,
        keep_layers=keep_layers,
        publish=publish,
        unfinished=options["resume"] or "",
        confirm=lambda question: yes or app.confirm(question, cancellation.stop),
        settled=settled(options["settle"]),
        ask_outcome=OutcomeQuestions(app, cancellation).ask if asked else nobody_knows,
        provider_options=provider_options or {},
        announce=app.events.info,
    )
    settings = app.settings
    if options["parallel"]:
        settings = dataclasses.replace(settings, parallel_hosts=options["parallel"])
    with ExitStack() as stack:
        if options["dry_run"]:
            stack.callback(app.events.subscribe(lambda event: _tell_retry(app, event)))
        else:
            stack.enter_context(app.watch())
            stack.enter_context(RunRecord(settings.clusters / cluster, app.events))
        stack.enter_context(interrupts(cancellation.request, app.events))
        yield Lifecycle(settings, app.plugins, app.events, cancellation, choices)


def _tell_retry(app: App, event: Event) -> None:
    if event.state is State.RETRYING:
        app.tell(f"sealer: {event.host}: {event.message}")


class OutcomeQuestions:
    """Asks what became of steps that must not run twice, host after host, until somebody has had enough."""

    def __init__(self, app: App, cancellation: Cancellation) -> None:
        self._app = app
        self._stop = cancellation.stop
        self._one_at_a_time = threading.Lock()
        self._enough = False

    def ask(self, title: str, host: str) -> bool | None:
        """True: run it again, False: it is done, None: nobody can say."""
        question = (
            f"'{title}' must not run twice. It began on {host}, and nobody knows whether it came to its end: sealer, "
            "the host or the script was stopped in the middle.\n"
            "Check the host. Mark the step as done, run it again, or stop? [done/again/STOP]"
        )
        with self._one_at_a_time:
            if self._enough:
                return None
            answer = self._app.choose(question, ("stop", "done", "again"), self._stop)
            self._enough = answer == "stop"
        return None if answer == "stop" else answer == "again"


def show_outcome(app: App, outcome: Outcome) -> None:
    """Print what came of it."""
    if outcome.plan is not None:
        app.show(as_json(outcome.plan, outcome.changes), as_text(outcome.plan, outcome.changes))
        return
    record: dict[str, Json] = {"cluster": outcome.cluster, "operation": outcome.kind}
    if outcome.recorded is not None:
        record |= cluster_record(outcome.recorded)
    if outcome.changes is not None:
        record["changes"] = changes_as_json(outcome.changes)
    if outcome.kind != "nothing" or app.options.quiet:
        app.show(record, "")
        return
    # Plugin documents that changed are recorded with the next change, and do not run again.
    changed = lines_of(outcome.changes) if outcome.changes is not None else []
    app.show(record, "\n".join([*changed, f"cluster {outcome.cluster}: already up to date"]))


def cluster_record(recorded: Recorded) -> dict[str, Json]:
    """A recorded cluster for a program."""
    return {
        "name": recorded.name,
        "id": recorded.id,
        "status": recorded.status,
        "foreign": recorded.foreign,
        "image": recorded.image,
        "imageDigest": recorded.image_digest,
        "applications": dict(recorded.applications),
        "hosts": [
            {
                "address": entry.host.address,
                "placeholder": entry.host.placeholder,
                "roles": list(entry.host.roles),
                "member": entry.member,
            }
            for entry in recorded.hosts
        ],
    }
