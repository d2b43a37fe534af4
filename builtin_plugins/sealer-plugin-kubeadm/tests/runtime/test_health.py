"""What `sealer check` asks of hosts."""

from __future__ import annotations

import pytest

from sealer.errors import HostError
from sealer.testing import Answers, Reply, make_operation, run_steps
from sealer_plugin_kubeadm import health


def test_a_kubelet_that_runs_is_well_and_each_member_is_asked() -> None:
    operation = make_operation("scale", nodes=2, joining=0)
    asked = run_steps(health.steps(operation), operation, answers=Answers().on("is-active", Reply("active\n")))
    assert asked.hosts["kubelet"] == [host.id for host in operation.kept]


@pytest.mark.parametrize(
    ("said", "state"), [("inactive\n", "inactive"), ("activating\n", "activating"), ("", "not there")]
)
def test_one_that_does_not_is_named(said: str, state: str) -> None:
    operation = make_operation("scale", joining=0)
    answers = Answers().on("is-active", Reply(said, status=3))
    with pytest.raises(HostError, match="The kubelet of this host does not run") as caught:
        run_steps(health.steps(operation), operation, answers=answers)
    assert state in caught.value.why
