"""Hosts that NSPAWN made for a cluster are shut down and booted again, from the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.lab

Sealer = Callable[..., subprocess.CompletedProcess[str]]
LONGEST = 60  # seconds that two hosts need to shut down; they take one or two, and are killed after 100


@pytest.fixture
def sealer(image_store: Path, tmp_path: Path) -> Iterator[Sealer]:
    """A home whose clusters are deleted at the end."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "images").symlink_to(image_store)

    def call(*words: str, status: int = 0, timeout: float = 300.0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "sealer", *words],
            env={**os.environ, "SEALER_HOME": str(home)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done

    try:
        yield call
    finally:
        call("delete", "night", "--yes", "--force")


def hosts(sealer: Sealer) -> dict[str, dict[str, Any]]:
    """By their names, the hosts as `sealer status` shows them."""
    result = json.loads(sealer("status", "night", "--output", "json").stdout)
    return {host["placeholder"]: host for host in result["hosts"]}


def on_all(sealer: Sealer, line: str) -> list[list[str]]:
    result = json.loads(sealer("exec", "--name", "night", "--output", "json", line).stdout.splitlines()[-1])
    return [host["stdout"] for host in result["hosts"]]


def test_a_cluster_sleeps_at_night(sealer: Sealer) -> None:
    sealer("run", "marks:1", "--provider", "nspawn", "-m", "1", "-n", "1", "--name", "night")
    service = "systemd-run --quiet -p RemainAfterExit=yes -p ExecStop='/bin/touch /root/orderly' true"
    boots = on_all(sealer, f"cat /proc/sys/kernel/random/boot_id; {service}")

    stopped = sealer("stop", "night", "--yes", timeout=LONGEST)
    assert "switched off" not in stopped.stdout, "each host shuts down by itself"
    assert {name: host["now"]["off"] for name, host in hosts(sealer).items()} == {"master-0": True, "node-0": True}

    sealer("start", "night")
    again = on_all(sealer, "cat /proc/sys/kernel/random/boot_id /root/orderly")  # fails where a service was not stopped
    assert all(one != other for one, other in zip(boots, again, strict=True))
    sealer("check", "night")
