"""The plan: steps of many plugins as one graph."""

from __future__ import annotations

import graphlib
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sealer.errors import PluginError
from sealer.events import Json
from sealer.extension.operation import Operation
from sealer.extension.steps import Step


@dataclass(frozen=True)
class PlannedStep:
    """A step in its place.

    :param id: `phase/plugin/step`, unique in the operation.
    :param phase: lifecycle phase or stage of the kernel, as shown to people.
    :param after: ids of the steps that must be over before it starts.
    """

    id: str
    phase: str
    plugin: str
    step: Step
    after: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Stage:
    """Steps planned at once. Stages run one after the other, each planned from the facts of the one before."""

    name: str
    steps: tuple[PlannedStep, ...]

    @property
    def dependents(self) -> dict[str, set[str]]:
        """For each step the ids of all steps that come after it, directly or not."""
        found: dict[str, set[str]] = {planned.id: set() for planned in self.steps}
        for planned in reversed(self.steps):  # topological order: whoever follows has its own set complete already
            for before in planned.after:
                found[before] |= {planned.id} | found[planned.id]
        return found


@dataclass(frozen=True)
class Plan:
    """What an operation does.

    :param complete: False when later stages can only be planned once the first has made its hosts, or with what is
        missing.
    :param missing: drivers and types of Plugin documents that cannot be had, and what would bring them.
    :param unread: ids of the hosts that could not be asked for facts without them.
    """

    operation: Operation
    stages: tuple[Stage, ...]
    complete: bool = True
    missing: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()

    @property
    def steps(self) -> tuple[PlannedStep, ...]:
        """All steps of all stages."""
        return tuple(step for stage in self.stages for step in stage.steps)


@dataclass
class StageBuilder:
    """Collects lists of steps in the order of the lifecycle, and makes the graph.

    A list's first step comes after everything in the lists before; within a list each step follows the one before it,
    unless it says otherwise with `after`.
    """

    name: str
    known_facts: frozenset[str] = frozenset()  # given by earlier stages
    _steps: dict[str, tuple[PlannedStep, set[str]]] = field(default_factory=dict)
    _frontier: frozenset[str] = frozenset()
    _phase: str = ""
    _phase_frontier: frozenset[str] = frozenset()

    def add(self, phase: str, plugin: str, steps: Sequence[Step]) -> None:
        """One plugin's answer for one phase.

        :raises PluginError: two steps have one id, or one comes after a step that is not in its list.
        """
        if phase != self._phase:
            self._phase, self._phase_frontier = phase, self._frontier
        ids = {step.id: self._unique(phase, plugin, step.id) for step in steps}
        if len(ids) != len(steps):
            twice = next(step.id for step in steps if [other.id for other in steps].count(step.id) > 1)
            raise PluginError(f"Plugin {plugin} gave two steps with the id '{twice}'", where=phase)
        previous: str | None = None
        inside: set[str] = set()
        for step in steps:
            if step.after is None:
                after = {previous} if previous else set(self._frontier)
            else:
                unknown = step.after - ids.keys()
                if unknown:
                    raise PluginError(
                        f"Plugin {plugin}: step '{step.id}' comes after '{min(unknown)}', which it did not give",
                        where=phase,
                    )
                after = {ids[other] for other in step.after} or set(self._phase_frontier)
            inside |= after
            previous = ids[step.id]
            self._steps[previous] = (PlannedStep(previous, phase, plugin, step), after)
        if ids:
            self._frontier = frozenset(set(ids.values()) - inside)

    def _unique(self, phase: str, plugin: str, step: str) -> str:
        identifier = f"{phase}/{plugin}/{step}"
        number = 2
        while identifier in self._steps:
            identifier = f"{phase}/{plugin}/{step}#{number}"
            number += 1
        return identifier

    def build(self) -> Stage:
        """The stage, its steps in an order in which they could run one by one.

        :raises PluginError: a fact is given twice or by nobody, or steps wait for each other in a circle.
        """
        givers: dict[str, str] = {}
        for planned, _ in self._steps.values():
            for fact in planned.step.gives:
                if fact.name in givers:
                    raise PluginError(f"The fact '{fact.name}' is given by {givers[fact.name]} and by {planned.id}")
                givers[fact.name] = planned.id
        for planned, after in self._steps.values():
            for fact in planned.step.needs:
                if fact.name in givers:
                    after.add(givers[fact.name])
                elif fact.name not in self.known_facts:
                    raise PluginError(f"Nobody gives the fact '{fact.name}' that {planned.id} needs")
        try:
            order = graphlib.TopologicalSorter({key: sorted(after) for key, (_, after) in self._steps.items()})
            ordered = list(order.static_order())
        except graphlib.CycleError as error:
            raise PluginError("Steps wait for each other: " + " -> ".join(error.args[1])) from None
        rank = {key: number for number, key in enumerate(self._steps)}
        return Stage(self.name, tuple(self._with_edges(key) for key in _stable(ordered, rank, self._edges())))

    def _edges(self) -> Mapping[str, set[str]]:
        return {key: after for key, (_, after) in self._steps.items()}

    def _with_edges(self, key: str) -> PlannedStep:
        planned, after = self._steps[key]
        return PlannedStep(planned.id, planned.phase, planned.plugin, planned.step, frozenset(after))


def _stable(ordered: Iterable[str], rank: Mapping[str, int], after: Mapping[str, set[str]]) -> list[str]:
    """A topological order that keeps the order of the lifecycle wherever it may."""
    waiting = sorted(ordered, key=rank.__getitem__)
    placed: dict[str, None] = {}
    while waiting:
        nearest = next(key for key in waiting if after[key] <= placed.keys())
        placed[nearest] = None
        waiting.remove(nearest)
    return list(placed)


def fingerprint(key: bytes, planned: PlannedStep) -> str:
    """What decides whether a recorded outcome speaks of this very step.

    :param key: of the cluster, so that no secret among the inputs can be guessed from it.
    """
    step = planned.step
    text: dict[str, Json] = {"id": planned.id, "on": str(step.on), "effect": step.effect.value}
    content = json.dumps({**text, "inputs": step.inputs}, sort_keys=True, separators=(",", ":"))
    return hmac.new(key, content.encode(), hashlib.sha256).hexdigest()[:32]
