from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sealer.errors import CommandError
from sealer.events import EventStream
from sealer.extension.loading import load_driver
from sealer.settings import DEFAULT_RUNTIME, Settings
from sealer.testing import RecordedContext, RuntimeContract, make_host, make_operation
from sealer_plugin_standalone import Standalone


class TestStandalone(RuntimeContract):
    driver = Standalone


@pytest.fixture
def runtime(tmp_path: Path) -> Standalone:
    return Standalone(Settings(home=tmp_path), EventStream(), {})


def test_it_is_the_default_runtime(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert isinstance(load_driver("runtime", DEFAULT_RUNTIME, settings, EventStream()), Standalone)


def test_nodes_have_names_roles_and_labels(runtime: Standalone) -> None:
    hosts = [make_host(1, "master"), replace(make_host(2), roles=("node", "storage"), labels={"disk": "ssd"})]
    operation = make_operation(hosts=hosts, names={"192.0.2.12": "worker"})
    master, worker = runtime.nodes(RecordedContext(operation, hosts[0]))
    assert (master.name, master.labels, master.ready) == ("192.0.2.11", {"node-role.kubernetes.io/master": ""}, True)
    assert worker.name == "worker"
    assert worker.labels == {
        "node-role.kubernetes.io/node": "",
        "node-role.kubernetes.io/storage": "",
        "disk": "ssd",
    }


def test_hosts_that_leave_still_have_labels(runtime: Standalone) -> None:
    operation = make_operation("delete")
    assert len(runtime.nodes(RecordedContext(operation, operation.first_master))) == 3


def test_kubectl_says_what_to_do(runtime: Standalone) -> None:
    operation = make_operation()
    with pytest.raises(CommandError) as caught:
        runtime.kubectl(RecordedContext(operation, operation.first_master), "get", "nodes")
    assert (caught.value.status, caught.value.where) == (127, "192.0.2.11")
    assert "spec.runtime" in caught.value.remedy
