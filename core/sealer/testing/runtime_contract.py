"""What every runtime must hold to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from sealer.errors import CommandError
from sealer.events import EventStream, Json
from sealer.extension.context import Result
from sealer.extension.drivers import Runtime
from sealer.extension.guarding import steps_of
from sealer.extension.operation import Operation
from sealer.extension.steps import Step
from sealer.extension.targets import REMOVED
from sealer.settings import Settings
from sealer.testing import expectations
from sealer.testing.answers import Answers
from sealer.testing.clusters import make_host, make_operation
from sealer.testing.context import RecordedContext

_LEAVING = make_host(3)


class RuntimeContract:
    """Derive a test class from this.

    ::

        class TestK3s(RuntimeContract):
            driver = K3s

            def answers(self):
                return Answers().on("k3s kubectl get nodes", Reply(NODES))

    :cvar driver: the class under test.
    :cvar options: its own fields.
    """

    driver: ClassVar[type[Runtime]]
    options: ClassVar[Mapping[str, Json]] = {}

    def answers(self) -> Answers:
        """What a master answers when it is asked for nodes: 192.0.2.11 is the master, .12 and .13 are nodes."""
        return Answers()

    def make(self) -> Runtime:
        """The driver under test; a new one each time."""
        return self.driver(Settings(home=Path("/nonexistent")), EventStream(), dict(self.options))

    def test_steps_can_be_planned(self) -> None:
        """Ids are unique, inputs are JSON, and only hosts of the cluster are named."""
        for operation, plan in self._plans():
            expectations.expect_sound(plan(), operation)

    def test_steps_are_the_same_when_asked_again(self) -> None:
        """Without that, a run that was killed could not be continued."""
        for _, plan in self._plans():
            expectations.expect_same(plan)

    def test_checks_only_read(self) -> None:
        """`check` gives QUERY steps that neither give nor need a fact: each runs whatever becomes of the others."""
        operation = make_operation("scale", joining=0)
        steps = steps_of("the runtime", "check", lambda: self.make().check(operation), health=True)
        expectations.expect_sound(steps, operation)

    def test_a_host_that_is_gone_can_be_removed(self) -> None:
        """`clean` passes over hosts that cannot be reached, and `forget` is not on them at all."""
        removal = make_operation("scale", joining=0, removed=[_LEAVING])
        expectations.expect_passable(self.make().clean(removal))
        for step in self.make().forget(removal):
            within = getattr(step.on, "within", "")
            assert step.on != REMOVED and within != "removed", f"step '{step.id}' forgets hosts by asking them"

    def test_nodes_are_the_hosts(self) -> None:
        """Every node has a name of its own and the address of a host of the cluster."""
        operation = make_operation("create", names={"192.0.2.11": "first"})
        context = RecordedContext(operation, operation.first_master, answers=self.answers())
        nodes = self.make().nodes(context)
        assert sorted(node.address for node in nodes) == sorted(host.address for host in operation.hosts)
        assert len({node.name for node in nodes}) == len(nodes)
        assert all(node.name for node in nodes)

    def test_kubectl_runs_or_says_that_there_is_none(self) -> None:
        """Never anything else than a result, or a CommandError that says what is missing."""
        operation = make_operation("create")
        context = RecordedContext(operation, operation.first_master, answers=self.answers())
        try:
            result = self.make().kubectl(context, "get", "nodes")
        except CommandError as error:
            assert "kubectl" in str(error)
            assert error.where == context.host.id
        else:
            assert isinstance(result, Result)

    def test_it_is_loaded_with_its_options(self) -> None:
        """The schema allows the options, and forbids fields that it does not know."""
        expectations.expect_driver("runtime", self.driver, self.options)

    def _plans(self) -> Iterator[tuple[Operation, Callable[[], Sequence[Step]]]]:
        create, join = make_operation("create"), make_operation("scale")
        remove = make_operation("scale", joining=0, removed=[_LEAVING])
        upgrade, delete = make_operation("upgrade"), make_operation("delete")
        yield create, lambda: self.make().install(create)
        yield join, lambda: self.make().join(join)
        yield remove, lambda: self.make().forget(remove)
        yield remove, lambda: self.make().clean(remove)
        yield delete, lambda: self.make().clean(delete)
        yield upgrade, lambda: self.make().upgrade(upgrade)
