"""What every provider that makes hosts must hold to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from sealer.clusterfile.model import Cluster, HostGroup
from sealer.extension.drivers import HOSTS_MADE, Provider
from sealer.extension.operation import Operation, OperationKind
from sealer.extension.steps import Step
from sealer.extension.targets import OPERATOR
from sealer.hosts import MASTER, NODE, Host, canonical_address
from sealer.testing import expectations
from sealer.testing.clusters import make_operation
from sealer.testing.operator_context import run_on_operator

LOGIN_FIELDS = {"address", "port", "user", "private_key"}


class ProviderContract:
    """Derive a test class from this, and give it the fixture `provider`. Hosts are really made.

    ::

        class TestCloud(ProviderContract):
            @pytest.fixture
            def provider(self, tmp_path):
                return Cloud(Settings(home=tmp_path), EventStream(), {})
    """

    cluster = "contract"

    @pytest.fixture
    def provider(self) -> Provider:
        """The provider under test."""
        raise NotImplementedError("give your test class a fixture named provider")

    @pytest.fixture
    def made(self, provider: Provider) -> Iterator[dict[str, Any]]:
        """A master and a node, made; taken away at the end. Gives what the provider gave."""
        try:
            yield self.run_create(provider)
        finally:
            self.run_delete(provider)

    def operation(
        self, kind: OperationKind, *, added: Sequence[str] = (), kept: Sequence[Host] = (), removed: Sequence[Host] = ()
    ) -> Operation:
        """An operation on the cluster.

        :param added: placeholders of the hosts to be made, e.g. `master-0`.
        """
        new = [Host("", (name.partition("-")[0],), placeholder=name) for name in added]
        groups = tuple(HostGroup(role, sum(role in host.roles for host in (*new, *kept))) for role in (MASTER, NODE))
        spec = Cluster(name=self.cluster, groups=groups)
        if kind == "create":
            return make_operation("create", hosts=new, spec=spec)
        return make_operation(kind, hosts=[*kept, *removed], added=new, removed=removed, spec=spec)

    def run_create(self, provider: Provider) -> dict[str, Any]:
        """Make a master and a node."""
        operation = self.operation("create", added=["master-0", "node-0"])
        return dict(run_on_operator(provider.reconcile(operation), operation)[HOSTS_MADE.name])

    def run_delete(self, provider: Provider) -> None:
        """Delete the cluster, whatever there is of it."""
        operation = self.operation("delete", removed=provider.find(self.cluster))
        run_on_operator(provider.destroy(operation), operation)

    def test_it_is_loaded_with_its_options(self, provider: Provider) -> None:
        """The schema allows the options, needed ones too, and forbids fields that it does not know."""
        expectations.expect_driver("provider", type(provider), provider.options)
        assert type(provider).makes_hosts, "makes_hosts must be True: this suite has hosts made by count"

    def test_planning_touches_nothing(self, provider: Provider) -> None:
        """Asked for steps, it makes nothing; asked twice, it gives the same ones."""
        create = self.operation("create", added=["master-0", "node-0"])
        delete = self.operation("delete", removed=create.added)
        for plan, operation in ((provider.reconcile, create), (provider.destroy, delete)):
            expectations.expect_sound(plan(operation), operation)
            expectations.expect_same(lambda plan=plan, operation=operation: plan(operation))  # type: ignore[misc]
        assert list(provider.find(self.cluster)) == []

    def test_nothing_to_do_is_no_step(self, provider: Provider) -> None:
        """Without a host that comes or goes there is nothing to do."""
        operation = self.operation("scale", kept=[Host("192.0.2.1", (MASTER,), placeholder="master-0")])
        assert list(provider.reconcile(operation)) == []
        assert list(provider.destroy(operation)) == []

    def test_hosts_are_made_and_found(self, provider: Provider, made: dict[str, Any]) -> None:
        """All that was asked for is there, each with an address of its own, and found again by its placeholder."""
        assert set(made) == {"master-0", "node-0"}
        assert all(set(login) >= LOGIN_FIELDS for login in made.values())
        addresses = {name: canonical_address(login["address"]) for name, login in made.items()}
        assert len(set(addresses.values())) == len(addresses)
        found = provider.find(self.cluster)
        assert {host.placeholder: host.address for host in found} == addresses
        assert {host.placeholder: host.is_master for host in found} == {"master-0": True, "node-0": False}

    def test_once_more_is_the_same(self, provider: Provider, made: dict[str, Any]) -> None:
        """Made again, the same hosts are given."""
        assert self.run_create(provider) == made

    def test_hosts_come_and_go(self, provider: Provider, made: dict[str, Any]) -> None:
        """A host is added without touching the others, and taken away without touching them."""
        before = list(provider.find(self.cluster))
        grow = self.operation("scale", added=["node-1"], kept=before)
        given = run_on_operator(provider.reconcile(grow), grow)[HOSTS_MADE.name]
        assert given["node-1"]["address"] not in {login["address"] for login in made.values()}
        after = list(provider.find(self.cluster))
        assert {host.placeholder for host in after} == {"master-0", "node-0", "node-1"}
        leaving = [host for host in after if host.placeholder == "node-0"]
        staying = [host for host in after if host not in leaving]
        shrink = self.operation("scale", kept=staying, removed=leaving)
        for _ in range(2):  # what is gone is not missed
            run_on_operator(provider.destroy(shrink), shrink)
            assert list(provider.find(self.cluster)) == staying

    def test_a_delete_takes_all_away(self, provider: Provider, made: dict[str, Any]) -> None:
        """Also hosts that the operation does not know the address of; and once more is no failure."""
        delete = self.operation("delete", removed=[Host("", (MASTER,), placeholder="master-0")])
        for _ in range(2):
            run_on_operator(provider.destroy(delete), delete)
            assert list(provider.find(self.cluster)) == []

    def test_hosts_stop_and_start_again(self, provider: Provider, made: dict[str, Any]) -> None:
        """If it can: hosts that were stopped are off, and on again with their addresses; twice is no failure."""
        hosts = sorted(provider.find(self.cluster), key=lambda host: host.placeholder)
        operation = self.operation("scale", kept=hosts)
        plans = (provider.stop, provider.start)
        if all(plan(self.cluster, hosts) is None for plan in plans):
            pytest.skip("the provider neither stops nor starts hosts")

        def carry_out(plan: Callable[[str, Sequence[Host]], Sequence[Step] | None], chosen: Sequence[Host]) -> None:
            for _ in range(2):
                steps = plan(self.cluster, chosen)
                assert steps is not None, "a provider that stops hosts starts them, too"
                expectations.expect_sound(steps, operation)
                assert all(step.on == OPERATOR for step in steps), "the steps must run on the operator's machine"
                run_on_operator(steps, operation)

        def expect_running(chosen: Sequence[Host]) -> None:
            running = provider.running(self.cluster)
            assert running is None or running == {host.address for host in chosen}

        expect_running(hosts)
        carry_out(provider.stop, hosts[1:])
        expect_running(hosts[:1])
        carry_out(provider.stop, hosts)
        expect_running([])
        carry_out(provider.start, hosts)
        expect_running(hosts)
        assert sorted(provider.find(self.cluster), key=lambda host: host.placeholder) == hosts
