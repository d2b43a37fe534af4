"""The demo of the README, in the way tox runs it: the only run of it among the tests."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "tutorial" / "first-cluster.md"
HOME = Path("/var/lib/sealer-etcd-demo")


def tox_command() -> list[str]:
    """What `tox run -e demo` runs at last."""
    tox = configparser.RawConfigParser()
    tox.read(ROOT / "tox.ini")
    words = shlex.split(tox["testenv:demo"]["commands"].strip().splitlines()[-1])
    assert words[0] == "python" and words[-1] == "{posargs}"
    return [sys.executable, *words[1:-1]]


@pytest.mark.lab
@pytest.mark.timeout(1200)  # the first run on a machine makes the tree that hosts boot from
def test_the_demo_keeps_its_promises() -> None:
    command = tox_command()

    # Ended by SIGTERM if it takes too long, so that it takes its hosts away.
    done = subprocess.run(
        ["timeout", "--kill-after=120", "1000", *command],
        cwd=ROOT,
        env=os.environ | {"PYTHONWARNINGS": "error"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    promises = [line for line in done.stdout.splitlines() if line.startswith("=> ")]
    assert promises == [
        "=> 3 members, all healthy",
        "=> 3 hosts have the names that the Clusterfile gives them",
        "=> the check names 198.19.77.13, whose member is stopped",
        "=> read through 198.19.77.12, 198.19.77.13",
        "=> sealer found nothing to change",
        "=> every member is the process that it was",
        "=> 4 members, all healthy",
        "=> 4 hosts have the names that the Clusterfile gives them",
        "=> read through 198.19.77.14",
        "=> 3 members, all healthy",
        "=> read through 198.19.77.11, 198.19.77.12, 198.19.77.13",
        "=> sealer has no cluster any more",
        "=> no host is left",
        promises[-1],
    ]
    assert re.fullmatch(r"=> of [1-9]\d+ processes, interfaces and control groups none is left", promises[-1])
    shown = iter(re.findall(r"^\$ .*$", TUTORIAL.read_text(), re.MULTILINE))
    typed = [line for line in done.stdout.splitlines() if line.startswith("$ ")]
    assert [line for line in typed if line not in shown] == [], "the tutorial shows all of it, in this order"
    assert re.search(r"^all of it +\d+\.\d s$", done.stdout, re.MULTILINE)
    assert re.search(r"^To remove them, .*: rm -rf /var/cache/sealer-nspawn$", done.stdout, re.MULTILINE)
    assert not HOME.exists()
