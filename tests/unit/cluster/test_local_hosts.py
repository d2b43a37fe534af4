"""Which hosts are this machine itself, and how those that a cluster has are reached later."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sealer.cluster.driver_choice import DriverNames, DriverRequest, choose_drivers
from sealer.cluster.home import ClusterHome
from sealer.cluster.state import load, save, save_pending
from sealer.clusterfile.model import Cluster, Clusterfile
from sealer.events import EventStream
from sealer.extension.operation import Recorded, RecordedHost
from sealer.hosts import MASTER, Host, Ssh, is_this_machine
from sealer.redaction import Secret
from sealer.settings import Settings

HERE, FAR = "127.0.0.1", "203.0.113.9"
PASSWORD = Ssh(password=Secret("of-all-hosts"))
SEEN = "0" * 32


def is_local(host: Host, recorded: RecordedHost | None, home: Path) -> bool:
    """Whether the transport that is chosen is another one than that of a host that is far away."""
    far = Host(FAR, (MASTER,))
    known = Recorded("a", "running", (recorded,), Clusterfile()) if recorded else None
    names = DriverNames.of(Cluster(), None, None)
    request = DriverRequest(Cluster(), names, (host, far), known, home, threading.Event(), plan_only=True)
    drivers = choose_drivers(request, Settings(home=home), EventStream())
    return drivers.transport_of(host) is not drivers.transport_of(far)


@pytest.mark.parametrize(
    ("address", "ssh", "local"),
    [
        (HERE, Ssh(), True),
        ("::1", Ssh(), True),
        ("127.8.7.6", Ssh(), True),
        (HERE, Ssh(port=2222), False),
        (HERE, Ssh(port=22), False),
        (HERE, Ssh(user="root"), False),
        (HERE, PASSWORD, False),
        (HERE, Ssh(private_key="/key"), False),
        (HERE, Ssh(private_key_password=Secret("of-the-key-1")), False),
        (FAR, Ssh(), False),
        ("", Ssh(), False),
    ],
)
def test_a_new_host(address: str, ssh: Ssh, local: bool, tmp_path: Path) -> None:
    assert is_local(Host(address, (MASTER,), ssh), None, tmp_path) is local


@pytest.mark.parametrize(
    ("recorded", "now", "key", "local"),
    [
        (Ssh(), PASSWORD, "", True),  # a password for the others
        (Ssh(user="root", port=2222), Ssh(user="root", port=2222), "", True),  # made by a sealer that took it so
        (Ssh(), Ssh(port=2222), "", False),  # which may lead to another machine
        (Ssh(), Ssh(), "SHA256:abc", False),
        (Ssh(user="root"), Ssh(user="root"), "SHA256:abc", False),
    ],
)
def test_a_host_goes_on_being_reached_as_it_was(recorded: Ssh, now: Ssh, key: str, local: bool, tmp_path: Path) -> None:
    entry = RecordedHost(Host(HERE, (MASTER,), recorded), SEEN, key, True)
    assert is_local(Host(HERE, (MASTER,), now), entry, tmp_path) is local


@pytest.mark.parametrize("ssh", [PASSWORD, Ssh(private_key="-----BEGIN OPENSSH PRIVATE KEY-----\nx\n")])
def test_that_there_was_a_login_is_recorded_where_all_of_it_is_secret(ssh: Ssh, tmp_path: Path) -> None:
    """A run that was killed before it saw the host must not leave one that is deleted from this machine."""
    home = ClusterHome.of(tmp_path, "a")
    home.directory.mkdir()
    save_pending(home, Clusterfile(cluster=Cluster(name="a", image="a:1", hosts=(Host(HERE, (MASTER,)),))))
    save(home, Recorded("a", "creating", (RecordedHost(Host(HERE, (MASTER,), ssh)),), Clusterfile()))
    found = load(home)
    assert found
    (entry,) = found.hosts
    assert entry.host.ssh == Ssh(user="root")
    assert not is_local(entry.host, entry, tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="a network of its own is made by root")
def test_an_address_that_can_be_bound_need_not_be_this_machines() -> None:
    """Balancers bind addresses that another machine has at the time."""
    program = "from sealer.hosts import is_this_machine as own; print(own('10.1.2.3'), own('10.1.2.4'), own('fd00::3'))"
    script = (
        "ip link set lo up; ip address add 10.1.2.3/32 dev lo; ip -6 address add fd00::3/128 dev lo;"
        "ip route add default dev lo; sysctl -qw net.ipv4.ip_nonlocal_bind=1;"
        f'exec {sys.executable} -c "{program}"'
    )
    command = ["unshare", "--net", "--mount", "sh", "-c", script]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "True False True\n"
    assert not is_this_machine(FAR)
