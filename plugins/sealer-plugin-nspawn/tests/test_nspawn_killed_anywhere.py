"""The process that makes or removes hosts is killed at every point at which it is about to change something."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from sealer_plugin_nspawn.footprint import footprint_of_hosts
from sealer_plugin_nspawn.machines import Machines, wanted
from sealer_plugin_nspawn.options import Options
from sealer_plugin_nspawn.record import Records
from sealer_plugin_nspawn.testing import on_host

pytestmark = pytest.mark.lab

# Counts the changes the process makes, and ends it before the one with the number `at`; with `late`, a moment after
# that one began, so that a program it started is still at work.
CHILD = """
import os, signal, sys
from pathlib import Path
from sealer_plugin_nspawn.machines import Machines, wanted
from sealer_plugin_nspawn.options import Options

action, state, known, at, late = sys.argv[1:]
changes = {"subprocess.Popen", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.chown", "os.kill"}
count = 0

def hook(event, arguments):
    global count
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if event in changes or writes:
        count += 1
        if count == int(at):
            if float(late):
                signal.setitimer(signal.ITIMER_REAL, float(late))  # its default action ends the process on the spot
            else:
                os.kill(os.getpid(), signal.SIGKILL)

machines = Machines("doomed", owner="here", options=Options(state=Path(state)), known=Path(known))
sys.addaudithook(hook)
machines.up(wanted(2)) if action == "up" else machines.down()
print(count)
"""


def run_child(action: str, options: Options, at: int = 0, late: float = 0.0) -> int:
    """The number of changes made; 0 when it was killed."""
    known = options.state.parent / "known_hosts"
    command = [sys.executable, "-c", CHILD, action, str(options.state), str(known), str(at), str(late)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    if at and done.returncode in (-signal.SIGKILL, -signal.SIGALRM):
        return 0
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def machines_of(options: Options) -> Machines:
    return Machines("doomed", owner="here", options=options, known=options.state.parent / "known_hosts")


def expect_nothing(options: Options, before: frozenset[str], when: str) -> None:
    assert sorted(footprint_of_hosts(options.state) - before) == [], when
    assert not options.state.exists(), f"{when}: {[str(path) for path in options.state.rglob('*')][:20]}"
    known = options.state.parent / "known_hosts"
    assert not known.exists() or known.read_text() == "", when


def expect_complete(options: Options, when: str) -> None:
    machines = machines_of(options)
    states = machines.up(wanted(2))
    assert len(Records(options.state).all()) == 1, when
    assert [state.name for state in states] == ["master-0", "node-0"], when
    for state in states:
        assert on_host(state.host, "hostname", machines.known) == state.name, when
    inits = [number for number in Path("/proc").glob("[0-9]*/cmdline") if _boots_one_of(number, options)]
    assert len(inits) == 2, when


def _boots_one_of(cmdline: Path, options: Options) -> bool:
    try:
        words = cmdline.read_bytes().split(b"\0")
    except OSError:
        return False
    return words[0] == b"systemd-nspawn" and any(os.fsencode(options.state) in word for word in words)


def spread(total: int, sample: int) -> Sequence[int]:
    """`sample` of the numbers 1 to `total`, the first and the last among them."""
    return sorted({1 + round(index * (total - 1) / (sample - 1)) for index in range(sample)})


def kill_creation(options: Options, points: int) -> None:
    before = footprint_of_hosts(options.state)
    total = run_child("up", options)
    machines_of(options).down()
    expect_nothing(options, before, "uninterrupted")
    survived = 0
    for turn, at in enumerate(spread(total, min(points, total))):
        late = (0.0, 0.0, 0.002, 0.01)[turn % 4]
        survived += run_child("up", options, at, late) == 0
        if turn % 2:
            expect_complete(options, f"creation killed at {at} of {total}, then repeated")
        machines_of(options).down()
        expect_nothing(options, before, f"creation killed at {at} of {total} ({late} s late)")
    print(f"killed at {survived} of {total} points")  # noqa: T201  # pytest -s shows it
    assert survived > min(points, total) / 2


def kill_removal(options: Options, points: int) -> None:
    before = footprint_of_hosts(options.state)
    machines_of(options).up(wanted(2))
    total = run_child("down", options)
    expect_nothing(options, before, "uninterrupted")
    survived = 0
    for turn, at in enumerate(spread(total, min(points, total))):
        machines_of(options).up(wanted(2))
        survived += run_child("down", options, at, (0.0, 0.003)[turn % 2]) == 0
        machines_of(options).down()
        expect_nothing(options, before, f"removal killed at {at} of {total}")
    print(f"killed at {survived} of {total} points")  # noqa: T201  # pytest -s shows it
    assert survived > min(points, total) / 2


def test_creation_killed_at_some_points(options: Options) -> None:
    kill_creation(options, 12)


def test_removal_killed_at_some_points(options: Options) -> None:
    kill_removal(options, 5)


@pytest.mark.soak
def test_creation_killed_at_every_point(options: Options) -> None:
    kill_creation(options, 10_000)


@pytest.mark.soak
def test_removal_killed_at_every_point(options: Options) -> None:
    kill_removal(options, 10_000)
