"""sealer is killed again and again while it installs, a host loses power while it joins: the same command finishes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes_site import Kubernetes, eventually, home_of_its_own

from sealer_plugin_nspawn.machines import Machines
from sealer_plugin_nspawn.testing import on_host, real_machines

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

KILLER = Path(__file__).parent.parent / "lab" / "killed_sealer.py"
ENOUGH = 80  # kills after which something is wrong
RECORDS = 2  # of the journal, after which a process is killed


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    with real_machines(2, "sealer-killed") as made:
        yield made


@pytest.fixture
def site(machines: Machines, base_home: Path, tmp_path: Path) -> Iterator[Kubernetes]:
    home = home_of_its_own(tmp_path, base_home)
    site = Kubernetes(home, [state.host for state in machines.list()], name="killed")
    site.masters = 1
    try:
        yield site
    finally:
        if (site.home / "clusters" / site.name / "state.json").exists():
            site.run("delete", "--all", "--name", site.name, "--force")


def test_an_install_that_is_killed_all_along_is_finished_by_the_same_command(site: Kubernetes) -> None:
    """Every other time it dies at a record of its journal, in between in the middle of what runs on the hosts."""
    site.spec(0, 1)
    words = ("apply", "-f", str(site.clusterfile), "--yes")
    killed = 0
    while killed < ENOUGH:
        if killed % 2:
            ended = killed_after(site, 3 + killed % 3, *words)
        else:
            process = site.start(*words, program=(str(KILLER), "after", str(RECORDS)), KUBECONFIG=str(site.home / "k"))
            output, _ = process.communicate(timeout=600)
            ended = process.returncode
            assert ended in (0, -signal.SIGKILL), output
        if ended == 0:
            break
        killed += 1
    assert 12 <= killed < ENOUGH
    assert site.ready() == site.addresses(0, 1)
    # Once is enough: neither was the first attempt thrown away, nor did kubeadm run twice to its end.
    runs = "grep -rlE 'initialized successfully|has joined the cluster' /var/lib/sealer/data/killed/receipts"
    assert [len(site.on(number, f"{runs} || true").splitlines()) for number in (0, 1)] == [1, 1]
    again = "grep -rl --exclude=script 'beginning anew' /var/lib/sealer/data/killed/receipts || true"
    assert [site.on(number, again) for number in (0, 1)] == ["", ""]


def test_a_host_that_loses_its_power_while_it_joins(site: Kubernetes, machines: Machines) -> None:
    site.spec(0, 1)
    words = ("apply", "-f", str(site.clusterfile), "--yes")
    process = site.start(*words, KUBECONFIG=str(site.home / "k"))
    joins = "pgrep -f 'kubeadm [j]oin' || test -e /etc/kubernetes/sealer/joined && echo joins"
    eventually(lambda: process.poll() is not None or "joins" in quiet(site, 1, f"({joins}) && echo joins"), 300)
    machines.kill(site.hosts[1].address)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 1, output
    assert site.hosts[1].address in output
    machines.boot(site.hosts[1].address)
    site.run()
    assert site.ready() == site.addresses(0, 1)


def killed_after(site: Kubernetes, seconds: float, *words: str) -> int:
    """How a process ended that is killed when it has run for so long."""
    process = site.start(*words, KUBECONFIG=str(site.home / "k"))
    try:
        output, _ = process.communicate(timeout=seconds)
        assert process.returncode == 0, output
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    return process.returncode


def quiet(site: Kubernetes, number: int, command: str) -> str:
    """What a command prints, while the host may be anything."""
    time.sleep(0.2)
    return on_host(site.hosts[number], f"{command} || true")
