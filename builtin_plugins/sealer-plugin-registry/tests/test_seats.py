"""On which hosts the registry runs, and what is planned for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from sealer.clusterfile.model import Cluster, ExternalRegistry, LocalRegistry, RegistrySpec
from sealer.errors import RefusedError
from sealer.events import EventStream
from sealer.extension import Operation
from sealer.hosts import MASTER
from sealer.settings import Settings
from sealer.testing import expectations
from sealer.testing.clusters import make_host, make_operation
from sealer_plugin_registry import PrivateRegistry
from sealer_plugin_registry.seats import seats

HA = Cluster(name="testing", registry=RegistrySpec(local=LocalRegistry(ha=True)))
EXTERNAL = Cluster(name="testing", registry=RegistrySpec(external=ExternalRegistry("reg.corp", 443)))


def masters(*numbers: int) -> list[object]:
    return [make_host(number, MASTER) for number in numbers]


def addresses(hosts: Sequence[object]) -> list[str]:
    return [host.address.rpartition(".")[2] for host in hosts]  # type: ignore[attr-defined]


def scale(
    kept: Sequence[int], *, added: Sequence[int] = (), removed: Sequence[int] = (), spec: Cluster | None = None
) -> Operation:
    return make_operation(
        "scale",
        hosts=masters(*kept),
        added=masters(*added),
        removed=masters(*removed),
        spec=spec,  # type: ignore[arg-type]
    )


def test_a_new_cluster_has_it_on_the_first_master() -> None:
    found = seats(make_operation("create", masters=3))
    assert (addresses(found.after), addresses(found.new), found.moved) == (["11"], ["11"], False)


def test_a_master_more_changes_nothing() -> None:
    found = seats(scale([1], added=[2]))
    assert (addresses(found.after), addresses(found.new), found.moved) == (["11"], [], False)


def test_it_moves_to_the_master_that_came_next() -> None:
    operation = scale([2, 3], removed=[1])
    assert operation.recorded is not None
    came = sorted(operation.recorded.hosts, key=lambda entry: entry.host.address)
    found = seats(replace(operation, recorded=replace(operation.recorded, hosts=tuple(came))))
    assert (addresses(found.before), addresses(found.after), addresses(found.new)) == (["11"], ["12"], ["12"])
    assert found.moved


def test_the_order_in_the_clusterfile_moves_nothing() -> None:
    operation = scale([1, 2], added=[3])
    found = seats(replace(operation, kept=operation.kept[::-1]))
    assert (addresses(found.after), found.moved) == (["11"], False)


def test_with_ha_it_is_on_each_master() -> None:
    found = seats(scale([1], added=[2], spec=HA))
    assert (addresses(found.after), addresses(found.new), found.moved) == (["11", "12"], ["12"], True)


def test_an_external_one_needs_no_host() -> None:
    assert seats(make_operation("create", spec=EXTERNAL)).after == ()


@pytest.fixture
def driver(tmp_path: Path) -> PrivateRegistry:
    made = PrivateRegistry(Settings(home=tmp_path), EventStream(), {})
    made.credentials = tmp_path / "credentials"
    return made


@pytest.mark.parametrize("spec", [None, HA, EXTERNAL])
def test_steps_can_be_planned_and_are_the_same_when_asked_again(driver: PrivateRegistry, spec: Cluster | None) -> None:
    for operation in (
        make_operation("create", spec=spec),
        make_operation("scale", spec=spec),
        scale([1], removed=[2], spec=spec),
    ):
        for method in (driver.deploy, driver.publish, driver.trust, driver.remove):
            expectations.expect_sound(method(operation), operation)
            expectations.expect_same(lambda method=method, operation=operation: method(operation))


def test_nothing_is_planned_where_only_a_node_comes(driver: PrivateRegistry) -> None:
    operation = make_operation("scale")
    assert driver.deploy(operation) == []
    assert driver.publish(operation) == []
    assert [step.id for step in driver.trust(operation)] == ["trust"]


def test_it_does_not_move_without_the_images_it_is_to_hold(driver: PrivateRegistry) -> None:
    operation = replace(scale([1], removed=[2]), image=None)
    assert driver.deploy(replace(operation, kept=(*operation.kept, *operation.removed), removed=())) == []
    leaving = replace(scale([2], removed=[1]), image=None)
    assert leaving.recorded
    came = sorted(leaving.recorded.hosts, key=lambda entry: entry.host.address)
    with pytest.raises(RefusedError, match="filled anew, and the image of the cluster is not here") as caught:
        driver.deploy(replace(leaving, recorded=replace(leaving.recorded, hosts=tuple(came))))
    assert "testing:v1" in caught.value.why


def test_a_host_that_is_gone_is_passed_over(driver: PrivateRegistry) -> None:
    expectations.expect_passable(driver.remove(scale([1], removed=[2])))
