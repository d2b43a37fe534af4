"""What `--dry-run` shows: the plan as a table, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence

from sealer.cli.tables import some, table
from sealer.cluster.changes import Changes
from sealer.cluster.differences import as_json as changes_as_json
from sealer.cluster.differences import lines_of
from sealer.cluster.hosts_of import resolve
from sealer.cluster.plan import Plan, PlannedStep
from sealer.events import Json
from sealer.extension.operation import Operation
from sealer.extension.targets import Labelled
from sealer.hosts import Host


def as_text(plan: Plan, changes: Changes | None = None) -> str:
    """The plan for a person.

    :param changes: of an apply: what it would change.
    """
    operation = plan.operation
    head = f"{operation.kind} of cluster {operation.cluster}, dry run"
    rows = [(step.phase, step.step.title, step.plugin, _hosts_text(step, operation)) for step in plan.steps]
    parts = [head, *_membership(operation)]
    if changes is not None and (lines := lines_of(changes)):
        parts += ["", "Changes:", *(f"  {line}" for line in lines)]
    parts += ["", table(("phase", "step", "plugin", "hosts"), rows)] if rows else ["", "No changes."]
    if plan.unread:
        parts += ["", f"Facts of {some(plan.unread, 8)}: not read"]
    if plan.missing:
        parts += ["", "Not planned, because it is missing here:", *(f"  {what}" for what in plan.missing)]
    elif not plan.complete:
        parts += ["", "The provider makes hosts first; steps that depend on what they are may be added then."]
    return "\n".join(parts)


def as_json(plan: Plan, changes: Changes | None = None) -> dict[str, Json]:
    """The plan for a program."""
    operation = plan.operation
    return {
        **({} if changes is None else {"changes": changes_as_json(changes)}),
        "dryRun": True,
        "cluster": operation.cluster,
        "operation": operation.kind,
        "image": operation.image.reference if operation.image else "",
        "complete": plan.complete,
        "missing": list[Json](plan.missing),
        "hostFacts": "not read" if plan.unread else "read",
        "unreadHosts": list[Json](plan.unread),
        "added": _ids(operation.added),
        "kept": _ids(operation.kept),
        "removed": _ids(operation.removed),
        "steps": [_step(step, operation) for step in plan.steps],
    }


def _ids(hosts: Sequence[Host]) -> list[Json]:
    return [host.id for host in hosts]


def _step(planned: PlannedStep, operation: Operation) -> dict[str, Json]:
    hosts = _hosts(planned, operation)
    return {
        "id": planned.id,
        "title": planned.step.title,
        "phase": planned.phase,
        "plugin": planned.plugin,
        "on": str(planned.step.on),
        "hosts": None if hosts is None else list(hosts),
        "effect": planned.step.effect.value,
        "after": list[Json](sorted(planned.after)),
    }


def _hosts(planned: PlannedStep, operation: Operation) -> Sequence[str] | None:
    """Ids of its hosts; None: only the cluster's own API can tell, when the step starts."""
    if isinstance(planned.step.on, Labelled):
        return None
    return [host.id for host in resolve(planned.step.on, operation, lambda key, value: frozenset())]


def _hosts_text(planned: PlannedStep, operation: Operation) -> str:
    hosts = _hosts(planned, operation)
    return f"{planned.step.on} (queried then)" if hosts is None else some(hosts) or "none"


def _membership(operation: Operation) -> list[str]:
    kinds = (("in", operation.added), ("stay", operation.kept), ("out", operation.removed))
    return [f"  {word:<5}{some([host.id for host in hosts], 8)}" for word, hosts in kinds if hosts]
