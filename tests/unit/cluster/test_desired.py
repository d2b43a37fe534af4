"""A Clusterfile, the command line, or both."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sealer.cluster.desired import Flags, desired, hosts_of_flags, placeholders, recorded_ssh
from sealer.cluster.operate import Intention
from sealer.clusterfile.model import Cluster, Clusterfile, DriverChoice, HostGroup
from sealer.clusterfile.reading import read
from sealer.clusterfile.writing import write
from sealer.errors import InputError, Position
from sealer.extension import Recorded, RecordedHost
from sealer.hosts import Host, Ssh

FILE = Clusterfile(
    cluster=Cluster(
        name="here",
        image="demo:1",
        hosts=(Host("10.0.0.1", ("master",), Ssh("admin", port=2222), env={"A": "host"}),),
        env={"A": "file", "B": "file"},
        ssh=Ssh("admin", private_key="/keys/a"),
        cmd=("file",),
        cmd_args=("a=file",),
    )
)
MADE = Clusterfile(
    cluster=Cluster(provider=DriverChoice("maker"), groups=(HostGroup("node", 1), HostGroup("master", 3, cpu=4)))
)


def merged(base: Clusterfile | None = None, **flags: Any) -> Cluster:
    file = desired(base, Flags(**flags), lambda name: name == "maker")
    assert file.cluster
    return file.cluster


def addresses(cluster: Cluster) -> list[str]:
    return [f"{host.roles[0]} {host.address}" for host in cluster.hosts]


def test_without_flags_the_file_is_what_is_meant() -> None:
    assert merged(FILE) == replace(FILE.cluster, hosts=merged(FILE).hosts)  # type: ignore[type-var]
    assert merged(FILE).hosts[0].ssh == Ssh("admin", port=2222)


def test_fields_of_the_runtime_are_over_the_files_and_decide_what_is_resumed() -> None:
    choice = DriverChoice("kubeadm", {"certificateValidity": "100y", "skipPhases": ["a"]})
    file = Clusterfile(
        cluster=Cluster(runtime=choice, positions={"spec.runtime.skipPhases[0]": Position("Clusterfile", 3, 4)})
    )
    given = ("certificateValidity=10y", "skipPhases=[b, c]", "count= 3", "note=a=b")
    found = desired(file, Flags(masters="10.0.0.1", runtime_options=given), lambda name: False)
    assert found.cluster
    assert found.cluster.runtime.name == "kubeadm"
    assert found.cluster.runtime.options == {
        **{"certificateValidity": "10y", "skipPhases": ["b", "c"], "count": 3, "note": "a=b"}
    }
    assert str(found.cluster.at("spec.runtime.skipPhases[0]")) == "--runtime-option skipPhases=[b, c]"
    again = read(write(found), "recorded", recorded=True).cluster
    assert again and again.runtime.options == found.cluster.runtime.options

    def fingerprint(*options: str) -> str:
        wanted = desired(None, Flags(masters="10.0.0.1", runtime_options=options), lambda name: False)
        return Intention("create", wanted, None, wanted=()).fingerprint(b"key")

    assert fingerprint("certificateValidity=10y") == fingerprint("certificateValidity=10y")
    assert len({fingerprint(), fingerprint("certificateValidity=10y"), fingerprint("certificateValidity=9y")}) == 3


@pytest.mark.parametrize("option", ["certificateValidity", "=10y", "a=[b", "a=b\n---\nc"])
def test_what_is_no_field_of_the_runtime_is_refused(option: str) -> None:
    with pytest.raises(InputError, match=r"--runtime-option"):
        merged(masters="10.0.0.1", runtime_options=(option,))


def test_flags_are_over_the_file_and_hosts_are_added() -> None:
    cluster = merged(
        FILE,
        image="demo:2",
        name="there",
        masters="10.0.0.2",
        nodes="10.0.0.3:23",
        ssh=Ssh("root"),
        cmds=("flag",),
        cmd_args=("a=flag",),
    )
    assert (cluster.image, cluster.name, cluster.cmd, cluster.cmd_args) == ("demo:2", "there", ("flag",), ("a=flag",))
    assert addresses(cluster) == ["master 10.0.0.1", "master 10.0.0.2", "node 10.0.0.3"]
    assert [(host.ssh.user, host.ssh.port) for host in cluster.hosts] == [("root", 2222), ("root", 0), ("root", 23)]
    assert cluster.ssh == Ssh("root", private_key="/keys/a")


def test_env_of_the_command_line_is_over_the_hosts_too() -> None:
    cluster = merged(FILE, env=("A=flag", " C =a=b ", "B="))
    assert cluster.env == {"A": "flag", "B": "", "C": "a=b "}
    assert cluster.hosts[0].env == {"A": "flag", "B": "", "C": "a=b "}


@pytest.mark.parametrize("text", ["A", "=b", " =b", ""])
def test_env_is_given_as_key_and_value(text: str) -> None:
    with pytest.raises(InputError, match="-e") as error:
        merged(FILE, env=(text,))
    assert "KEY=VALUE" in error.value.why


def test_lists_ranges_and_ports() -> None:
    cluster = merged(masters="10.0.0.1, 10.0.0.2:2222", nodes="10.0.1.1-10.0.1.3:23,fd00::2,[fd00::3]:24")
    assert addresses(cluster) == [
        *("master 10.0.0.1", "master 10.0.0.2", "node 10.0.1.1", "node 10.0.1.2", "node 10.0.1.3"),
        *("node fd00::2", "node fd00::3"),
    ]
    assert [host.ssh.port for host in cluster.hosts] == [0, 2222, 23, 23, 23, 0, 24]
    assert [host.ssh.port for host in merged(masters="10.0.0.1,10.0.0.2:1", ssh=Ssh(port=9)).hosts] == [9, 9]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"masters": "10.0.0.300"}, "--masters 10.0.0.300"),
        ({"masters": "3"}, "--masters 3"),
        ({"masters": "10.0.0.1", "nodes": "10.0.0.9-10.0.0.2"}, "--nodes 10.0.0.9-10.0.0.2"),
        ({"masters": "10.0.0.1", "nodes": "10.0.0.1-10.255.255.255"}, "--nodes"),
        ({"masters": "10.0.0.1:70000"}, "--masters"),
        ({"masters": "10.0.0.1", "nodes": "10.0.0.1:2222"}, "10.0.0.1 is named 2 times"),
        ({"masters": "10.0.0.1-10.0.0.3,10.0.0.2"}, "10.0.0.2 is named 2 times"),
        ({"masters": "fd00::2,fd00:0::2"}, "fd00::2 is named 2 times"),
        ({"nodes": "10.0.0.1"}, "No master"),
    ],
)
def test_what_cannot_be_right_is_refused(flags: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as error:
        merged(**flags)
    assert words in str(error.value)


def test_a_host_of_the_file_may_not_be_named_again() -> None:
    with pytest.raises(InputError, match=r"10\.0\.0\.1 is named 2 times"):
        merged(FILE, nodes="10.0.0.1:99")


def test_nobody_named_means_this_machine() -> None:
    (host,) = merged().hosts
    assert host.is_master
    assert host.address


def test_counts_are_for_a_provider_that_makes_hosts() -> None:
    assert merged(masters="3", nodes="2", provider="MAKER").groups == (HostGroup("master", 3), HostGroup("node", 2))
    assert not merged(masters="3", provider="maker").hosts
    wrong: list[dict[str, Any]] = [{"masters": "10.0.0.1"}, {"masters": "-1"}, {"masters": "0"}, {"nodes": "1"}]
    for flags in wrong:
        with pytest.raises(InputError):
            merged(provider="maker", **flags)
    with pytest.raises(InputError, match="need a provider"):
        merged(replace(MADE, cluster=replace(MADE.cluster, provider=DriverChoice())))  # type: ignore[type-var]


def test_a_count_on_the_command_line_is_the_count_of_hosts_as_the_file_describes_them() -> None:
    assert merged(MADE, masters="5").groups == (HostGroup("master", 5, cpu=4), HostGroup("node", 1))
    assert merged(MADE, nodes="0").groups == (HostGroup("master", 3, cpu=4), HostGroup("node", 0))


def test_hosts_that_come_by_flags() -> None:
    hosts = hosts_of_flags(Flags(masters="10.0.0.5:23", nodes="10.0.0.6", ssh=Ssh("admin", port=9)))
    assert [(host.address, host.roles, host.ssh.port) for host in hosts] == [
        ("10.0.0.5", ("master",), 23),
        ("10.0.0.6", ("node",), 9),
    ]
    with pytest.raises(InputError, match=r"10\.0\.0\.5 is named 2 times"):
        hosts_of_flags(Flags(masters="10.0.0.5", nodes="10.0.0.5"))


def test_placeholders_keep_those_that_are_there_and_fill_what_is_missing() -> None:
    def made(*names: str) -> list[Host]:
        return [Host(f"10.0.0.{n}", (name[:-2],), placeholder=name) for n, name in enumerate(names, 1)]

    def names(groups: list[HostGroup], taken: list[Host]) -> list[str]:
        return [host.placeholder for host in placeholders(groups, taken, Ssh())]

    two = [HostGroup("master", 1), HostGroup("node", 2)]
    assert names(two, []) == ["master-0", "node-0", "node-1"]
    assert names(two, made("master-0", "node-1")) == ["master-0", "node-1", "node-0"]
    assert names(two, made("node-9", "node-2", "node-1")) == ["master-0", "node-1", "node-2"]
    assert names([HostGroup("node", 1), HostGroup("node", 2)], made("node-0")) == ["node-0", "node-1", "node-2"]
    assert names([HostGroup("node", 0)], made("node-0")) == []
    assert [host.address for host in placeholders(two, made("master-0"), Ssh())] == ["10.0.0.1", "", ""]


def test_the_recorded_login_fills_what_is_not_given() -> None:
    known = Host("10.0.0.1", ssh=Ssh("admin", private_key="/keys/a", port=2222))
    recorded = Recorded("here", "running", (RecordedHost(known),), Clusterfile())
    given = Host("10.0.0.1", ("master",), Ssh("root"))
    assert recorded_ssh(given, recorded).ssh == Ssh("root", private_key="/keys/a", port=2222)
    assert recorded_ssh(replace(given, address="10.0.0.2"), recorded).ssh == Ssh("root")
    assert recorded_ssh(Host("", placeholder="node-0"), recorded).ssh == Ssh()
    assert recorded_ssh(given, None) == given
