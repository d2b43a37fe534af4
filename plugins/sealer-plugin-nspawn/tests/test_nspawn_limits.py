"""What runs out on a machine with many hosts is seen before one is booted; on kernels that are made up, and on this."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sealer.errors import SealerError
from sealer_plugin_nspawn import limits
from sealer_plugin_nspawn.limits import Limit
from sealer_plugin_nspawn.machines import Machines
from sealer_plugin_nspawn.options import Options

INSTANCES = "fs.inotify.max_user_instances"
DEFAULTS = {
    INSTANCES: 128,
    "fs.inotify.max_user_watches": 200_000,
    "kernel.pid_max": 32_768,
    "kernel.threads-max": 100_000,
    "kernel.pty.max": 4096,
    "kernel.pty.nr": 3,
    "kernel.pty.reserve": 1024,
}


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A kernel with what Linux has by default, on which 20 inotify instances of root are in use."""
    proc = tmp_path / "proc"
    for name, value in DEFAULTS.items():
        set_to(proc, name, value)
    (proc / "loadavg").write_text("0.10 0.20 0.30 2/500 4711\n")
    (proc / "meminfo").write_text("MemTotal: 4000000 kB\nMemAvailable: 2000000 kB\nSwapFree: 0 kB\n")
    (proc / "self").mkdir()
    (proc / "self" / "mountinfo").write_text("27 1 254:0 / / rw - ext4 /dev/vda rw\n")
    use(proc, 300, 20)
    return proc


def set_to(proc: Path, name: str, value: int) -> None:
    path = proc / "sys" / name.replace(".", "/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{value}\n")


def value(proc: Path, name: str) -> int:
    return int((proc / "sys" / name.replace(".", "/")).read_text())


def use(proc: Path, process: int, instances: int) -> None:
    """A process with so many inotify instances, each with two watches."""
    (proc / str(process) / "fd").mkdir(parents=True)
    (proc / str(process) / "fdinfo").mkdir()
    for number in range(instances):
        (proc / str(process) / "fd" / str(number)).symlink_to("anon_inode:inotify")
        (proc / str(process) / "fdinfo" / str(number)).write_text("pos: 0\ninotify wd:1 ino:1\ninotify wd:2 ino:2\n")
    (proc / str(process) / "fd" / "900").symlink_to("/dev/null")


def test_a_limit_that_hosts_would_reach_is_raised(proc: Path) -> None:
    said: list[str] = []
    limits.ensure(3, said.append, proc)
    assert value(proc, INSTANCES) == 8192
    assert {name: value(proc, name) for name in DEFAULTS if name != INSTANCES} == {
        name: number for name, number in DEFAULTS.items() if name != INSTANCES
    }
    assert said == [f"Raised {INSTANCES} from 128 to 8192: all hosts share this kernel"]
    limits.ensure(3, said.append, proc)
    assert len(said) == 1


def test_what_is_enough_is_left_alone(proc: Path) -> None:
    set_to(proc, INSTANCES, 20 + 3 * 64)
    limits.ensure(3, pytest.fail, proc)
    limits.ensure(0, pytest.fail, proc)
    assert value(proc, INSTANCES) == 20 + 3 * 64


def test_more_hosts_than_what_is_generous_get_what_they_need(proc: Path) -> None:
    limits.ensure(200, lambda _: None, proc)
    assert value(proc, INSTANCES) == 20 + 200 * 64
    assert value(proc, "fs.inotify.max_user_watches") == 40 + 200 * 4096
    assert value(proc, "kernel.pid_max") == 500 + 200 * 1024
    assert value(proc, "kernel.threads-max") == 500 + 200 * 1024
    assert value(proc, "kernel.pty.max") == 3 + 1024 + 200 * 16


def test_where_it_may_not_be_raised_the_command_is_told(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_writes(monkeypatch)
    with pytest.raises(SealerError) as caught:
        limits.ensure(20, pytest.fail, proc)
    assert caught.value.remedy == f"on the machine itself, as root: sysctl -w {INSTANCES}=8192"
    assert f"{INSTANCES} is 128, and 20 are in use" in caught.value.why
    assert value(proc, INSTANCES) == 128


def test_hosts_that_can_boot_do_so_with_a_warning(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_writes(monkeypatch)
    said: list[str] = []
    limits.ensure(3, said.append, proc)
    assert len(said) == 1
    assert said[0].startswith(f"Warning: {INSTANCES} is 128, and 20 are in use")
    assert f"sysctl -w {INSTANCES}=8192" in said[0]


def refuse_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    def write_text(path: Path, text: str) -> int:
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "write_text", write_text)


def test_instances_of_other_users_have_a_limit_of_their_own(proc: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory away")
    os.chown(proc / "300", 65534, 65534)
    assert limits.usage_of(proc).inotify_instances == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="this machine has no inotify")
def test_what_this_machine_uses_is_counted() -> None:
    before = limits.usage_of()
    opened = [ctypes.CDLL(None).inotify_init() for _ in range(5)]
    try:
        ctypes.CDLL(None).inotify_add_watch(opened[0], b"/", 2)
        own = [number for number in opened if str(Path(f"/proc/self/fd/{number}").readlink()) == "anon_inode:inotify"]
        assert len(own) == 5
        now = limits.usage_of()
    finally:
        for number in opened:
            os.close(number)
    assert now.tasks > 1
    if os.geteuid() != 0:  # root's other processes come and go meanwhile
        assert now.inotify_instances == before.inotify_instances + 5
    assert now.inotify_instances >= 5
    assert now.inotify_watches >= 1


def test_too_little_memory_is_told(proc: Path, tmp_path: Path) -> None:
    limits.ensure_room(30, tmp_path, proc)
    with pytest.raises(SealerError, match=r"cannot boot 50 hosts more: they need 2400 MiB of memory, and 1953 are"):
        limits.ensure_room(50, tmp_path, proc)


def test_too_few_tasks_of_a_container_are_told(proc: Path, tmp_path: Path) -> None:
    group = tmp_path / "pids"
    group.mkdir()
    (group / "pids.current").write_text("100\n")
    (proc / "self" / "mountinfo").write_text(f"32 31 0:29 / {group} rw - cgroup cgroup rw,pids\n")
    for most, fits in ((None, True), ("max", True), ("200", True), ("195", False)):
        if most:
            (group / "pids.max").write_text(f"{most}\n")
        if fits:
            limits.ensure_room(3, tmp_path, proc)
        else:
            with pytest.raises(SealerError, match=r"pids\.max .* is 195, and 100 are in use"):
                limits.ensure_room(3, tmp_path, proc)


@pytest.mark.lab
def test_a_disk_that_is_too_small_is_told(proc: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", disk], check=True)
    try:
        limits.ensure_room(1, disk / "state", proc)
        with pytest.raises(SealerError, match="needs 128 MiB of disk, and 100 are free"):
            limits.ensure_room(2, disk / "state", proc)
        with pytest.raises(SealerError, match="needs 700 MiB of disk"):
            limits.ensure_room_for_base(disk / "cache")
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.lab
def test_the_kernel_itself_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """By one, and only up: other hosts of this machine live on what it gives them."""
    terminals = Path("/proc/sys/kernel/pty/max")
    before = int(terminals.read_text())
    monkeypatch.setattr(limits, "LIMITS", (Limit("kernel.pty.max", "terminals", 1, before, before + 1),))
    monkeypatch.setattr(limits, "usage_of", lambda proc: limits.Usage(0, 0, 0, 1))
    try:
        limits.ensure(1, lambda _: None)
        assert int(terminals.read_text()) == before + 1
    finally:
        terminals.write_text(f"{before}\n")


REFUSED = """
import sys
from pathlib import Path
from sealer.errors import SealerError
from sealer_plugin_nspawn import limits
from sealer_plugin_nspawn.machines import Machines, wanted
from sealer_plugin_nspawn.options import Options
limits.LIMITS = (limits.Limit("fs.inotify.max_user_instances", "inotify_instances", 10**6, 10**6),)
try:
    Machines("refused", owner="here", options=Options(state=Path(sys.argv[1]))).up(wanted(1))
except SealerError as error:
    print(error.why, error.remedy, sep="|")
"""


@pytest.mark.lab
def test_no_host_is_booted_where_it_would_hang(options: Options) -> None:
    """The settings of the real kernel, which this process may not write."""
    inside = 'mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", inside, "sh", sys.executable, "-c", REFUSED, str(options.state)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    why, remedy = done.stdout.strip().split("|")
    assert why.startswith(f"{INSTANCES} is ")
    assert f"sysctl -w {INSTANCES}=" in remedy
    machines = Machines("refused", owner="here", options=options)
    [state] = machines.list()
    assert not state.running
    assert not (options.state / "0" / "1").exists()
