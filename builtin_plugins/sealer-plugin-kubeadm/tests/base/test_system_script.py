"""The functions of scripts/system.sh on hosts that no test machine is: with swap, SELinux, firewalls, any cgroups.

What they read is made up below a root of its own. Programs that would change the machine are stood for by some that
change what is made up, as the real ones change the real; swap is also tried with the real ones.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import sealer_plugin_kubeadm

SCRIPTS = Path(sealer_plugin_kubeadm.__file__).parent / "tree" / "scripts"
FIRST_PID_NAMESPACE = "pid:[4026531836]"
HEAD = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
PROGRAMS = {
    "systemd-detect-virt": 'read -r kind <"$SEALER_ROOT/virtualization"; [ "$kind" = container ]',
    "systemctl": """
        [ "$1" = is-active ] || exec echo "systemctl $*" >>"$SEALER_ROOT/called"
        grep -qsx "$3" "$SEALER_ROOT/active"
    """,
    "systemd-run": 'cat "$SEALER_ROOT/groups"',
    "ufw": 'cat "$SEALER_ROOT/ufw"',
    "swapoff": """
        echo "swapoff $*" >>"$SEALER_ROOT/called"
        escaped=$(printf %s "$1" | sed 's/ /\\\\\\\\040/g')
        sed -i "\\\\|^$escaped[[:space:]]|d" "$SEALER_ROOT/proc/swaps"
    """,
    "swapon": """
        echo "swapon $*" >>"$SEALER_ROOT/called"
        priority=-2
        [ "$1" != --priority ] || { priority=$2 && shift 2; }
        escaped=$(printf %s "$1" | sed 's/ /\\\\040/g')
        printf '%s\\tfile\\t1020\\t0\\t%s\\n' "$escaped" "$priority" >>"$SEALER_ROOT/proc/swaps"
    """,
    "modprobe": """
        echo "modprobe $*" >>"$SEALER_ROOT/called"
        case $* in
        *--dry-run*) grep -qsx "$3" "$SEALER_ROOT/modules" ;;
        *--remove*) rmdir "$SEALER_ROOT/sys/module/$3" ;;
        *) mkdir -p "$SEALER_ROOT/sys/module/$1" ;;
        esac
    """,
}


class Host:
    """A made-up host with the scripts in its rootfs."""

    def __init__(self, directory: Path, programs: dict[str, str]) -> None:
        self.root = directory / "root"
        self.data = directory / "data"
        shutil.copytree(SCRIPTS, self.data / "rootfs/scripts")
        shutil.copytree(SCRIPTS.parent / "etc", self.data / "rootfs/etc")
        self.programs = directory / "programs"
        self.programs.mkdir()
        for name, text in programs.items():
            (self.programs / name).write_text(f"#!/bin/sh\n{text}\n")
            (self.programs / name).chmod(0o755)
        self.write("proc/swaps", HEAD)
        self.write("proc/filesystems", "nodev\tproc\n\text4\n")
        self.write("virtualization", "machine\n")
        self.process(1, FIRST_PID_NAMESPACE)
        self.write("called", "")

    def write(self, path: str, text: str) -> Path:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        return place

    def process(self, number: int, namespace: str) -> None:
        """A process that runs, and its pid namespace."""
        link = self.root / f"proc/{number}/ns/pid"
        link.parent.mkdir(parents=True)
        link.symlink_to(namespace)

    def sysctl(self, name: str, value: str = "") -> str:
        """The value of a setting of the kernel, set first if one is given."""
        path = "proc/sys/" + name.replace(".", "/")
        return (self.write(path, f"{value}\n") if value else self.root / path).read_text().strip()

    def run(self, function: str, **environment: str) -> str:
        """A function of system.sh; gives what it prints."""
        path = f"{self.programs}:{os.environ['PATH']}:/usr/sbin:/sbin"
        done = subprocess.run(
            ["sh", self.data / "rootfs/scripts/system.sh", function],
            env={"PATH": path, "SEALER_ROOT": str(self.root), **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def called(self) -> list[str]:
        """What was called, except to look."""
        lines = (self.root / "called").read_text().splitlines()
        (self.root / "called").write_text("")
        return [line for line in lines if "--dry-run" not in line]

    def fact(self, name: str) -> str:
        return (self.data / "facts" / name).read_text().strip()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path, PROGRAMS)


SWAPS = f"{HEAD}/dev/sda2 partition\t8388604\t0\t-2\n/var/swap\\040file file\t1020\t12\t5\n"
FSTAB = """\
# swap was on /dev/sda2 during installation
UUID=1 / ext4 errors=remount-ro 0 1
/dev/sda2 none swap sw 0 0
\t/var/swap\\040file  swap\tswap
#/dev/sdb1 none swap sw 0 0
/dev/sdc1 /srv/swap ext4 defaults 0 2
/dev/sdd1 none swapfs sw 0 0
"""


def test_swap_goes_and_comes_back_as_it_was(host: Host) -> None:
    host.write("proc/swaps", SWAPS)
    fstab = host.write("etc/fstab", FSTAB)
    fstab.chmod(0o640)
    assert host.run("swap_off") == ""
    assert host.called() == ["swapoff /dev/sda2", "swapoff /var/swap file", "systemctl daemon-reload"]
    assert fstab.read_text().splitlines()[1:5] == [
        "UUID=1 / ext4 errors=remount-ro 0 1",
        "#sealer# /dev/sda2 none swap sw 0 0",
        "#sealer# \t/var/swap\\040file  swap\tswap",
        "#/dev/sdb1 none swap sw 0 0",
    ]
    assert fstab.read_text().splitlines()[5:] == FSTAB.splitlines()[5:]
    assert fstab.stat().st_mode & 0o777 == 0o640
    stamp = fstab.stat().st_mtime_ns
    host.run("swap_off")
    assert (host.called(), fstab.stat().st_mtime_ns) == ([], stamp)

    fstab.write_text(fstab.read_text() + "/dev/sde1 /mnt ext4\n")
    host.run("undo")
    assert host.called() == ["systemctl daemon-reload", "swapon --priority 5 /var/swap file", "swapon /dev/sda2"]
    assert fstab.read_text() == f"{FSTAB}/dev/sde1 /mnt ext4\n", "the line that somebody added stays"
    assert sorted(path.name for path in (host.root / "etc").iterdir()) == ["fstab"]
    assert [path.name for path in host.data.iterdir()] == ["rootfs"]


def test_swap_that_is_off_does_not_come_back_at_the_next_boot(host: Host) -> None:
    """So it is after a kill between the two, and where somebody has turned it off by hand."""
    fstab = host.write("etc/fstab", FSTAB)
    host.run("swap_off")
    assert "\n#sealer# /dev/sda2" in fstab.read_text()
    host.run("undo")
    assert fstab.read_text() == FSTAB
    assert host.called() == ["systemctl daemon-reload"] * 2, "what was off stays off"


def test_an_undo_that_was_interrupted_goes_on(host: Host) -> None:
    host.write("proc/swaps", SWAPS)
    host.run("swap_off")
    host.called()
    host.write("proc/swaps", f"{HEAD}/var/swap\\040file file\t1020\t0\t5\n")
    host.run("undo")
    assert host.called() == ["swapon /dev/sda2"]


def test_swap_that_stays_on_is_told(host: Host) -> None:
    host.write("proc/swaps", SWAPS)
    (host.programs / "swapoff").write_text("#!/bin/sh\nexit 1\n")
    assert host.run("swap_off").splitlines() == [
        *("note: swap on /dev/sda2 stays on", "note: swap on /var/swap\\040file stays on")
    ]


def test_in_a_container_swap_is_not_ours(host: Host) -> None:
    host.write("virtualization", "container\n")
    fstab = host.write("etc/fstab", FSTAB)
    assert host.run("swap_off") == ""
    host.write("proc/swaps", SWAPS)
    assert host.run("swap_off") == "note: swap is on, and is that of the machine around this container: it stays\n"
    assert (host.called(), fstab.read_text()) == ([], FSTAB)


@pytest.mark.lab
def test_real_swap(tmp_path: Path) -> None:
    """A file of this machine; that it is the only one is made up, so that no other is touched."""
    real = Host(tmp_path, {name: text for name, text in PROGRAMS.items() if not name.startswith("swap")})
    file = tmp_path / "swap file"
    file.write_bytes(bytes(1 << 20))
    file.chmod(0o600)
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"

    def run(*command: str | Path) -> int:
        return subprocess.run(command, env={"PATH": path}, capture_output=True, check=False).returncode

    def listed() -> list[str]:
        name = str(file).replace(" ", "\\040")
        return [line for line in Path("/proc/swaps").read_text().splitlines() if line.startswith(f"{name} ")]

    if run("mkswap", file) or run("swapon", "--priority", "3", file):
        pytest.skip("this machine has no swap that root may turn on")
    try:
        before = listed()
        assert before[0].split()[-1] == "3"
        real.write("proc/swaps", f"{HEAD}{before[0]}\n")
        real.run("swap_off")
        assert listed() == []
        real.write("proc/swaps", HEAD)
        assert real.run("undo") == ""
        assert [line.split() for line in listed()] == [line.split() for line in before]
    finally:
        run("swapoff", file)


def test_modules_that_are_loaded_go_again(host: Host) -> None:
    host.write("modules", "br_netfilter\n")
    host.write("proc/filesystems", "nodev\toverlay\n")
    (host.root / "etc").mkdir(exist_ok=True)
    assert host.run("modules") == ""
    listed = host.root / "etc/modules-load.d/sealer.conf"
    assert listed.read_text() == "overlay\nbr_netfilter\n"
    assert host.called() == ["modprobe br_netfilter"]
    host.run("modules")
    assert host.called() == [], "what is loaded is left alone"
    host.run("undo")
    assert host.called() == ["modprobe --remove --quiet br_netfilter"]
    assert not listed.parent.exists()
    assert not (host.root / "sys/module/br_netfilter").exists()


def test_modules_of_a_kernel_that_others_use_stay(host: Host) -> None:
    host.write("modules", "br_netfilter\n")
    host.write("proc/filesystems", "nodev\toverlay\n")
    (host.root / "etc").mkdir(exist_ok=True)
    host.run("modules")
    host.process(300, "pid:[4026532201]")
    host.called()
    host.run("undo")
    assert host.called() == []


LIMIT, FORWARD, PANIC = "fs.inotify.max_user_instances", "net.ipv4.ip_forward", "kernel.panic"
AT_BOOT = "etc/sysctl.d/99-sealer.conf"


@pytest.fixture
def kernel(host: Host) -> Host:
    """A host whose kernel has all that is set, at what Debian has by default."""
    host.sysctl(LIMIT, "128")
    for name in (FORWARD, PANIC, "vm.overcommit_memory", "net.bridge.bridge-nf-call-iptables"):
        host.sysctl(name, "0")
    host.sysctl("net.bridge.bridge-nf-call-ip6tables", "0")
    host.sysctl("net.core.netdev_budget", "300")
    (host.root / "etc").mkdir(exist_ok=True)
    return host


def test_settings_of_the_kernel_come_back_as_they_were(kernel: Host) -> None:
    assert kernel.run("sysctls") == ""
    assert (kernel.sysctl(LIMIT), kernel.sysctl(FORWARD)) == ("8192", "1")
    assert f"{LIMIT} = 8192\n" in (kernel.root / AT_BOOT).read_text()
    kernel.sysctl(PANIC, "10")  # as a kubelet does
    assert kernel.run("undo") == ""
    assert [kernel.sysctl(name) for name in (LIMIT, FORWARD, PANIC)] == ["128", "0", "0"]
    assert not (kernel.root / AT_BOOT).parent.exists()


def test_settings_of_a_kernel_with_containers_of_others_stay(kernel: Host) -> None:
    """Nothing tells what they need by now; they were started when it was set."""
    kernel.run("sysctls")
    kernel.sysctl(PANIC, "10")
    kernel.process(300, "pid:[4026532201]")
    said = kernel.run("undo").splitlines()
    assert [kernel.sysctl(name) for name in (LIMIT, FORWARD, PANIC)] == ["8192", "1", "10"]
    assert f"note: {LIMIT} stays 8192, and was 128: others share this kernel" in said
    assert not (kernel.root / AT_BOOT).exists()


def test_a_container_sets_its_network_alone(kernel: Host) -> None:
    kernel.write("virtualization", "container\n")
    (kernel.root / "proc/sys/net/core/netdev_budget").unlink()
    assert kernel.run("sysctls") == (
        f"note: {LIMIT} is 128, and is set by the machine around this container; run there: sysctl -w {LIMIT}=8192\n"
    )
    assert (kernel.sysctl(LIMIT), kernel.sysctl(FORWARD)) == ("128", "1")
    assert LIMIT not in (kernel.root / AT_BOOT).read_text(), "systemd would set it when the container boots"
    kernel.sysctl(PANIC, "10")
    assert kernel.run("undo") == ""
    assert [kernel.sysctl(name) for name in (LIMIT, FORWARD, PANIC)] == ["128", "0", "10"]


def test_what_an_older_version_noted_in_a_container_is_not_taken_back(kernel: Host) -> None:
    kernel.write("virtualization", "container\n")
    changes = kernel.data / "before/system/changes"
    changes.parent.mkdir(parents=True)
    changes.write_text(f"sysctl {LIMIT} 128\n")
    kernel.sysctl(LIMIT, "8192")
    assert "others share this kernel" in kernel.run("undo")
    assert kernel.sysctl(LIMIT) == "8192"


def test_a_limit_that_is_higher_is_never_lowered(kernel: Host) -> None:
    kernel.sysctl(LIMIT, "65536")
    assert kernel.run("sysctls") == ""
    assert kernel.sysctl(LIMIT) == "65536"
    assert f"{LIMIT} = 65536\n" in (kernel.root / AT_BOOT).read_text(), "nor at the next boot"
    kernel.run("undo")
    assert kernel.sysctl(LIMIT) == "65536"


def test_what_somebody_set_meanwhile_stays(kernel: Host) -> None:
    kernel.run("sysctls")
    kernel.sysctl(LIMIT, "20000")
    assert kernel.run("undo") == f"note: {LIMIT} stays 20000: somebody else has set it since\n"
    assert kernel.sysctl(LIMIT) == "20000"


@pytest.mark.lab
def test_the_first_pid_namespace_is_known_by_its_number() -> None:
    """The kernel itself says so: whoever is in another one is not in the first."""
    own = str(Path("/proc/self/ns/pid").readlink())
    other = subprocess.check_output(["unshare", "--pid", "--fork", "readlink", "/proc/self/ns/pid"], text=True).strip()
    assert other not in (own, FIRST_PID_NAMESPACE)
    first = "kthreadd" in Path("/proc/2/comm").read_text()  # only there the kernel's threads are seen
    assert (own == FIRST_PID_NAMESPACE) is first


def test_modules_that_the_kernel_does_not_have_are_told(host: Host) -> None:
    (host.root / "etc").mkdir(exist_ok=True)
    (host.root / "sys/module/overlay").mkdir(parents=True)
    assert host.run("modules") == "note: the kernel has no module br_netfilter\n"
    assert (host.root / "etc/modules-load.d/sealer.conf").read_text() == "overlay\n"
    host.run("undo")
    assert host.called() == []
    assert (host.root / "sys/module/overlay").exists(), "somebody else has loaded it"


def test_a_firewall_is_told_with_the_ports(host: Host) -> None:
    host.write("ufw", "Status: inactive\n")
    assert host.run("firewall_notes") == ""
    host.write("ufw", "Status: active\n")
    said = host.run("firewall_notes", RegistryPort="5001")
    assert said.startswith(
        "note: ufw is active: let the hosts of the cluster reach each other on TCP 6443 2379-2380 10250"
    )
    assert " 5001 " in said
    host.write("active", "firewalld\n")
    assert host.run("firewall_notes").startswith("note: firewalld is active")


@pytest.mark.parametrize(("state", "told"), [("", False), ("0\n", False), ("1\n", True)])
def test_selinux_is_told_where_it_enforces(host: Host, state: str, told: bool) -> None:
    if state:
        host.write("sys/fs/selinux/enforce", state)
    assert ("SELinux is enforcing" in host.run("selinux_notes")) is told


V1 = "12:pids:/system.slice/run-u1.service\n4:{}:{}\n1:name=systemd:/system.slice/run-u1.service\n0::/{}\n"
DRIVERS = [
    (V1.format("memory", "/system.slice/run-u1.service", ""), False, "systemd"),
    (V1.format("cpu,memory", "/system.slice/run-u1.service", ""), False, "systemd"),
    (V1.format("memory", "/", "system.slice/run-u1.service"), False, "cgroupfs"),
    (V1.format("memory", "/process_api/1", ""), False, "cgroupfs"),
    (V1.format("memory_other", "/run-u1.service", ""), False, "cgroupfs"),
    ("0::/system.slice/run-u1.service\n", True, "systemd"),
    ("0::/\n", True, "cgroupfs"),
    ("", True, "cgroupfs"),
    ("", False, "cgroupfs"),
]


@pytest.mark.parametrize(("groups", "second", "driver"), DRIVERS)
def test_the_cgroup_driver_is_what_systemd_can_do(host: Host, groups: str, second: bool, driver: str) -> None:
    host.write("groups", groups)
    if second:
        host.write("sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n")
    host.run("decide_cgroup_driver")
    assert host.fact("cgroup-driver") == driver


@pytest.mark.parametrize(("named", "other"), [("systemd", "cgroupfs"), ("cgroupfs", "systemd")])
def test_a_cgroup_driver_by_hand_is_decided_once(host: Host, named: str, other: str) -> None:
    host.write("groups", "0::/\n" if named == "systemd" else "0::/a.service\n")
    host.write("sys/fs/cgroup/cgroup.controllers", "memory\n")
    assert host.run("decide_cgroup_driver", CgroupDriver=named) == ""
    assert host.fact("cgroup-driver") == named
    assert host.run("decide_cgroup_driver") == ""
    assert host.run("decide_cgroup_driver", CgroupDriver=named) == ""
    assert f"the cgroup driver stays {named}" in host.run("decide_cgroup_driver", CgroupDriver=other)
    assert host.fact("cgroup-driver") == named


@pytest.mark.parametrize(
    ("capabilities", "users", "restricted"),
    [
        ("000001ffffffffff", "         0          0 4294967295", "false"),
        ("0000000001000000", "0 0 4294967295", "false"),
        ("000001fffeffffff", "0 0 4294967295", "true"),
        ("0000000000000000", "0 0 4294967295", "true"),
        ("000001ffffffffff", "0 100000 65536", "true"),
    ],
)
def test_whether_oom_scores_may_be_lowered(host: Host, capabilities: str, users: str, restricted: str) -> None:
    host.write("proc/1/status", f"CapInh:\t0000000000000000\nCapEff:\t{capabilities}\nCapBnd:\t000001ffffffffff\n")
    host.write("proc/self/uid_map", f"{users}\n")
    assert host.run("oom_scores") == f"{restricted}\n"
