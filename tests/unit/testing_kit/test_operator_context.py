from __future__ import annotations

import pytest

from sealer.errors import PluginError
from sealer.extension import ALL, OPERATOR, Fact, Step, StepContext
from sealer.testing import make_operation, run_on_operator

COUNT: Fact[int] = Fact("count", int)


def test_facts_go_from_step_to_step() -> None:
    said: list[str] = []

    def count(context: StepContext) -> None:
        context.give(COUNT, len(context.operation.added))

    def tell(context: StepContext) -> None:
        context.log(f"{context.get(COUNT)} hosts")

    steps = [
        Step("count", "Count", OPERATOR, count, gives=frozenset({COUNT})),
        Step("tell", "Tell", OPERATOR, tell, needs=frozenset({COUNT})),
    ]
    assert run_on_operator(steps, make_operation("create"), said.append) == {"count": 3}
    assert said == ["3 hosts"]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (Step("a", "A", ALL, lambda context: None), "is on all, not on the operator"),
        (Step("a", "A", OPERATOR, lambda context: None, gives=frozenset({COUNT})), "promised count"),
        (Step("a", "A", OPERATOR, lambda context: context.give(COUNT, 1)), "which its gives do not have"),
        (Step("a", "A", OPERATOR, lambda context: context.log(str(context.get(COUNT)))), "which its needs do not have"),
        (
            Step("a", "A", OPERATOR, lambda context: context.log(context.sh("true").stdout)),
            "it has no host: it cannot sh",
        ),
        (
            Step("a", "A", OPERATOR, lambda context: context.give(COUNT, "1"), gives=frozenset({COUNT})),  # type: ignore[misc]
            "is a int, not a str",
        ),
    ],
)
def test_what_the_executor_refuses_is_refused(step: Step, message: str) -> None:
    with pytest.raises(PluginError, match=message):
        run_on_operator([step], make_operation("create"))
