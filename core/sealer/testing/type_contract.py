"""What every type of Plugin documents must hold to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from sealer.clusterfile.model import PluginDocument
from sealer.errors import InputError
from sealer.events import Json
from sealer.extension.operation import Operation
from sealer.extension.plugin_types import PluginType
from sealer.extension.steps import Step
from sealer.hosts import canonical_address
from sealer.phases import Phase
from sealer.testing import expectations
from sealer.testing.clusters import make_document, make_operation


@dataclass(frozen=True)
class BadData:
    """Data that a type must refuse.

    :param line: of the mistake in `data`, from 1.
    :param column: of the mistake; 0: anywhere in the line.
    :param says: what the message must contain.
    :param phases, on: of the document.
    """

    data: Json
    line: int = 1
    column: int = 0
    says: str = ""
    phases: tuple[Phase, ...] = ()
    on: str = ""


class PluginTypeContract:
    """Derive a test class from this, and say what is good data and what is not.

    ::

        class TestFirewall(PluginTypeContract):
            plugin_type = Firewall
            good = ("192.0.2.11 22,443",)
            bad = (BadData("192.0.2.11 99999", column=12, says="port"),)
            differing = (("192.0.2.11 22", "192.0.2.11 443"),)

    :cvar plugin_type: the class under test.
    :cvar good: data it understands; 192.0.2.11 is the cluster's master, .12 and .13 are nodes, .110 joins.
    :cvar bad: data it refuses.
    :cvar differing: pairs of data that ask for different things: their steps must differ in `on` or `inputs`.
    :cvar phases: of the documents with good data; empty: the type's default ones.
    """

    plugin_type: ClassVar[type[PluginType[Any]]]  # Any: what its data means is the type's own affair
    good: ClassVar[Sequence[Json]] = ()
    bad: ClassVar[Sequence[BadData]] = ()
    differing: ClassVar[Sequence[tuple[Json, Json]]] = ()
    phases: ClassVar[tuple[Phase, ...]] = ()

    def test_it_has_a_name_and_phases(self) -> None:
        """The name is upper case, and the default phases are among those it can act in."""
        assert self.plugin_type.type == self.plugin_type.type.upper() != ""
        assert self.plugin_type.phases >= set(self.plugin_type.default_phases)
        assert self.plugin_type.joining in {None, Phase.PRE_JOIN, Phase.POST_JOIN} & {None, *self.plugin_type.phases}
        assert self.plugin_type.phases

    def test_good_data_is_understood(self) -> None:
        """Parsing gives a value, and the hosts that it names by their one spelling."""
        assert self.good, "say what good data is"
        for _, parsed, instance in self._parsed():
            for address in {*instance.addresses(parsed), *instance.host_names(parsed)}:
                assert address == canonical_address(address)

    def test_bad_data_is_refused_with_its_place(self) -> None:
        """The error is an InputError whose first problem stands at the line of the mistake."""
        for bad in self.bad:
            document = make_document(self.plugin_type.type, bad.data, phases=bad.phases or self.phases, on=bad.on)
            with pytest.raises(InputError) as caught:
                self.plugin_type().parse(document)
            assert caught.value.problems, f"the refusal of {bad.data!r} says no place: use document.problem()"
            first = caught.value.problems[0]
            expected = document.at(bad.line, bad.column or 1)
            assert (first.position.file, first.position.line) == (expected.file, expected.line), (bad, str(first))
            assert bad.column in (0, first.position.column - document.data_position.column + 1), (bad, str(first))
            assert bad.says in first.message, (bad, str(first))

    def test_steps_can_be_planned(self) -> None:
        """Ids are unique, inputs are JSON, and only hosts of the cluster are named."""
        for plan in self._plans():
            expectations.expect_sound(plan.steps(), plan.operation)

    def test_steps_are_the_same_when_asked_again(self) -> None:
        """Without that, a run that was killed could not be continued."""
        for plan in self._plans():
            expectations.expect_same(plan.steps)

    def test_a_host_that_is_gone_can_be_removed(self) -> None:
        """Steps on hosts that leave pass over those that cannot be reached."""
        for plan in self._plans():
            if plan.phase in (Phase.PRE_CLEAN, Phase.POST_CLEAN):
                expectations.expect_passable(plan.steps())

    def test_different_data_has_different_fingerprints(self) -> None:
        """Whatever decides what a step does stands in its targets or inputs."""
        for one, other in self.differing:
            for phase in self._phases():
                first, second = (
                    [(step.on, dict(step.inputs)) for step in self._plan(data, phase).steps()] for data in (one, other)
                )
                assert first != second, f"{phase}: {one!r} and {other!r} give steps with the same fingerprints"

    def _phases(self) -> tuple[Phase, ...]:
        return tuple(phase for phase in Phase if phase in self.plugin_type.phases)

    def _document(self, data: Json, phase: Phase | None = None) -> PluginDocument:
        return make_document(self.plugin_type.type, data, phases=(phase,) if phase else self.phases)

    def _parsed(self) -> Iterator[tuple[PluginDocument, Any, PluginType[Any]]]:
        for data in self.good:
            document, instance = self._document(data), self.plugin_type()
            yield document, instance.parse(document), instance

    def _plan(self, data: Json, phase: Phase) -> _Plan:
        return _Plan(self.plugin_type, operation_in(phase), phase, self._document(data, phase))

    def _plans(self) -> Iterator[_Plan]:
        for data in self.good:
            for phase in self._phases():
                yield self._plan(data, phase)


@dataclass(frozen=True)
class _Plan:
    plugin_type: type[PluginType[Any]]
    operation: Operation
    phase: Phase
    document: PluginDocument

    def steps(self) -> Sequence[Step]:
        """The steps, by a new instance each time: nothing may depend on what it was asked before."""
        instance = self.plugin_type()
        return instance.steps(self.operation, self.phase, self.document, instance.parse(self.document))


_OPERATIONS: Mapping[Phase, Operation] = {
    **dict.fromkeys((Phase.PRE_INIT, Phase.PRE_GUEST, Phase.POST_INSTALL), make_operation("create")),
    **dict.fromkeys((Phase.PRE_JOIN, Phase.POST_JOIN), make_operation("scale")),
    **dict.fromkeys((Phase.PRE_CLEAN, Phase.POST_CLEAN), make_operation("delete")),
}


def operation_in(phase: Phase) -> Operation:
    """An operation in which the phase comes about."""
    return _OPERATIONS[phase]
