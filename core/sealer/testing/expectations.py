"""What every list of steps must hold to, whoever gave it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sealer.events import EventStream, Json
from sealer.extension.answers import check_steps, listed
from sealer.extension.drivers import Driver
from sealer.extension.loading import Kind, check_class, make_driver
from sealer.extension.operation import Operation
from sealer.extension.steps import Step
from sealer.extension.targets import Addresses, Group
from sealer.settings import Settings


def expect_driver(kind: Kind, driver: type[Driver], options: Mapping[str, Json]) -> None:
    """See that a class can be loaded by its name as the kernel does it, with the options that a user gives.

    What is asked of a class before there are options (`makes_hosts`, `keeps_nodes`) must be a variable of the class.
    """
    try:
        check_class(kind, driver)
    except ValueError as error:
        raise AssertionError(f"{driver.__name__} would not be loaded as a {kind}: {error}") from error
    make_driver(kind, driver.__name__, driver, Settings(Path("/nonexistent")), EventStream(), options)
    if driver.schema.get("additionalProperties") is not False:
        raise AssertionError("the schema must say additionalProperties: false, or a misspelt field passes unseen")


def expect_sound(steps: Sequence[Step], operation: Operation) -> None:
    """See that `steps` can be planned, journaled and fingerprinted, and name no host that the cluster does not have."""
    check_steps(listed(steps, Step))
    ours = {host.address for host in (*operation.added, *operation.kept, *operation.removed)}
    for step in steps:
        assert step.id, "a step has no id"
        assert step.title, f"step '{step.id}' has no title: what would a person read while it runs?"
        expect_json(step)
        if isinstance(step.on, Addresses):
            strangers = step.on.addresses - ours
            assert not strangers, f"step '{step.id}' is on {sorted(strangers)}, which the cluster does not have"


def expect_json(step: Step) -> None:
    """See that the inputs come back from JSON as they went in: they are the step's fingerprint."""
    try:
        back = json.loads(json.dumps(dict(step.inputs), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise AssertionError(f"the inputs of step '{step.id}' are no JSON: {error}") from error
    assert back == dict(step.inputs), f"the inputs of step '{step.id}' change on their way through JSON: {step.inputs}"


def expect_same(plan: Callable[[], Sequence[Step]]) -> None:
    """See that asking twice gives the same steps: a resumed run recognises its steps by what they were made from."""
    first, second = ([description(step) for step in plan()] for _ in range(2))
    assert first == second, f"asked twice, the steps differ:\n{first}\n{second}"


def expect_passable(steps: Sequence[Step]) -> None:
    """See that a host that is gone for good does not prevent its own removal."""
    for step in steps:
        removed = step.on == Group("removed") or getattr(step.on, "within", "") == "removed"
        if removed:
            assert step.unreachable == "skip", f"step '{step.id}' is on hosts that leave: it must be unreachable='skip'"


def description(step: Step) -> dict[str, object]:
    """All of a step that must be the same when it is asked for again."""
    return {
        "id": step.id,
        "title": step.title,
        "on": repr(step.on) if not isinstance(step.on, Addresses) else [*sorted(step.on.addresses), step.on.within],
        "inputs": dict(step.inputs),
        "effect": step.effect.value,
        "after": None if step.after is None else sorted(step.after),
        "needs": sorted(fact.name for fact in step.needs),
        "gives": sorted(fact.name for fact in step.gives),
        "unreachable": step.unreachable,
        "timeout": step.timeout,
        "covers": sorted(step.covers),
    }
