"""What all hosts of this machine share: looked at before hosts boot, and raised where that may be done.

A host that finds a limit of the kernel used up does not fail: its boot hangs, or a daemon in it crashes later. What was
raised stays: nothing tells who else needs it by then.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sealer.errors import SealerError
from sealer_plugin_nspawn.cgroups import Hierarchy, hierarchies

PROC = Path("/proc")
MIB = 1 << 20
# Measured of one host when it has booted: 7 inotify instances, 23 watches, 13 tasks, a terminal, 20 MiB of memory.
MEMORY_OF_A_HOST = 48 * MIB
DISK_OF_A_HOST = 64 * MIB
DISK_OF_A_BASE = 700 * MIB
FILES_OF_A_HOST, FILES_OF_A_BASE = 500, 30_000
TASKS_OF_A_HOST = 32


@dataclass(frozen=True)
class Limit:
    """A limit of the kernel for all hosts together.

    :param setting: its name, as `sysctl` knows it.
    :param use: which of :class:`Usage` it limits.
    :param booting: what a host needs to boot.
    :param working: what it needs as a node of Kubernetes; what it takes by then is counted twice.
    :param generous: what it is raised to, if that is enough.
    """

    setting: str
    use: str
    booting: int
    working: int
    generous: int = 0


LIMITS = (
    Limit("fs.inotify.max_user_instances", "inotify_instances", 8, 64, 8192),
    Limit("fs.inotify.max_user_watches", "inotify_watches", 64, 4096, 524_288),
    Limit("kernel.pid_max", "tasks", TASKS_OF_A_HOST, 1024, 131_072),
    Limit("kernel.threads-max", "tasks", TASKS_OF_A_HOST, 1024),
    Limit("kernel.pty.max", "terminals", 2, 16),
)


@dataclass(frozen=True)
class Usage:
    """What is in use on this machine now; of inotify by root, as all hosts are root's.

    :param terminals: pseudo-terminals, and those that are kept for the machine itself.
    """

    inotify_instances: int
    inotify_watches: int
    tasks: int
    terminals: int


@dataclass(frozen=True)
class Shortage:
    """A limit that hosts would reach.

    :param needed: what it should be.
    :param boots: whether they can boot all the same.
    """

    setting: str
    value: int
    used: int
    needed: int
    boots: bool

    def __str__(self) -> str:
        return f"{self.setting} is {self.value}, and {self.used} are in use"


def ensure(hosts: int, say: Callable[[str], None], proc: Path = PROC) -> None:
    """See to it that so many more hosts can boot and work.

    :param say: told what is raised, and what could not be.
    :param proc: where the kernel's settings are.
    :raises SealerError: they cannot boot, and this process may not change that; says what to run.
    """
    if not hosts:
        return
    refused = []
    for shortage in shortages(hosts, proc):
        try:
            _path(proc, shortage.setting).write_text(f"{shortage.needed}\n")
        except OSError:
            refused.append(shortage)
        else:
            say(f"Raised {shortage.setting} from {shortage.value} to {shortage.needed}: all hosts share this kernel")
    fatal = [shortage for shortage in refused if not shortage.boots]
    if fatal:
        raise SealerError(
            f"this machine cannot boot {_counted(hosts)} more",
            why=_joined([*map(str, fatal), "this process may not raise that"]),
            remedy=f"on the machine itself, as root: {command(refused)}",
        )
    if refused:
        say(f"Warning: {_joined(list(map(str, refused)))}; programs on the hosts may fail. Run: {command(refused)}")


def shortages(hosts: int, proc: Path = PROC) -> list[Shortage]:
    """The limits that so many more hosts would reach."""
    usage = usage_of(proc)
    found = []
    for limit in LIMITS:
        try:
            value = int(_path(proc, limit.setting).read_text())
        except (OSError, ValueError):
            continue  # a kernel without it has no such limit
        used: int = getattr(usage, limit.use)
        needed = used + limit.working * hosts
        if value < needed:
            boots = value >= used + limit.booting * hosts
            found.append(Shortage(limit.setting, value, used, max(needed, limit.generous), boots))
    return found


def command(short: Sequence[Shortage]) -> str:
    """What raises these limits."""
    return "sysctl -w " + " ".join(f"{shortage.setting}={shortage.needed}" for shortage in short)


def usage_of(proc: Path = PROC) -> Usage:
    """What is in use now."""
    instances = watches = 0
    for directory in proc.glob("[0-9]*/fd"):
        with contextlib.suppress(OSError):  # it ended, or is not ours to look at
            if directory.parent.stat().st_uid == os.geteuid():
                for entry in directory.iterdir():
                    with contextlib.suppress(OSError):
                        if str(entry.readlink()) == "anon_inode:inotify":
                            instances += 1
                            watches += (directory.parent / "fdinfo" / entry.name).read_text().count("inotify wd:")
    tasks = int((proc / "loadavg").read_text().split()[3].partition("/")[2])
    terminals = _number(proc / "sys/kernel/pty/nr") + _number(proc / "sys/kernel/pty/reserve")
    return Usage(instances, watches, tasks, terminals)


def ensure_room(hosts: int, state: Path, proc: Path = PROC) -> None:
    """See to it that memory, disk and this process's own control group have room for so many more hosts.

    :param state: where their files will be.
    :raises SealerError: they have not; says of what there is too little.
    """
    if not hosts:
        return
    lacks = [
        *_lack_of_disk(state, hosts * DISK_OF_A_HOST, hosts * FILES_OF_A_HOST),
        *_lack_of_memory(proc, hosts),
        *_lack_of_tasks(hierarchies((proc / "self/mountinfo").read_text()), hosts),
    ]
    _refuse(f"this machine cannot boot {_counted(hosts)} more", lacks)


def ensure_room_for_base(cache: Path) -> None:
    """The same for a base tree.

    :raises SealerError: there is too little disk.
    """
    lacks = _lack_of_disk(cache, DISK_OF_A_BASE, FILES_OF_A_BASE)
    _refuse("the base tree of the hosts cannot be made", lacks)


def _refuse(what: str, lacks: Sequence[str]) -> None:
    if lacks:
        raise SealerError(what, why=_joined(lacks), remedy="free some, or delete a cluster: sealer status lists them")


def _lack_of_disk(directory: Path, size: int, files: int) -> list[str]:
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    disk = os.statvfs(existing)
    free = disk.f_bavail * disk.f_frsize
    if free < size:
        return [f"{directory} needs {size // MIB} MiB of disk, and {free // MIB} are free"]
    if disk.f_files and disk.f_favail < files:
        return [f"{directory} needs {files} inodes, and {disk.f_favail} are free"]
    return []


def _lack_of_memory(proc: Path, hosts: int) -> list[str]:
    fields = dict(line.split(":", 1) for line in (proc / "meminfo").read_text().splitlines() if ":" in line)
    free = sum(int(fields[name].split()[0]) for name in ("MemAvailable", "SwapFree") if name in fields) * 1024
    needed = hosts * MEMORY_OF_A_HOST
    return [f"they need {needed // MIB} MiB of memory, and {free // MIB} are free"] if free < needed else []


def _lack_of_tasks(groups: Sequence[Hierarchy], hosts: int) -> list[str]:
    """In a container sealer sees its own control group as the root, and hosts are made below it."""
    for hierarchy in groups:
        if "pids" not in hierarchy.controllers:
            continue
        try:
            most, used = int((hierarchy.root / "pids.max").read_text()), _number(hierarchy.root / "pids.current")
        except (OSError, ValueError):
            continue  # a real root has none; `max` is no limit
        if most < used + hosts * TASKS_OF_A_HOST:
            return [f"pids.max of the control group {hierarchy.root} is {most}, and {used} are in use"]
    return []


def _path(proc: Path, setting: str) -> Path:
    return proc / "sys" / setting.replace(".", "/")


def _number(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def _counted(hosts: int) -> str:
    return "1 host" if hosts == 1 else f"{hosts} hosts"


def _joined(parts: Sequence[str]) -> str:
    return "; ".join(parts)
