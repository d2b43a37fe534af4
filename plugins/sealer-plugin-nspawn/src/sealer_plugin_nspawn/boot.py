"""Booting a host so that it outlives this process, and waiting until it answers."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from importlib import resources
from pathlib import Path

from sealer.errors import HostUnreachableError, SealerError
from sealer_plugin_nspawn import limits, network
from sealer_plugin_nspawn.cgroups import HostGroups
from sealer_plugin_nspawn.record import Lab, Machine

BOOT_PATIENCE = 120.0  # seconds
STOP_PATIENCE = 100.0  # seconds; a service that does not end is killed by the host's systemd after 90
ASK_AGAIN = 10.0
LINES_SHOWN = 20
TICK = 2.0  # seconds
# What systemd-nspawn needs of this machine's mounts beside those that hold the host's files.
NEEDED_MOUNTS = ("/proc", "/sys", "/dev", "/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc")


def running(lab: Lab, machine: Machine) -> bool:
    """Whether the host runs, or is about to."""
    return bool(HostGroups(lab, machine).processes())


def start(lab: Lab, machine: Machine, lock: int) -> None:
    """Boot a host whose files are made and which does not run; comes back at once.

    :param lock: descriptor of the cluster's lock, which the new process holds until it can be found.
    :raises SealerError: it cannot even be started.
    """
    groups = HostGroups(lab, machine)
    keeper, host = groups.make(machine.cpu, machine.memory)
    network.remove_cable(lab, machine)
    _mark(lab, machine).unlink(missing_ok=True)
    files = lab.files(machine)
    script = resources.files(__package__).joinpath("boot.sh").read_text()
    lists = [
        "\n".join(str(path) for path in paths) for paths in (keeper, host, unwanted_mounts(files, Path(machine.base)))
    ]
    command = ["setsid", "--fork", "unshare", "--mount", "sh", "-c", script, "sealer-nspawn"]
    with (files / "console.log").open("ab") as console:
        done = subprocess.run(
            [*command, lab.unit(machine), lab.bridge, str(files), machine.base, *lists],
            stdin=lock,
            stdout=console,
            stderr=console,
            cwd="/",
            check=False,
        )
    if done.returncode:
        raise SealerError(f"{machine.name} cannot be booted", why=f"setsid ended with status {done.returncode}")


def stopping(lab: Lab, machine: Machine) -> bool:
    """Whether the host was told to shut down and still has processes."""
    return _mark(lab, machine).exists() and running(lab, machine)


def shut_down(lab: Lab, machines: Sequence[Machine], tick: Callable[[int], None]) -> list[Machine]:
    """Let hosts power off, and wait until they are off.

    What a host was told is kept on disk, for the case that this process is killed meanwhile.

    :param tick: called about every two seconds with the number of hosts that are off; may raise to end the waiting.
    :returns: those that still run when the time is over.
    """
    waiting = [machine for machine in machines if running(lab, machine)]
    for machine in waiting:
        _mark(lab, machine).touch()
    deadline = time.monotonic() + STOP_PATIENCE
    asked = told = float("-inf")
    while waiting and (now := time.monotonic()) < deadline:
        if now - asked > ASK_AGAIN:
            asked = now
            for machine in waiting:
                HostGroups(lab, machine).power_off()
        if now - told > TICK:
            told = now
            tick(len(machines) - len(waiting))
        time.sleep(0.1)
        waiting = [machine for machine in waiting if running(lab, machine)]
    return waiting


def _mark(lab: Lab, machine: Machine) -> Path:
    return lab.files(machine) / "stopping"


def unwanted_mounts(*needed: Path, mountinfo: str = "") -> list[str]:
    """Mount points that booting hosts under `needed` can do without, the innermost first."""
    text = mountinfo or Path("/proc/self/mountinfo").read_text()
    points = [_unescaped(line.split()[4]) for line in text.splitlines()]
    return [
        point
        for point in reversed(points)
        if not any(Path(point).is_relative_to(top) for top in NEEDED_MOUNTS)
        and not any(path.is_relative_to(point) for path in needed)
    ]


def _unescaped(point: str) -> str:
    """The kernel writes blanks and the like as three octal digits."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), point)


def await_answers(lab: Lab, machines: Sequence[Machine], tick: Callable[[int], None]) -> None:
    """Wait until the SSH server of every host answers.

    :param tick: called about every two seconds with the number of hosts that answer; may raise to end the waiting.
    :raises HostUnreachableError: one died or did not answer within two minutes; says what its console showed.
    """
    deadline = time.monotonic() + BOOT_PATIENCE
    told = time.monotonic()
    waiting = list(machines)
    while waiting:
        silent = [machine for machine in waiting if not answers(lab.address(machine))]
        for machine in silent:
            if not running(lab, machine):
                raise _failure(lab, machine, "it stopped while it booted")
            if time.monotonic() > deadline:
                raise _failure(lab, machine, f"its SSH server did not answer within {BOOT_PATIENCE:g} s")
        if len(silent) == len(waiting):
            time.sleep(0.05)  # nothing tells when a server begins to listen
        waiting = silent
        if time.monotonic() - told > TICK:
            told = time.monotonic()
            tick(len(machines) - len(waiting))


def answers(address: str) -> bool:
    """Whether an SSH server greets there now."""
    try:
        with socket.create_connection((address, 22), timeout=0.3) as connection:
            connection.settimeout(2.0)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _failure(lab: Lab, machine: Machine, why: str) -> HostUnreachableError:
    short = [shortage for shortage in limits.shortages(1) if not shortage.boots]
    again = "run the same command again to boot it again"
    return HostUnreachableError(
        f"{machine.name} did not come up",
        where=lab.address(machine),
        why="; ".join([why, *map(str, short)]),
        output=tuple(_last_lines(lab.files(machine) / "console.log")),
        remedy=f"run {limits.command(short)}, then the same command again" if short else again,
    )


def _last_lines(path: Path) -> Iterable[str]:
    try:
        return path.read_text(errors="replace").splitlines()[-LINES_SHOWN:]
    except OSError:
        return ()
