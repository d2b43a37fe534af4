"""What the benchmarks share: programs run for their time and memory, in turns with their peers, and figures shown."""

# ruff: noqa: T201  # figures are its purpose

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

MB = 1_000_000
SEALER = Path(sys.executable).with_name("sealer")
_MEMORY = Path("/dev/shm")
MEMORY = _MEMORY if _MEMORY.is_dir() else None  # where to work, so that no disk is measured; None: the usual place
BYTECODE = Path(tempfile.gettempdir()) / f"sealer-bytecode-{os.getuid()}"
# A process that was started by this one is said to have had at least the memory of this one (Linux takes over the
# high-water mark at exec). So a small one starts it, which keeps its own start out of the time, too.
_STARTER = """
import os, sys, time
report = int(sys.argv[1])
os.set_inheritable(report, False)
begun = time.perf_counter()
process = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, used = os.wait4(process, 0)
os.write(report, f"{time.perf_counter() - begun} {used.ru_maxrss}".encode())
sys.exit(abs(os.waitstatus_to_exitcode(status)))
"""


@dataclass(frozen=True)
class Run:
    """One process: how long it took, and the most memory it had."""

    seconds: float
    megabytes: float


def run(command: Sequence[str | Path], variables: Mapping[str, str] | None = None) -> Run:
    """Run a program to its end, as a user starts it; what it prints is thrown away.

    :param variables: of its environment, over this process's own.
    :raises RuntimeError: it failed.
    """
    # an installer compiles what it installs; a checkout whose environment forbids it would compile at every start
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPYCACHEPREFIX": str(BYTECODE), **(variables or {})}
    reading, writing = os.pipe()
    try:
        starter = [sys.executable, "-I", "-S", "-c", _STARTER, str(writing), *map(str, command)]
        done = subprocess.run(
            starter, env=environment, pass_fds=[writing], capture_output=True, text=True, errors="replace", check=False
        )
        if done.returncode:
            said = done.stderr.strip()[-1000:]
            raise RuntimeError(f"{' '.join(map(str, command))[:200]} ended with {done.returncode}: {said}")
        seconds, kilobytes = os.read(reading, 1000).split()
    finally:
        os.close(reading)
        os.close(writing)
    return Run(float(seconds), int(kilobytes) * 1024 / MB)


def timed(action: Callable[[], object]) -> float:
    """Seconds that an action takes."""
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def in_turns(found: dict[str, list[T]], number: int, ways: Mapping[str, Callable[[], T]]) -> None:
    """Take each way once, so that a busy moment strikes all of them; who comes first changes from round to round.

    :param found: what each gave, by its name, in the rounds so far.
    :param number: of this round, from 0.
    """
    names = list(ways)
    first = number % len(names)
    for name in names[first:] + names[:first]:
        found.setdefault(name, []).append(ways[name]())


def ratio(ours: Sequence[Run], theirs: Sequence[Run]) -> float:
    """The ratio of the medians of their times."""
    return median(ours) / median(theirs)


def median(runs: Sequence[Run]) -> float:
    """Of their times."""
    return statistics.median(run.seconds for run in runs)


def machine() -> str:
    """What was measured on, and how busy it is: the loads of 1 and 5 minutes."""
    one, five, _ = os.getloadavg()
    return f"{platform.platform()}, {os.cpu_count()} processors, load {one:.1f} {five:.1f}"


def show(figures: Mapping[str, float]) -> None:
    """Print figures for a person, a line each, at once."""
    for name, value in figures.items():
        print(f"{name:<52}{value:>12,.3f}", flush=True)


def keep(figures: Mapping[str, float], path: Path | None) -> None:
    """Write figures as JSON, where that was asked for."""
    if path:
        path.write_text(json.dumps(figures, indent=2) + "\n")
