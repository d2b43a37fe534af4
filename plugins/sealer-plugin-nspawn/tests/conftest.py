from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sealer_plugin_nspawn.footprint import footprint_of_hosts
from sealer_plugin_nspawn.machines import Machines
from sealer_plugin_nspawn.options import Options
from sealer_plugin_nspawn.record import Records
from sealer_plugin_nspawn.testing import owner_of

# Not where pytest keeps what is temporary: of a run that was killed it would remove the files, and not the hosts.
RUNS = Path("/var/lib/sealer-nspawn-tests")


@pytest.fixture(scope="session")
def directory() -> Iterator[Path]:
    """Where this run's state directories lie; hosts of runs whose process is gone are taken away."""
    own = RUNS / owner_of(os.getpid()).replace(" ", "-")
    own.mkdir(parents=True)
    for run in RUNS.iterdir():
        if run.name != owner_of(int(run.name.split("-")[1])).replace(" ", "-"):
            clear(run)
    yield own
    clear(own)
    with contextlib.suppress(OSError):  # another run has its own there
        RUNS.rmdir()


@pytest.fixture
def options(directory: Path) -> Iterator[Options]:
    """A state directory of this test, of which nothing may be left."""
    options = Options(state=Path(tempfile.mkdtemp(dir=directory)) / "state")
    before = footprint_of_hosts(options.state)
    yield options
    remove_hosts(options.state)
    assert sorted(footprint_of_hosts(options.state) - before) == []
    assert not options.state.exists()


def clear(run: Path) -> None:
    """Take away all hosts and files of a run."""
    for state in filter(Path.is_dir, run.glob("*/*")):
        remove_hosts(state)
    shutil.rmtree(run, ignore_errors=True)  # two runs may be at it


def remove_hosts(state: Path) -> None:
    """Take away all hosts of a state directory."""
    options = Options(state=state)
    for lab in Records(state).all():
        Machines(lab.cluster, owner=lab.owner, options=options).down()
