from __future__ import annotations

from pathlib import Path

import pytest

from sealer.clusterfile.model import Cluster, HostGroup
from sealer.errors import InputError
from sealer.events import EventStream, Json
from sealer.extension import OPERATOR
from sealer.hosts import Host
from sealer.settings import Settings
from sealer.testing import make_operation
from sealer_plugin_nspawn.command import main
from sealer_plugin_nspawn.options import Options
from sealer_plugin_nspawn.provider import NspawnProvider


def provider(tmp_path: Path, events: EventStream | None = None, **options: Json) -> NspawnProvider:
    fields: dict[str, Json] = {"stateDir": str(tmp_path / "state"), **options}
    return NspawnProvider(Settings(home=tmp_path / "home"), events or EventStream(), fields)


def test_steps_are_on_the_operator_and_tell_what_they_do(tmp_path: Path) -> None:
    hosts = [Host("", ("master",), placeholder="master-0"), Host("", ("node",), placeholder="node-0")]
    operation = make_operation("create", hosts=hosts)
    steps = provider(tmp_path).reconcile(operation)
    assert [(step.id, step.on) for step in steps] == [("base", OPERATOR), ("network", OPERATOR), ("boot", OPERATOR)]
    assert steps[-1].title == "Boot master-0, node-0"
    assert list(tmp_path.iterdir()) == []


def test_a_password_is_no_input_of_a_step(tmp_path: Path) -> None:
    operation = make_operation("create", hosts=[Host("", ("master",), placeholder="master-0")])
    steps = provider(tmp_path, password="Wild-card9").reconcile(operation)
    assert "Wild-card9" not in str([(step.title, dict(step.inputs)) for step in steps])


def test_disks_are_ignored_aloud(tmp_path: Path) -> None:
    events = EventStream()
    seen: list[str] = []
    events.subscribe(lambda event: seen.append(event.message))
    spec = Cluster(name="c", groups=(HostGroup("master", 1, system_disk=40),))
    operation = make_operation("create", hosts=[Host("", ("master",), placeholder="master-0")], spec=spec)
    provider(tmp_path, events).reconcile(operation)
    assert [message for message in seen if "systemDisk" in message]


def test_hosts_with_an_address_are_none_of_ours(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"NSPAWN cannot give a host the address 192\.0\.2\."):
        provider(tmp_path).reconcile(make_operation("create"))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("subnet", "198.18.0.0/25"),
        ("subnet", "198.18.0.1/16"),
        ("subnet", "fd00::/64"),
        ("stateDir", "/run/sealer"),
        ("stateDir", "/var/lib/a,b"),
        ("cacheDir", "relative"),
    ],
)
def test_values_that_cannot_be_used(field: str, value: str) -> None:
    with pytest.raises(InputError, match=f"spec.provider.{field}"):
        Options.from_fields({field: value})


def test_a_command_on_no_cluster_is_a_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = str(tmp_path / "state")
    assert main(["--state", state, "list"]) == 0
    assert main(["--state", state, "console", "nothing", "master-0"]) == 2
    assert "there is no cluster nothing" in capsys.readouterr().err
