"""Real hosts, and sealer run against them as a user runs it: a process of its own, from the command line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lab_site import PATIENCE, Site

from sealer_plugin_nspawn.machines import Machines
from sealer_plugin_nspawn.testing import on_host, real_machines

IMAGES = Path(__file__).parent / "images"


@pytest.fixture(scope="session")
def machines() -> Iterator[Machines]:
    """Three hosts, made once and shared; a test that breaks one mends it."""
    with real_machines(3, "sealer-lab-tests") as made:
        yield made


@pytest.fixture(scope="session")
def image_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the image `marks:1`, built once."""
    home = tmp_path_factory.mktemp("images-home")
    subprocess.run(
        [sys.executable, "-m", "sealer", "build", "-t", "marks:1", str(IMAGES / "marks")],
        env={**os.environ, "SEALER_HOME": str(home)},
        check=True,
        capture_output=True,
        timeout=PATIENCE,
    )
    return home / "images"


@pytest.fixture
def site(machines: Machines, image_store: Path, tmp_path: Path) -> Iterator[Site]:
    """The three hosts, clean, with a home of its own; the cluster is taken away at the end."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "images").symlink_to(image_store)
    hosts = [state.host for state in machines.list()]
    site = Site(home, hosts)
    for host in hosts:
        on_host(host, "rm -f /root/marks")
    try:
        yield site
    finally:
        if (home / "clusters" / site.name / "state.json").exists():
            site.delete("--force", status=None)
        for host in hosts:
            on_host(host, "rm -rf /root/marks /var/lib/sealer")
        shutil.rmtree(home / "clusters", ignore_errors=True)


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool], float], None]:
    """Wait for something that another process does."""
    import time

    def wait(condition: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.05)

    return wait
