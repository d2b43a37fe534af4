"""What an apply would change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from sealer.cluster.changes import Changes, changes, refuse_uncovered
from sealer.clusterfile.model import (
    Cluster,
    Clusterfile,
    ConfigDocument,
    DriverChoice,
    ExternalRegistry,
    HostAlias,
    HostGroup,
    KubeadmDocument,
    LocalRegistry,
    PluginDocument,
    RegistrySpec,
)
from sealer.clusterfile.secrets import without_secrets
from sealer.errors import Position, RefusedError
from sealer.extension import Recorded, RecordedHost
from sealer.hosts import Host, Ssh
from sealer.redaction import Secret

MASTER, NODE, NEW = Host("10.0.0.1", ("master",)), Host("10.0.0.2"), Host("10.0.0.3")
CLUSTER = Cluster(name="here", image="demo:1", hosts=(MASTER, NODE), groups=(HostGroup("node", 2, cpu=2),))
SHELL = PluginDocument("tell", "SHELL", data="echo")
CONFIG = ConfigDocument("site", "etc/site.conf", "a: 1")
FILE = Clusterfile(cluster=CLUSTER, plugins=(SHELL,), configs=(CONFIG,))


def recorded(file: Clusterfile = FILE, hosts: Sequence[RecordedHost] = ()) -> Recorded:
    given = hosts or [RecordedHost(host, member=True) for host in (MASTER, NODE)]
    return Recorded("here", "running", tuple(given), without_secrets(file), "demo:1", "sha256:1")


def found(desired: Clusterfile = FILE, hosts: Sequence[Host] = (MASTER, NODE)) -> Changes:
    return changes(recorded(), desired, hosts)


def changed(**fields: object) -> tuple[str, ...]:
    """The changed fields when these fields of the cluster are others."""
    return found(replace(FILE, cluster=replace(CLUSTER, **fields))).fields  # type: ignore[arg-type]


def test_nothing_changed() -> None:
    assert found() == Changes(kept=(MASTER, NODE))
    assert found().none


def test_hosts_come_stay_and_go() -> None:
    assert found(hosts=(MASTER, NEW)) == Changes(added=(NEW,), removed=(NODE,), kept=(MASTER,))
    assert not found(hosts=(MASTER, NEW)).none


def test_a_host_whose_joining_did_not_end_is_added_again_or_removed() -> None:
    half = recorded(hosts=[RecordedHost(MASTER, member=True), RecordedHost(NODE, member=False)])
    assert changes(half, FILE, (MASTER, NODE)) == Changes(added=(NODE,), kept=(MASTER,))
    assert changes(half, FILE, (MASTER,)) == Changes(removed=(NODE,), kept=(MASTER,))


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"env": {"A": "1"}}, "spec.env"),
        ({"image": "demo:2"}, "spec.image"),
        ({"provider": DriverChoice("nspawn")}, "spec.provider"),
        ({"runtime": DriverChoice("", {"version": "2"})}, "spec.runtime"),
        ({"registry": RegistrySpec("x")}, "spec.registry"),
        ({"registry": RegistrySpec(local=LocalRegistry(port=1))}, "spec.registry"),
        ({"registry": RegistrySpec(external=ExternalRegistry("a"))}, "spec.registry"),
        ({"registry": RegistrySpec(options={"replicas": 2})}, "spec.registry"),
        ({"pod_cidr": "10.1.0.0/16"}, "spec.network.podCIDR"),
        ({"service_cidr": "10.1.0.0/16"}, "spec.network.svcCIDR"),
        ({"cert_sans": ("a",)}, "spec.certSANS"),
        ({"container_runtime": "docker"}, "spec.containerRuntime"),
        ({"host_aliases": (HostAlias("10.0.0.9", ("a",)),)}, "spec.hostAliases"),
        ({"data_root": "/data"}, "spec.dataRoot"),
        ({"cmd": ("a",)}, "spec.cmd"),
        ({"cmd_args": ("a=b",)}, "spec.cmd_args"),
        ({"groups": (HostGroup("node", 2, cpu=4),)}, "spec.nodes"),
    ],
)
def test_a_changed_field_is_named_as_the_user_spells_it(fields: dict[str, object], name: str) -> None:
    assert changed(**fields) == (name,)


@pytest.mark.parametrize(
    "fields",
    [
        {"ssh": Ssh("admin", Secret("given-by-test-changes"), port=2222)},
        {"authorize_key": False},
        {"labels": {"a": "b"}},
        {"provider": DriverChoice(position=Position("Clusterfile", 3, 4))},
        {"runtime": DriverChoice(options={"token": "a secret"})},
        {"registry": RegistrySpec(local=LocalRegistry(password=Secret("given-by-test-changes")))},
        {"image": ""},
        {"groups": (HostGroup("node", 3, cpu=2),)},
        {"groups": (HostGroup("node", 2, cpu=2), HostGroup("node", 1, cpu=8))},
        {"groups": ()},
    ],
)
def test_ways_to_log_in_secrets_places_and_numbers_of_hosts_are_no_fields(fields: dict[str, object]) -> None:
    assert changed(**fields) == ()


@pytest.mark.parametrize(
    ("host", "name"),
    [
        (replace(NODE, roles=("master",)), "roles"),
        (replace(NODE, env={"A": "1"}), "env"),
        (replace(NODE, labels={"a": "b"}), "labels"),
        (replace(NODE, taints=("a:NoExecute",)), "taints"),
        (replace(NODE, ssh=Ssh("admin", Secret("given-by-test-changes"))), ""),
    ],
)
def test_a_host_that_stays_is_compared_field_by_field(host: Host, name: str) -> None:
    assert found(hosts=(MASTER, host)).fields == ((f"spec.hosts[10.0.0.2].{name}",) if name else ())


def test_documents_are_compared_wherever_they_stand() -> None:
    moved = Clusterfile(
        cluster=CLUSTER,
        plugins=(replace(SHELL, position=Position("other", 8, 1), data_position=Position("other", 9, 1)),),
        configs=(replace(CONFIG, position=Position("other", 7, 1)),),
    )
    assert found(moved).none
    assert not found(moved).plugins
    assert found(replace(FILE, configs=(replace(CONFIG, data="a: 2"),))).fields == ("Config",)
    assert found(replace(FILE, configs=())).fields == ("Config",)
    assert found(replace(FILE, kubeadm=(KubeadmDocument("v1", "ClusterConfiguration", {}),))).fields == ("kubeadm",)


def test_plugins_that_were_edited_added_or_removed_are_named_and_no_change() -> None:
    more = (replace(SHELL, data="other"), replace(SHELL, name="more"))
    assert found(replace(FILE, plugins=more)).plugins == ("more", "tell")
    assert found(replace(FILE, plugins=())).plugins == ("tell",)
    assert found(replace(FILE, plugins=more)).none


def test_what_no_step_covers_is_refused_by_name() -> None:
    wanted = Changes(fields=("spec.env", "spec.hosts[10.0.0.2].env", "Config", "spec.image", "spec.cmd"))
    refuse_uncovered(wanted, frozenset({"spec.env", "spec.hosts.env", "Config", "spec.image", "spec.cmd"}))
    with pytest.raises(RefusedError, match=r"cannot change spec\.image, spec\.cmd of") as error:
        refuse_uncovered(wanted, frozenset({"spec.env", "spec.hosts.env", "Config"}))
    assert "cannot upgrade" in error.value.why
    with pytest.raises(RefusedError, match=r"cannot change spec\.hosts\[10\.0\.0\.2\]\.env of"):
        refuse_uncovered(Changes(fields=wanted.fields[1:2]), frozenset({"spec.env"}))
