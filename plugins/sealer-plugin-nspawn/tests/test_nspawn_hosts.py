from __future__ import annotations

import contextlib
import ipaddress
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from sealer.errors import CommandError, SealerError
from sealer.events import EventStream
from sealer.hosts import Host
from sealer.redaction import Secret
from sealer.settings import Settings
from sealer_plugin_nspawn import boot, network
from sealer_plugin_nspawn.cgroups import HostGroups
from sealer_plugin_nspawn.footprint import footprint_of_hosts
from sealer_plugin_nspawn.machines import Machines, Wanted, wanted
from sealer_plugin_nspawn.options import Options
from sealer_plugin_nspawn.provider import NspawnProvider
from sealer_plugin_nspawn.record import Records
from sealer_plugin_nspawn.testing import clear_stale, on_host, real_hosts

pytestmark = pytest.mark.lab


@pytest.fixture
def known(tmp_path: Path) -> Path:
    return tmp_path / "known_hosts"


@pytest.fixture
def machines(options: Options, known: Path) -> Machines:
    return Machines("hosts", owner="here", options=options, known=known)


def make(machines: Machines, count: int) -> list[Host]:
    return [state.host for state in machines.up(wanted(count))]


def await_reboot(host: Host, before: str) -> str:
    """The boot after the one with the id `before`."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if boot.answers(host.address):
            try:
                now = on_host(host, "cat /proc/sys/kernel/random/boot_id")
            except CommandError:  # it goes down just now
                continue
            if now != before:
                return now
    pytest.fail("the host did not come back")


def test_a_host_is_a_whole_debian(machines: Machines, known: Path) -> None:
    host, other = make(machines, 2)
    assert on_host(host, "systemctl is-system-running --wait", known) == "running"
    assert on_host(host, "cat /proc/1/comm; hostname; id -u") == "systemd\nmaster-0\n0"
    assert on_host(host, "timeout 3 getent hosts master-0").startswith(host.address)  # no name server is waited for
    assert on_host(host, "stat -c %a / /root /etc/ssh /tmp").split() == ["755", "700", "755", "1777"]
    on_host(host, f"ping -c 1 -W 2 {other.address}")
    assert on_host(host, "cat /etc/machine-id") != on_host(other, "cat /etc/machine-id")
    on_host(host, "mkdir /sys/fs/cgroup/pids/x 2>/dev/null || mkdir /sys/fs/cgroup/x")
    on_host(host, "test -d /sys/module && test -w /proc/sys/vm/overcommit_memory")
    assert on_host(host, "findmnt -n -o FSTYPE -T /var/lib/containerd") != "overlay"


def test_the_footprint_is_seen(machines: Machines, options: Options) -> None:
    before = footprint_of_hosts(options.state)
    make(machines, 1)
    assert {thing.split()[0] for thing in footprint_of_hosts(options.state) - before} == {
        "interface",
        "rule",
        "group",
        "process",
    }


def test_no_key_is_believed_blindly_nor_kept(machines: Machines, known: Path) -> None:
    known.write_text("198.51.100.1 ssh-ed25519 AAAA\n")
    (host,) = make(machines, 1)
    assert on_host(host, "true", known) == ""
    machines.down()
    assert known.read_text() == "198.51.100.1 ssh-ed25519 AAAA\n"


def test_root_has_no_password_unless_one_is_given(options: Options, tmp_path: Path) -> None:
    with_password = replace(options, password=Secret("Wild-card9"))
    machines = Machines("open", owner="here", options=with_password)
    (host,) = make(machines, 1)
    asked = tmp_path / "asked"
    asked.write_text("#!/bin/sh\necho Wild-card9\n")
    asked.chmod(0o700)
    login = ["-o", "PubkeyAuthentication=no", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    subprocess.run(
        ["ssh", *login, f"root@{host.address}", "true"],
        env={**os.environ, "SSH_ASKPASS": str(asked), "SSH_ASKPASS_REQUIRE": "force"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        timeout=30,
    )
    (lab,) = Records(options.state).all()
    assert "Wild-card9" not in (lab.directory / "record.json").read_text()
    assert on_host(host, "stat -c '%a %U:%G' /etc/shadow") == "640 root:shadow"
    closed = Machines("closed", owner="here", options=options)
    assert on_host(make(closed, 1)[0], "passwd -S root").split()[1] == "L"


def test_limits(machines: Machines, options: Options) -> None:
    machines.up([Wanted("node-0", "node", cpu=1, memory=512)])
    (lab,) = Records(options.state).all()
    limits = [
        int(file.read_text())
        for group in HostGroups(lab, lab.machines["node-0"]).groups
        for file in (group / "memory.limit_in_bytes", group / "memory.max")
        if file.exists()
    ]
    assert limits == [512 << 20]


def test_a_cut_host_is_silent_until_it_is_mended(machines: Machines) -> None:
    host, other = make(machines, 2)
    with socket.create_connection((host.address, 22), timeout=2) as connection:
        assert connection.recv(4) == b"SSH-"
        machines.cut("master-0")
        assert [state.connected for state in machines.list()] == [False, True]
        connection.settimeout(0.5)
        connection.sendall(b"SSH-2.0-test\r\n")
        with pytest.raises(TimeoutError):  # neither answered nor closed
            while connection.recv(4096):
                pass
        assert boot.answers(other.address)
        assert not boot.answers(host.address)
        machines.mend(host.address)
        assert on_host(host, "echo back") == "back"


def test_a_killed_host_boots_again_with_its_files(machines: Machines, known: Path) -> None:
    host, other = make(machines, 2)
    on_host(host, "echo kept >/root/file && sync")
    machines.kill("master-0")
    assert [state.running for state in machines.list()] == [False, True]
    assert not boot.answers(host.address)
    machines.boot("master-0")
    assert on_host(host, "cat /root/file", known) == "kept"
    machines.kill("node-0")
    machines.up(wanted(2))
    assert on_host(other, "echo back", known) == "back"


def test_a_host_with_a_paused_container_is_killed_too(machines: Machines) -> None:
    (host,) = make(machines, 1)
    pause = """cd /sys/fs/cgroup; [ ! -d freezer ] || cd freezer
    mkdir paused
    sleep 1000 </dev/null >/dev/null 2>&1 &
    echo $! >paused/cgroup.procs
    if [ -e paused/freezer.state ]; then echo FROZEN >paused/freezer.state; else echo 1 >paused/cgroup.freeze; fi"""
    on_host(host, pause)
    machines.kill("master-0")
    assert [state.running for state in machines.list()] == [False]


def slow_to_stop(host: Host, seconds: str) -> str:
    """Give a host a service that takes so long to stop; gives the id of the host's boot."""
    properties = f"-p RemainAfterExit=yes -p ExecStop='/bin/sleep {seconds}' -p TimeoutStopSec=infinity"
    return on_host(host, f"systemd-run --quiet {properties} true; cat /proc/sys/kernel/random/boot_id")


def test_a_host_that_does_not_shut_down_in_time_is_killed(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boot, "STOP_PATIENCE", 4.0)
    host, _ = make(machines, 2)
    slow_to_stop(host, "1000")
    assert machines.shut_down(["master-0", "node-0"]) == ["master-0"]
    assert [state.running for state in machines.list()] == [False, False]
    assert machines.shut_down(["master-0", "node-0"]) == []


def test_a_start_completes_a_shutdown_that_was_cut_short(machines: Machines, options: Options) -> None:
    """A host that is on its way down must not count as one that runs already."""
    (host,) = make(machines, 1)
    before = slow_to_stop(host, "3")

    def cut_short(off: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        machines.shut_down(["master-0"], cut_short)
    (lab,) = Records(options.state).all()
    assert boot.running(lab, lab.machines["master-0"])
    assert [state.running for state in machines.list()] == [False]
    assert [state.running for state in machines.start(["master-0"])] == [True]
    assert on_host(host, "cat /proc/sys/kernel/random/boot_id") != before


def test_a_dead_host_is_not_connected(machines: Machines) -> None:
    make(machines, 1)
    machines.kill("master-0")
    with pytest.raises(SealerError, match="master-0 cannot be connected: it does not run"):
        machines.mend("master-0")


def test_after_the_machine_restarted(machines: Machines, options: Options, known: Path) -> None:
    hosts = make(machines, 2)
    (lab,) = Records(options.state).all()
    for machine in lab.machines.values():
        machines.kill(machine.name)
        HostGroups(lab, machine).remove()
    network.remove_bridge(lab)
    assert machines.boot() == machines.list()
    assert [on_host(host, "hostname", known) for host in hosts] == ["master-0", "node-0"]


def test_a_host_can_reboot_by_itself(machines: Machines) -> None:
    (host,) = make(machines, 1)
    before = on_host(host, "cat /proc/sys/kernel/random/boot_id; (sleep 0.2; reboot) >/dev/null 2>&1 &")
    assert await_reboot(host, before) != before


def test_what_runs_is_let_be(machines: Machines) -> None:
    hosts = make(machines, 2)
    before = [on_host(host, "cat /proc/sys/kernel/random/boot_id") for host in hosts]
    more = make(machines, 3)
    assert more[0] == hosts[0] and more[1] == hosts[1]
    assert [on_host(host, "cat /proc/sys/kernel/random/boot_id") for host in hosts] == before


def test_hosts_outlive_whoever_made_them(options: Options) -> None:
    command = [sys.executable, "-m", "sealer_plugin_nspawn", "--owner", "here", "--state", str(options.state)]
    maker = subprocess.Popen([*command, "up", "hosts", "1"], start_new_session=True, stdout=subprocess.PIPE, text=True)
    assert maker.stdout
    address = maker.stdout.readline().strip()
    with contextlib.suppress(ProcessLookupError):  # it may have ended by itself
        os.killpg(maker.pid, signal.SIGKILL)
    maker.wait(30)
    maker.stdout.close()
    (state,) = Machines("hosts", owner="here", options=options).list()
    assert (state.address, state.running) == (address, True)
    assert on_host(state.host, "echo here") == "here"


@dataclass
class SlowMachine:
    """A machine on which a process that is to boot a host comes to nothing until it is told to go on."""

    directory: Path

    def __post_init__(self) -> None:
        os.mkfifo(self.directory / "began")
        os.mkfifo(self.directory / "go")
        program = self.directory / "unshare"
        real = shutil.which("unshare")
        program.write_text(f'#!/bin/sh\ncd {self.directory}\n: >began\nread line <go\nexec {real} "$@"\n')
        program.chmod(0o755)

    def await_start(self) -> None:
        (self.directory / "began").read_text()

    def go_on(self) -> None:
        (self.directory / "go").write_text("on\n")


@pytest.fixture
def slow(tmp_path: Path, machines: Machines, monkeypatch: pytest.MonkeyPatch) -> SlowMachine:
    machines.prepare()  # which calls the same program
    slow = SlowMachine(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return slow


def test_a_host_that_is_slow_to_start_is_waited_for(machines: Machines, slow: SlowMachine) -> None:
    with ThreadPoolExecutor() as threads:
        making = threads.submit(make, machines, 1)
        slow.await_start()
        done, _ = wait([making], timeout=1.0)  # a host that does not run is found out after 0.3 s
        slow.go_on()
        assert not done
        assert on_host(making.result()[0], "hostname") == "master-0"


def test_a_host_is_found_right_after_its_maker_was_killed(options: Options, slow: SlowMachine) -> None:
    command = [sys.executable, "-m", "sealer_plugin_nspawn", "--owner", "/here", "--state", str(options.state)]
    with ThreadPoolExecutor() as threads, subprocess.Popen([*command, "up", "hosts", "1"]) as maker:
        slow.await_start()
        maker.kill()
        maker.wait(30)
        provider = NspawnProvider(Settings(home=Path("/here")), EventStream(), {"stateDir": str(options.state)})
        finding = threads.submit(provider.find, "hosts")
        done, _ = wait([finding], timeout=0.5)
        slow.go_on()
        assert not done
        assert [host.placeholder for host in finding.result()] == ["master-0"]


def test_two_sealers_at_the_same_moment(options: Options) -> None:
    command = [sys.executable, "-m", "sealer_plugin_nspawn", "--state", str(options.state)]
    makers = [
        subprocess.Popen([*command, "--owner", owner, "up", "same", "2"], stdout=subprocess.PIPE, text=True)
        for owner in ("/one", "/two", "/three")
    ]
    addresses = [maker.communicate(timeout=120)[0].split() for maker in makers]
    assert [maker.returncode for maker in makers] == [0, 0, 0]
    assert len({address for several in addresses for address in several}) == 6
    assert len({several[0].rpartition(".")[0] for several in addresses}) == 3
    one, two = (Machines("same", owner=owner, options=options) for owner in ("/one", "/two"))
    one.down()
    assert one.list() == []
    assert [on_host(state.host, "hostname") for state in two.list()] == ["master-0", "node-0"]


def test_all_may_take_a_cluster_away_at_once(options: Options) -> None:
    """Two test runs begin at the same moment, say, and both find what a third one left."""
    machines = [Machines("shared", owner="here", options=options) for _ in range(6)]
    together = threading.Barrier(len(machines))

    def down(one: Machines) -> None:
        together.wait()
        one.down()

    for _ in range(5):
        machines[0].reserve(wanted(1))
        with ThreadPoolExecutor(len(machines)) as threads:
            list(threads.map(down, machines))
        assert Records(options.state).all() == []


def two_free_networks() -> ipaddress.IPv4Network:
    """Room for two clusters, far from where others look for theirs first."""
    used = network.networks_in_use()
    candidates = ipaddress.IPv4Network("198.19.0.0/16").subnets(new_prefix=23)
    return next(one for one in reversed(list(candidates)) if not any(one.overlaps(other) for other in used))


def test_networks_of_the_machine_are_left_alone(options: Options) -> None:
    both = two_free_networks()
    small = replace(options, subnet=both)
    first, second = (Machines(name, owner="here", options=small) for name in ("first", "second"))
    first.reserve(wanted(1))
    second.reserve(wanted(1))
    assert {lab.subnet for lab in Records(options.state).all()} == set(both.subnets(new_prefix=24))
    elsewhere = replace(small, state=options.state.parent / "elsewhere")
    with pytest.raises(SealerError, match="no free network"):
        Machines("third", owner="here", options=elsewhere).reserve(wanted(1))
    assert not elsewhere.state.exists()


def test_a_number_taken_before_its_bridge_was_made(options: Options, tmp_path: Path) -> None:
    machines = Machines("late", owner="here", options=options)
    machines.reserve(wanted(1))
    (lab,) = Records(options.state).all()
    network.remove_bridge(lab)  # as after a kill between the record and the bridge
    other = Machines("other", owner="here", options=replace(options, state=tmp_path / "other"))
    other.reserve(wanted(1))
    try:
        (state,) = machines.up(wanted(1))
        assert on_host(state.host, "hostname") == "master-0"
        assert {state.address for state in machines.list()}.isdisjoint(state.address for state in other.list())
    finally:
        other.down()


def test_the_helper_for_tests_clears_what_was_left(options: Options) -> None:
    lost = "import os, signal; from pathlib import Path; from sealer_plugin_nspawn import options, testing\n"
    lost += f"with testing.real_hosts(1, 'mine', options=options.Options(state=Path({str(options.state)!r}))):\n"
    lost += "    os.kill(os.getpid(), signal.SIGKILL)\n"
    done = subprocess.run([sys.executable, "-c", lost], timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(Records(options.state).all()) == 1
    with real_hosts(1, "mine", options=options) as hosts:
        assert [host.roles for host in hosts] == [("master",)]
        clear_stale(options)
        assert on_host(hosts[0], "hostname") == "master-0"
    assert Records(options.state).all() == []
