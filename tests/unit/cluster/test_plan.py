"""How lists of steps become a graph."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sealer.cluster.plan import Stage, StageBuilder, fingerprint
from sealer.errors import PluginError
from sealer.extension import ALL, Fact, Step, StepContext

NUMBER: Fact[int] = Fact("number", int)


def nothing(context: StepContext) -> None:
    pass


def step(name: str, **more: object) -> Step:
    return Step(name, name, ALL, nothing, **more)  # type: ignore[arg-type]


def edges(stage: Stage) -> dict[str, set[str]]:
    return {planned.id: set(planned.after) for planned in stage.steps}


def test_steps_of_a_list_follow_each_other_and_the_lists_before() -> None:
    builder = StageBuilder("main")
    builder.add("One", "a", [step("x"), step("y")])
    builder.add("One", "b", [step("z")])
    builder.add("Two", "a", [step("x")])
    assert edges(builder.build()) == {
        "One/a/x": set(),
        "One/a/y": {"One/a/x"},
        "One/b/z": {"One/a/y"},
        "Two/a/x": {"One/b/z"},
    }


def test_independent_steps_overlap_and_what_follows_waits_for_all() -> None:
    builder = StageBuilder("main")
    builder.add("One", "a", [step("first")])
    builder.add("Two", "a", [step("x"), step("y", after=frozenset()), step("z", after=frozenset({"x"}))])
    builder.add("Three", "a", [step("last")])
    assert edges(builder.build()) == {
        "One/a/first": set(),
        "Two/a/x": {"One/a/first"},
        "Two/a/y": {"One/a/first"},
        "Two/a/z": {"Two/a/x"},
        "Three/a/last": {"Two/a/y", "Two/a/z"},
    }


def test_an_empty_list_changes_nothing() -> None:
    builder = StageBuilder("main")
    builder.add("One", "a", [step("x")])
    builder.add("Two", "a", [])
    builder.add("Three", "a", [step("y")])
    assert edges(builder.build())["Three/a/y"] == {"One/a/x"}


def test_whoever_gives_a_fact_runs_before_whoever_needs_it() -> None:
    builder = StageBuilder("main")
    needs = step("needs", needs=frozenset({NUMBER}))
    gives = step("gives", gives=frozenset({NUMBER}), after=frozenset())
    builder.add("One", "a", [needs, gives])
    stage = builder.build()
    assert edges(stage)["One/a/needs"] == {"One/a/gives"}
    assert [planned.id for planned in stage.steps] == ["One/a/gives", "One/a/needs"]


def test_facts_of_earlier_stages_are_known() -> None:
    builder = StageBuilder("main", known_facts=frozenset({"number"}))
    builder.add("One", "a", [step("needs", needs=frozenset({NUMBER}))])
    assert edges(builder.build()) == {"One/a/needs": set()}


def give_twice(builder: StageBuilder) -> None:
    builder.add("One", "a", [step("x", gives=frozenset({NUMBER})), step("y", gives=frozenset({NUMBER}))])


def need_what_nobody_gives(builder: StageBuilder) -> None:
    builder.add("One", "a", [step("x", needs=frozenset({NUMBER}))])


def go_in_a_circle(builder: StageBuilder) -> None:
    builder.add("One", "a", [step("x", needs=frozenset({NUMBER})), step("y", gives=frozenset({NUMBER}))])


def follow_a_stranger(builder: StageBuilder) -> None:
    builder.add("One", "a", [step("x", after=frozenset({"nobody"}))])


def have_one_id_twice(builder: StageBuilder) -> None:
    builder.add("One", "a", [step("x"), step("x")])


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (give_twice, "given by One/a/x and by One/a/y"),
        (need_what_nobody_gives, "Nobody gives the fact 'number' that One/a/x needs"),
        (go_in_a_circle, "wait for each other"),
        (follow_a_stranger, "comes after 'nobody', which it did not give"),
        (have_one_id_twice, "two steps with the id 'x'"),
    ],
)
def test_a_plugin_that_breaks_the_rules_is_named(mistake: Callable[[StageBuilder], None], message: str) -> None:
    builder = StageBuilder("main")
    with pytest.raises(PluginError, match=message):
        mistake(builder)
        builder.build()


def test_dependents_are_all_that_come_after() -> None:
    builder = StageBuilder("main")
    builder.add("One", "a", [step("x"), step("y"), step("z")])
    assert builder.build().dependents == {"One/a/x": {"One/a/y", "One/a/z"}, "One/a/y": {"One/a/z"}, "One/a/z": set()}


def planned(inputs: dict[str, str]) -> str:
    builder = StageBuilder("main")
    builder.add("One", "a", [step("x", inputs=inputs)])
    return fingerprint(b"key", builder.build().steps[0])


def test_the_fingerprint_tells_inputs_apart_and_needs_the_key() -> None:
    builder = StageBuilder("main")
    builder.add("One", "a", [step("x", inputs={"password": "secret"})])
    one = builder.build().steps[0]
    assert fingerprint(b"key", one) == planned({"password": "secret"})
    assert fingerprint(b"key", one) != planned({"password": "other"})
    assert fingerprint(b"key", one) != fingerprint(b"other key", one)
