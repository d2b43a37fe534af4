"""The control groups of one host: how it is limited, and how all of its processes are found.

With cgroup v1 a host gets a group of its own in every hierarchy, the named ones too: systemd in the host would else
share the groups of the systemd in the next. With v2 there is one hierarchy, in which only leaves hold processes once
controllers are handed down, so the group has two: `keeper` for the process that keeps the host running, and `host`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import select
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sealer.errors import SealerError
from sealer_plugin_nspawn.record import Lab, Machine

MOUNTS = Path("/proc/self/mountinfo")
QUOTA_PERIOD = 100_000  # microseconds, the kernel's default
POWER_OFF = signal.SIGRTMIN + 4  # to systemd as the first process: start poweroff.target
PATIENCE = 20.0  # seconds until killed processes must have ended


@dataclass(frozen=True)
class Hierarchy:
    """One mounted cgroup hierarchy.

    :param controllers: of v1: those bound to it; of v2: those it offers.
    """

    root: Path
    version: int
    controllers: frozenset[str]


def hierarchies(mountinfo: str) -> list[Hierarchy]:
    """The hierarchies of a `/proc/<pid>/mountinfo`, each once."""
    found: dict[tuple[str, str], Hierarchy] = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(maxsplit=2)
        device, point = before.split()[2], before.split()[4]
        if kind not in ("cgroup", "cgroup2") or (device, kind) in found:
            continue
        root = Path(point)
        controllers = frozenset(options.split(",")) if kind == "cgroup" else _offered(root)
        found[device, kind] = Hierarchy(root, 1 if kind == "cgroup" else 2, controllers)
    return list(found.values())


def _offered(root: Path) -> frozenset[str]:
    try:
        return frozenset((root / "cgroup.controllers").read_text().split())
    except OSError:
        return frozenset()


PREFIX = "sealer-nspawn-"


def group_name(lab: Lab, machine: Machine) -> str:
    """What a host's groups are called: numbers are unique in one network only, and another state directory may serve
    another network of the same machine."""
    return f"{PREFIX}{state_digest(lab.directory.parent)}-{lab.unit(machine)}"


def state_digest(state: Path) -> str:
    """A state directory in eight letters."""
    return hashlib.sha256(os.fsencode(state)).hexdigest()[:8]


class HostGroups:
    """The groups of one host."""

    def __init__(self, lab: Lab, machine: Machine) -> None:
        self.host = machine.name
        self.name = group_name(lab, machine)
        self.hierarchies = hierarchies(MOUNTS.read_text())

    @property
    def groups(self) -> list[Path]:
        """One group in each hierarchy, whether it exists or not."""
        return [hierarchy.root / self.name for hierarchy in self.hierarchies]

    def make(self, cpu: int, memory: int) -> tuple[list[Path], list[Path]]:
        """Make the groups, with the host's limits.

        :param cpu: cores; 0: no limit.
        :param memory: MiB; 0: no limit.
        :returns: the groups that the keeper enters, and those that the host's first process enters.
        """
        keeper: list[Path] = []
        host: list[Path] = []
        alone = all(hierarchy.version == 2 for hierarchy in self.hierarchies)
        for hierarchy, group in zip(self.hierarchies, self.groups, strict=True):
            group.mkdir(exist_ok=True)
            if hierarchy.version == 1:
                _limit_v1(hierarchy, group, cpu, memory)
                keeper.append(group)
            elif alone or hierarchy.controllers:
                _hand_down(hierarchy, group)
                _limit_v2(hierarchy, group, cpu, memory)
                (group / "keeper").mkdir(exist_ok=True)
                (group / "host").mkdir(exist_ok=True)
                keeper.append(group / "keeper")
                host.append(group / "host")
            else:  # beside v1 ("hybrid"): for keeping processes apart only
                keeper.append(group)
        return keeper, host

    def processes(self) -> set[int]:
        """Every process of the host, by its number on this machine."""
        found: set[int] = set()
        for group in self.groups:
            for directory, _, _ in os.walk(group):
                with contextlib.suppress(OSError):  # the host removes groups of its own as it runs
                    found.update(int(number) for number in Path(directory, "cgroup.procs").read_text().split())
        return found - {0}  # 0: a process of a namespace that this one cannot see

    def kill(self) -> None:
        """End every process, the host's first one before all others: like a power cut, nothing is flushed or told.

        All are stopped before any is killed: none sees another one die, and acts on it.

        :raises SealerError: some do not end.
        """
        deadline = time.monotonic() + PATIENCE
        while remaining := self.processes():
            self._thaw()
            ordered = sorted(remaining, key=lambda number: not _is_init(number))
            for sent in (signal.SIGSTOP, signal.SIGKILL):
                for process in ordered:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process, sent)
            if not _await_end(remaining, deadline):
                raise SealerError(
                    f"processes of {self.host} do not end", why=f"{sorted(self.processes())} ignore SIGKILL"
                )

    def power_off(self) -> None:
        """Tell the host's systemd to power off; it says nothing when that is done. While it boots it may not listen."""
        for process in self.processes():
            if _is_init(process):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, POWER_OFF)

    def _thaw(self) -> None:
        """Let go what the host has frozen, a paused container: with v1 not even SIGKILL ends that."""
        for hierarchy, group in zip(self.hierarchies, self.groups, strict=True):
            if "freezer" in hierarchy.controllers and hierarchy.version == 1:
                for directory, _, _ in os.walk(group):
                    with contextlib.suppress(OSError):
                        Path(directory, "freezer.state").write_text("THAWED")

    def remove(self) -> None:
        """Remove the groups, which hold no process any more."""
        deadline = time.monotonic() + PATIENCE
        for group in self.groups:
            while group.exists():
                for directory, _, _ in os.walk(group, topdown=False):
                    with contextlib.suppress(OSError):
                        Path(directory).rmdir()
                if group.exists():  # busy for a moment after the last process is gone; v1 tells nobody when it is over
                    if time.monotonic() > deadline:
                        raise SealerError(f"the cgroup {group} cannot be removed", why="it stays busy")
                    time.sleep(0.02)


def _is_init(process: int) -> bool:
    """Whether it is the first process of a host (not of a container within one)."""
    for line in _status(process):
        if line.startswith("NSpid:"):
            return [number == "1" for number in line.split()[1:]] == [False, True]
    return False


def _status(process: int) -> Iterator[str]:
    try:
        yield from Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return


def _await_end(processes: set[int], deadline: float) -> bool:
    """Wait for the end of `processes`; False when the time is over."""
    for process in processes:
        try:
            descriptor = os.pidfd_open(process)
        except OSError:
            continue
        try:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                return False
        finally:
            os.close(descriptor)
    return True


def _limit_v1(hierarchy: Hierarchy, group: Path, cpu: int, memory: int) -> None:
    if "cpuset" in hierarchy.controllers:  # a new group has none, and no process could enter it
        for name in ("cpuset.cpus", "cpuset.mems"):
            (group / name).write_text((hierarchy.root / name).read_text())
        (group / "cgroup.clone_children").write_text("1")
    if "memory" in hierarchy.controllers and memory:
        (group / "memory.limit_in_bytes").write_text(str(memory << 20))
    if "cpu" in hierarchy.controllers and cpu:
        (group / "cpu.cfs_quota_us").write_text(str(cpu * QUOTA_PERIOD))


def _limit_v2(hierarchy: Hierarchy, group: Path, cpu: int, memory: int) -> None:
    if "memory" in hierarchy.controllers and memory:
        (group / "memory.max").write_text(str(memory << 20))
    if "cpu" in hierarchy.controllers and cpu:
        (group / "cpu.max").write_text(f"{cpu * QUOTA_PERIOD} {QUOTA_PERIOD}")


def _hand_down(hierarchy: Hierarchy, group: Path) -> None:
    """Let the host use the controllers. One at a time: a machine may refuse one of them, and none is vital."""
    for directory in (hierarchy.root, group):
        for controller in sorted(hierarchy.controllers):
            with contextlib.suppress(OSError):
                (directory / "cgroup.subtree_control").write_text(f"+{controller}")
