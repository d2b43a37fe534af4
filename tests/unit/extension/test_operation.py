"""Who is who in an operation."""

from __future__ import annotations

from dataclasses import replace

from sealer.cluster.hosts_of import resolve
from sealer.extension import FIRST_MASTER, Operation
from sealer.hosts import Host
from sealer.testing import make_host, make_operation


def asked(operation: Operation, *silent: Host) -> Host:
    """Who a step on the first master is for, while others do not answer."""
    now = replace(operation, unreachable=frozenset(host.id for host in silent))
    (host,) = resolve(FIRST_MASTER, now, lambda key, value: frozenset())
    assert host == now.first_master
    return host


def test_the_first_master_that_answers_is_the_first_master() -> None:
    operation = make_operation("scale", masters=3, nodes=1)
    first, second, third = operation.masters
    assert asked(operation) == first
    assert asked(operation, first) == second
    assert asked(operation, first, second) == third
    assert asked(operation, first, second, third) == first


def test_a_master_that_is_still_to_join_is_not_asked() -> None:
    operation = make_operation("scale", masters=1, nodes=0, added=[make_host(9, "master")])
    assert asked(operation, operation.kept[0]) == operation.kept[0]


def test_on_a_delete_of_everything_the_first_that_leaves_and_answers_is_asked() -> None:
    operation = make_operation("delete", masters=2, nodes=1)
    masters = [host for host in operation.removed if host.is_master]
    assert asked(operation) == masters[0]
    assert asked(operation, masters[0]) == masters[1]


def test_the_first_master_of_a_new_cluster_is_the_first_that_comes() -> None:
    operation = make_operation("create", masters=2)
    assert asked(operation) == operation.added[0]
