"""On which hosts the registry runs, and what is planned for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from sealer.clusterfile.model import Cluster, ExternalRegistry, LocalRegistry, RegistrySpec
from sealer.clusterfile.secrets import without_secrets
from sealer.errors import RefusedError
from sealer.events import EventStream
from sealer.extension import Addresses, Operation
from sealer.hosts import MASTER
from sealer.redaction import Secret
from sealer.settings import Settings
from sealer.testing import expectations
from sealer.testing.clusters import make_host, make_operation
from sealer_plugin_registry import PrivateRegistry
from sealer_plugin_registry.seats import seats
from sealer_plugin_registry.trusting import Login

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


def set_up(driver: PrivateRegistry, operation: Operation) -> None:
    """As after a run of this version: every host was given the login and the service that are wanted now."""
    protection = driver._protection(operation)
    for host in (*operation.kept, *operation.removed):
        protection.note_served(host.address)
        protection.note_told(host.address)


def test_nothing_is_planned_where_only_a_node_comes(driver: PrivateRegistry) -> None:
    operation = make_operation("scale")
    set_up(driver, operation)
    assert driver.deploy(operation) == []
    assert driver.publish(operation) == []
    assert [step.id for step in driver.trust(operation)] == ["trust"]


def test_it_does_not_move_without_the_images_it_is_to_hold(driver: PrivateRegistry) -> None:
    operation = replace(scale([1], removed=[2]), image=None)
    set_up(driver, operation)
    assert driver.deploy(replace(operation, kept=(*operation.kept, *operation.removed), removed=())) == []
    leaving = replace(scale([2], removed=[1]), image=None)
    assert leaving.recorded
    came = sorted(leaving.recorded.hosts, key=lambda entry: entry.host.address)
    with pytest.raises(RefusedError, match="filled again, and the image of the cluster is not here") as caught:
        driver.deploy(replace(leaving, recorded=replace(leaving.recorded, hosts=tuple(came))))
    assert "testing:v1" in caught.value.why


def test_a_host_that_is_gone_is_passed_over(driver: PrivateRegistry) -> None:
    expectations.expect_passable(driver.remove(scale([1], removed=[2])))


def with_login(password: str, username: str = "admin") -> Cluster:
    local = LocalRegistry(username=username, password=Secret(password))
    return Cluster(name="testing", registry=RegistrySpec(local=local))


def recorded_as(operation: Operation, spec: Cluster) -> Operation:
    """The same where the cluster was made of another Clusterfile, whose secrets are not recorded."""
    assert operation.recorded
    made_of = without_secrets(replace(operation.recorded.clusterfile, cluster=spec))
    return replace(operation, recorded=replace(operation.recorded, clusterfile=made_of))


def prepare(driver: PrivateRegistry, operation: Operation) -> None:
    """What the operator's own step of a deploy does."""
    driver._prepare(operation, seats(operation).new, fresh=not seats(operation).before)


def test_a_registry_of_an_older_version_is_set_up_again_where_it_runs(driver: PrivateRegistry) -> None:
    operation = scale([1, 2])
    assert driver.changed(operation) == {"spec.registry.localRegistry"}
    steps = driver.deploy(operation)
    assert [step.id for step in steps] == ["certificates", "secure"]
    assert steps[1].on == Addresses(frozenset({operation.kept[0].address}))
    assert driver.trust(operation) == []  # its hosts sign in as they did: not at all
    prepare(driver, operation)
    assert driver._login(operation) == Login()
    set_up(driver, operation)
    assert driver.changed(operation) == frozenset()


def test_a_new_cluster_gets_a_login_of_its_own(driver: PrivateRegistry) -> None:
    prepare(driver, make_operation("create"))
    login = driver._login(make_operation("create"))
    assert login.username == "sealer"
    assert len(login.password) >= 43  # 32 bytes
    prepare(driver, make_operation("create"))  # as a run that goes on does
    assert driver._login(make_operation("create")) == login
    stored = (driver._directory / "htpasswd").read_bytes()
    assert stored.startswith(b"sealer:$2b$04$")
    assert login.password.encode() not in stored


@pytest.mark.parametrize("noted", [True, False])
def test_another_password_reaches_the_service_and_every_host_also_after_a_break(
    driver: PrivateRegistry, noted: bool
) -> None:
    prepare(driver, make_operation("create", spec=with_login("one")))
    before = recorded_as(scale([1, 2], spec=with_login("one")), with_login("one"))
    assert driver.changed(replace(before, desired=before.recorded.clusterfile)) <= {"spec.registry.localRegistry"}
    if noted:
        set_up(driver, before)
    after = recorded_as(scale([1, 2], spec=with_login("two")), with_login("one"))
    assert driver.changed(after) == {"spec.registry.localRegistry.password"}
    assert [step.id for step in driver.deploy(after)] == ["certificates", "secure"]
    assert [step.id for step in driver.trust(after)] == ["sign-in"]
    assert all(step.covers >= driver.changed(after) for step in (*driver.deploy(after)[1:], *driver.trust(after)))

    prepare(driver, after)
    driver._protection(after).note_served(after.kept[0].address)
    driver._protection(after).note_told(after.kept[0].address)
    # Killed here: the other host still has the old one, whether the password comes once more or not.
    for again in (after, replace(after, desired=after.recorded.clusterfile)):
        (left,) = driver.trust(again)
        assert left.on == Addresses(frozenset({after.kept[1].address}))
        assert driver.changed(again)


def test_a_changed_user_is_told_of(driver: PrivateRegistry) -> None:
    prepare(driver, make_operation("create", spec=with_login("one")))
    after = recorded_as(scale([1], spec=with_login("one", "other")), with_login("one"))
    set_up(driver, recorded_as(scale([1], spec=with_login("one")), with_login("one")))
    assert driver.changed(after) == {"spec.registry.localRegistry.username"}
