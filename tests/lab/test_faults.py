"""What goes wrong in machine rooms: each ends with the right message and status, and the same command finishes."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lab_site import Site

from sealer_plugin_nspawn.machines import Machines

pytestmark = pytest.mark.lab

Eventually = Callable[[Callable[[], bool], float], None]
MASTER_MARKS = ["pre-init", "init", "pre-guest", "cmd-1", "cmd-2", "post-install"]
NODE_MARKS = ["pre-init", "init", "post-install"]


def done_once(site: Site) -> bool:
    """Every script of the image ran once on every host it is for."""
    marks = {address: [mark.split()[0] for mark in lines] for address, lines in site.marks().items()}
    return marks == {host.address: MASTER_MARKS if host.is_master else NODE_MARKS for host in site.hosts}


@pytest.fixture
def hook(site: Site) -> Iterator[Callable[[int, str], None]]:
    """What `scripts/init.sh` does on a host, beside leaving its mark; nothing again at the end."""

    def put(number: int, script: str) -> None:
        site.on(number, f"cat > /root/init-hook <<'EOF'\n{script}\nEOF")

    yield put
    for number in range(len(site.hosts)):
        site.on(number, "rm -f /root/init-hook")


def name_of(machines: Machines, site: Site, number: int) -> str:
    return next(state.name for state in machines.list() if state.address == site.hosts[number].address)


# -- ways in ---------------------------------------------------------------------------------------------------------


def test_a_wrong_password(site: Site, tmp_path: Path) -> None:
    site.write(ssh={"user": "root", "passwd": "wrong-password"})
    # Neither agent nor default keys of whoever runs the tests may let it in.
    output = site.apply(status=1, HOME=str(tmp_path), SSH_AUTH_SOCK="")
    assert all(host.address in output for host in site.hosts)
    assert "login as root was refused" in output
    assert "password" in output
    assert "wrong-password" not in output
    assert not any(site.marks().values())
    assert site.on(0, "ls /var/lib/sealer 2>/dev/null || true") == ""
    site.write()
    site.apply()
    assert done_once(site)


def test_an_unreachable_host(site: Site) -> None:
    network = site.hosts[0].address.rpartition(".")[0]
    stranger = f"{network}.250"
    site.write()
    text = site.clusterfile.read_text()
    site.clusterfile.write_text(text.replace(site.hosts[2].address, stranger))
    output = site.apply(status=1)
    assert stranger in output
    assert "no connection" in output
    assert not any(site.marks().values())
    site.clusterfile.write_text(text)
    site.apply()
    assert done_once(site)


def test_a_host_that_allows_three_sessions(site: Site) -> None:
    site.on(1, "echo 'MaxSessions 3' > /etc/ssh/sshd_config.d/sessions.conf; systemctl reload ssh")
    try:
        site.write()
        site.apply()
        assert done_once(site)
    finally:
        site.on(1, "rm /etc/ssh/sshd_config.d/sessions.conf; systemctl reload ssh")


def test_a_host_key_that_changed(site: Site) -> None:
    site.write()
    site.apply()
    site.on(1, "mkdir /root/keys; mv /etc/ssh/ssh_host_* /root/keys; ssh-keygen -A > /dev/null; systemctl restart ssh")
    try:
        output = site.delete(status=1)
        assert site.hosts[1].address in output
        assert "key" in output
        assert "known_hosts" in output
        assert "running" in site.sealer("status", "--name", site.name)
    finally:
        site.on(1, "mv /root/keys/* /etc/ssh/; rmdir /root/keys; systemctl restart ssh")
    site.delete()
    assert site.on(1, "ls /var/lib/sealer 2>/dev/null || true") == ""


@pytest.mark.parametrize("sudoers", ["ALL=(ALL) ALL", "ALL=(ALL) NOPASSWD: ALL"], ids=["password", "no password"])
def test_a_user_who_is_not_root(site: Site, sudoers: str) -> None:
    for number in range(3):
        site.on(number, "useradd -m -s /bin/bash ops && echo 'ops:Ops-passw0rd' | chpasswd")
        site.on(number, f"echo 'ops {sudoers}' > /etc/sudoers.d/ops")
    try:
        site.write(ssh={"user": "ops"})
        output = site.apply(SEALER_PASSWD="Ops-passw0rd")
        assert "Ops-passw0rd" not in output
        assert done_once(site)
        assert site.on(0, "stat -c %U /root/marks") == "root"
        assert site.on(0, "stat -c %U /home/ops/.ssh/authorized_keys") == "ops"
        site.sealer("delete", "--all", "--name", site.name, "--yes", SEALER_PASSWD="Ops-passw0rd")
        assert site.on(0, "ls -d /home/ops/.ssh /var/lib/sealer 2>/dev/null || true") == ""
        kept = subprocess.run(["grep", "-rl", "Ops-passw0rd", str(site.home)], capture_output=True, check=False)
        assert not kept.stdout
    finally:
        for number in range(3):
            site.on(number, "userdel -r ops 2>/dev/null; rm -f /etc/sudoers.d/ops")


@pytest.fixture
def start_up_file(site: Site) -> Iterator[Callable[[str], None]]:
    """Put a line into root's .bashrc on host 1, for every command but the test's own; its old content at the end."""
    site.on(1, "cp -p /root/.bashrc /root/bashrc.before")

    def put(line: str) -> None:
        script = f"case $BASH_EXECUTION_STRING in ': by hand;'*) ;; *) {line} ;; esac"
        site.on(1, f": by hand; echo {shlex.quote(script)} > /root/.bashrc")

    yield put
    site.on(1, ": by hand; mv /root/bashrc.before /root/.bashrc")


def test_a_start_up_file_that_exits(site: Site, start_up_file: Callable[[str], None]) -> None:
    """Status 0 of a login shell is no proof that the command ran: the cluster is not forgotten."""
    site.write()
    site.apply()
    start_up_file("echo closed; exit 0")
    there = site.hosts[1].address
    output = site.sealer("exec", "--name", site.name, "--hosts", there, "--", "touch", "/root/touched", status=1)
    assert f"{there}: Run the command\n  the host did not run the command" in output
    assert "| closed" in output
    assert site.on(1, ": by hand; ls /root/touched 2>/dev/null || true") == ""
    assert "the host did not run the command" in site.delete(status=1)
    assert "running" in site.sealer("status", "--name", site.name)


def test_a_start_up_file_that_prints(site: Site, start_up_file: Callable[[str], None]) -> None:
    """What it prints is nobody's answer: a run, a command and a delete go as ever."""
    start_up_file("echo Welcome 42; echo Hello >&2")
    site.write()
    site.apply()
    assert [mark.split()[0] for mark in site.on(1, ": by hand; cat /root/marks").splitlines()] == NODE_MARKS
    output = site.sealer("exec", "--name", site.name, "--output", "json", "--", "sh", "-c", "echo hi; echo ho >&2")
    answers = json.loads(output.splitlines()[-1])["hosts"]
    assert [(answer["stdout"], answer["stderr"]) for answer in answers] == [(["hi"], ["ho"])] * 3
    site.delete()
    assert site.on(1, ": by hand; ls /var/lib/sealer 2>/dev/null || true") == ""


# -- hosts that go away ----------------------------------------------------------------------------------------------


def test_a_host_whose_network_falls_silent_in_a_step(
    site: Site, machines: Machines, hook: Callable[[int, str], None], eventually: Eventually
) -> None:
    """The script goes on without us; its outcome is taken, and it is not run again."""
    hook(1, "sleep 5; echo survived >> /root/survived")
    name = name_of(machines, site, 1)
    site.write()
    process = site.start("apply", "-f", str(site.clusterfile))
    try:
        eventually(lambda: "init" in site.on(1, "cat /root/marks || true"), 60)
        machines.cut(name)
        output, _ = process.communicate(timeout=90)
    finally:
        machines.mend(name)
    assert process.returncode == 1, output
    assert site.hosts[1].address in output
    assert "silent" in output or "lost" in output or "broke" in output, output
    site.apply()
    assert done_once(site)
    assert site.on(1, "cat /root/survived; rm /root/survived") == "survived"


@pytest.fixture(scope="module")
def large_image(image_store: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """`marks:large`, with a layer of 256 MiB that cannot be compressed."""
    context = tmp_path_factory.mktemp("large")
    (context / "Kubefile").write_text("FROM marks:1\nCOPY noise noise\n")
    with (context / "noise").open("wb") as noise:
        for _ in range(256):
            noise.write(os.urandom(1 << 20))
    home = image_store.parent
    command = ["build", "-t", "marks:large", str(context)]
    Site(home, []).sealer(*command)
    return "marks:large"


def test_a_host_killed_in_a_transfer(site: Site, machines: Machines, large_image: str, eventually: Eventually) -> None:
    name = name_of(machines, site, 2)
    site.write(image=large_image)
    layers = "cat /var/lib/sealer/layers/sha256/*.partial 2>/dev/null | wc -c"
    process = site.start("apply", "-f", str(site.clusterfile))
    eventually(lambda: int(site.on(2, layers)) > 8 << 20, 60)
    machines.kill(name)
    try:
        output, _ = process.communicate(timeout=150)
    finally:
        machines.boot(name)
    assert process.returncode == 1, output
    assert site.hosts[2].address in output
    site.apply()
    assert done_once(site)
    assert site.on(2, f"stat -c %s /var/lib/sealer/data/{site.name}/rootfs/noise") == str(256 << 20)
    site.delete()


def test_a_host_killed_in_a_script_that_may_run_again(
    site: Site, machines: Machines, hook: Callable[[int, str], None], eventually: Eventually
) -> None:
    hook(2, "sleep 60")
    name = name_of(machines, site, 2)
    site.write()
    process = site.start("apply", "-f", str(site.clusterfile))
    eventually(lambda: "init" in site.on(2, "cat /root/marks || true"), 60)
    site.on(2, "rm /root/init-hook; sync")
    machines.kill(name)
    try:
        output, _ = process.communicate(timeout=90)
    finally:
        machines.boot(name)
    assert process.returncode == 1, output
    assert site.hosts[2].address in output
    site.apply()
    marks = site.marks()
    assert marks[site.hosts[2].address].count("pre-init") == 1
    assert marks[site.hosts[2].address][-2:] == ["init", "post-install"]  # from its beginning, as init.sh must bear
    assert [mark.split()[0] for mark in marks[site.hosts[0].address]] == MASTER_MARKS


@pytest.mark.parametrize("answer", ["again", "done"])
def test_a_host_killed_in_a_script_that_must_not_run_twice(
    site: Site, machines: Machines, eventually: Eventually, answer: str
) -> None:
    """Nobody can know how far it came: sealer names it, and asks."""
    script = "echo slow >> /root/marks; [ -e /root/quick ] || sleep 60"
    document: dict[str, object] = {
        "apiVersion": "sealer.io/v2",
        "kind": "Plugin",
        "metadata": {"name": "slow"},
        "spec": {"type": "SHELL", "action": "PostInstall", "on": site.hosts[1].address, "data": script},
    }
    name = name_of(machines, site, 1)
    site.write(document)
    process = site.start("apply", "-f", str(site.clusterfile))
    eventually(lambda: "slow" in site.on(1, "cat /root/marks || true"), 60)
    site.on(1, "touch /root/quick; sync")
    machines.kill(name)
    try:
        output, _ = process.communicate(timeout=90)
    finally:
        machines.boot(name)
    assert process.returncode == 1, output
    try:
        output = site.apply(status=3)
        assert "must not run twice" in output
        assert site.hosts[1].address in output
        settle = f"PostInstall/documents/slow/script@{site.hosts[1].address}"
        assert settle in output
        command = ("apply", "-f", str(site.clusterfile), "--settle", f"{settle}={answer}")
        site.sealer(*command)
    finally:
        site.on(1, "rm -f /root/quick")
    assert site.marks()[site.hosts[1].address].count("slow") == (2 if answer == "again" else 1)
    assert "running" in site.sealer("status", "--name", site.name)


# -- hosts that cannot -----------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(site: Site) -> Iterator[None]:
    """The second host's data lie on a small disk of their own."""
    site.on(1, "mkdir -p /var/lib/sealer && mount -t tmpfs -o size=16m tmpfs /var/lib/sealer")
    yield
    site.on(1, "umount -l /var/lib/sealer 2>/dev/null; true")


@pytest.mark.usefixtures("small_disk")
def test_a_disk_that_is_too_small(site: Site, large_image: str) -> None:
    site.write(image=large_image)
    output = site.apply(status=1)
    assert site.hosts[1].address in output
    assert "disk is too full" in output
    assert not any(site.marks().values())
    site.on(1, "mount -o remount,size=1500m /var/lib/sealer")
    site.apply()
    assert done_once(site)
    site.delete()


@pytest.mark.usefixtures("small_disk")
def test_a_disk_that_fills_up_in_a_script(site: Site, hook: Callable[[int, str], None]) -> None:
    hook(1, "cat /dev/zero > /var/lib/sealer/filler")
    site.write()
    output = site.apply(status=1)
    assert site.hosts[1].address in output
    assert "No space left on device" in output or "cannot keep a receipt" in output
    site.on(1, "rm -f /var/lib/sealer/filler /root/init-hook")
    site.apply()
    assert site.marks()[site.hosts[0].address].count("init") == 1
    assert site.marks()[site.hosts[1].address].count("post-install") == 1
    site.delete()


def test_a_script_that_fails_on_one_host_of_three(site: Site, hook: Callable[[int, str], None]) -> None:
    hook(1, "seq 100; echo it broke here >&2; exit 7")
    site.write()
    output = site.apply(status=1)
    _, _, report = output.rpartition("The operation failed")
    assert site.hosts[1].address in report
    assert site.hosts[0].address not in report
    assert "status 7" in report
    assert "it broke here" in report
    assert "| 82\n" in report, report  # the last twenty lines
    assert "| 81\n" not in report
    assert "same command again" in report
    marks = site.marks()
    assert marks[site.hosts[0].address] == marks[site.hosts[2].address] == ["pre-init", "init"]  # they were let finish
    site.on(1, "rm /root/init-hook")
    site.apply()
    marks = site.marks()
    assert [mark.split()[0] for mark in marks[site.hosts[0].address]] == MASTER_MARKS
    assert marks[site.hosts[1].address].count("init") == 2


def test_a_script_that_prints_100_megabytes(site: Site, hook: Callable[[int, str], None]) -> None:
    hook(0, "yes 'a line of output that nobody will ever read' | head -c 100000000; echo the end")
    site.write()
    process = site.start("apply", "-f", str(site.clusterfile))
    memory: list[int] = []
    reader = threading.Thread(target=_watch_memory, args=(process.pid, memory))
    reader.start()
    output, _ = process.communicate(timeout=180)
    reader.join()
    assert process.returncode == 0, output
    assert len(output) < 5_000_000
    assert max(memory) < 200 << 10, "KiB of memory"
    assert site.on(0, f"cat /var/lib/sealer/data/{site.name}/receipts/init-*/1/output | wc -c") == str(100_000_008)


def _watch_memory(process: int, found: list[int]) -> None:
    status = Path(f"/proc/{process}/status")
    done = threading.Event()
    while not done.wait(0.1):
        try:
            text = status.read_text()
        except OSError:
            return
        if "VmHWM" not in text:
            return  # it has ended
        found.append(int(text.split("VmHWM:")[1].split()[0]))


# -- people ----------------------------------------------------------------------------------------------------------


def test_two_sealers_at_once(site: Site, hook: Callable[[int, str], None], eventually: Eventually) -> None:
    hook(0, "sleep 4")
    site.write()
    process = site.start("apply", "-f", str(site.clusterfile))
    eventually(lambda: "init" in site.on(0, "cat /root/marks || true"), 60)
    output = site.apply(status=3)
    assert f"process {process.pid}" in output
    assert "Another sealer" in output
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert done_once(site)


def test_a_sealer_of_another_home_is_refused_by_the_hosts(
    site: Site, hook: Callable[[int, str], None], eventually: Eventually, tmp_path: Path
) -> None:
    hook(0, "sleep 6")
    site.write()
    process = site.start("apply", "-f", str(site.clusterfile))
    eventually(lambda: "init" in site.on(0, "cat /root/marks || true"), 60)
    other = tmp_path / "other-home"
    other.mkdir()
    (other / "images").symlink_to(site.home / "images")
    output = site.apply(status=3, SEALER_HOME=str(other))
    assert "belongs to another cluster" in output
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert done_once(site)


def test_ctrl_c(site: Site, hook: Callable[[int, str], None], eventually: Eventually) -> None:
    for number in range(3):
        hook(number, "sleep 4321")
    site.write()
    process = site.start("apply", "-f", str(site.clusterfile))
    eventually(lambda: all("init" in lines for lines in site.marks().values()), 60)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 130, output
    assert "same command again" in output
    for number in range(3):
        assert site.on(number, "pgrep -f '[s]leep 4321' || true") == ""
        assert site.on(number, f"ls /var/lib/sealer/data/{site.name}/lock 2>/dev/null || true") == ""
        site.on(number, "rm /root/init-hook")
    site.apply()
    marks = site.marks()
    assert [mark.split()[0] for mark in marks[site.hosts[0].address]].count("post-install") == 1
    assert all(lines.count("pre-init") == 1 for lines in marks.values())
