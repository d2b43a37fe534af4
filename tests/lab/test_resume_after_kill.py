"""SIGKILL at every record of the journal: the same command finishes the work, and nothing is done twice."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from signal import SIGKILL

import pytest
from lab_site import Site

pytestmark = pytest.mark.lab

PROGRAM = str(Path(__file__).with_name("killed_sealer.py"))
SAMPLE = 12

# What each script of the image must have left: once, in this order.
MASTER = ["pre-init", "init", "pre-guest", "cmd-1 {name}", "cmd-2 hello", "post-install"]
NODE = ["pre-init", "init", "post-install"]


def run(site: Site, when: str, number: int) -> tuple[int, str]:
    process = site.start("apply", "-f", str(site.clusterfile), "--yes", program=(PROGRAM, when, str(number)))
    output, _ = process.communicate(timeout=120)
    return process.returncode, output


def check_result(site: Site) -> None:
    """Everything was done exactly once, and is as after an uninterrupted run."""
    names = [site.on(number, "hostname") for number in range(3)]
    marks = site.marks()
    for number, host in enumerate(site.hosts):
        expected = [mark.format(name=names[number]) for mark in (MASTER if host.is_master else NODE)]
        assert marks[host.address] == expected
        # Receipts show the same of the kernel's own scripts: no step was launched twice on a host.
        attempts = site.on(number, f"ls /var/lib/sealer/data/{site.name}/receipts").split()
        steps = [attempt.rpartition("-")[0] for attempt in attempts]
        assert len(steps) == len(set(steps)), steps
        assert site.on(number, f"cat /var/lib/sealer/data/{site.name}/rootfs/etc/site.conf").startswith(
            f"ip={host.address} masters={site.hosts[0].address} "
        )
        assert site.on(number, f"ls -a /var/lib/sealer/data/{site.name}").split() == [
            *(".", "..", "identity", "receipts", "rootfs")
        ]
        assert site.on(number, "ls /var/lib/sealer/layers/sha256 | grep -c partial || true") == "0"
    assert "running" in site.sealer("status", "--name", site.name)


def survives(site: Site, when: str, number: int) -> None:
    status, output = run(site, when, number)
    assert status == -SIGKILL, f"kill {when} record {number}: {output}"
    site.apply()
    check_result(site)
    assert "already up to date" in site.apply()
    site.delete()
    for index, host in enumerate(site.hosts):
        assert site.on(index, "ls /var/lib/sealer 2>/dev/null || true") == "", host.address
        site.on(index, "rm -f /root/marks")


@pytest.fixture
def records(site: Site) -> int:
    """How many records an uninterrupted run writes."""
    site.write()
    status, output = run(site, "never", 0)
    assert status == 0, output
    check_result(site)
    site.delete()
    for index in range(3):
        site.on(index, "rm -f /root/marks")
    found = re.search(r"records=(\d+)", output)
    assert found, output
    return int(found[1])


def test_survives_a_sample_of_kills(site: Site, records: int) -> None:
    points = [(when, number) for number in range(1, records + 1) for when in ("before", "after")]
    chosen = [points[index * (len(points) - 1) // (SAMPLE - 1)] for index in range(SAMPLE)]
    for when, number in chosen:
        survives(site, when, number)


@pytest.mark.soak
def test_survives_a_kill_at_every_record(site: Site, records: int) -> None:
    for number in range(1, records + 1):
        for when in ("before", "after"):
            survives(site, when, number)
    sys.stderr.write(f"survived {2 * records} of {2 * records} kills\n")


def test_survives_a_kill_after_each_new_record_of_one_install(site: Site, records: int) -> None:
    """One install, killed again and again: each process gets two records further than the one before."""
    kills = 0
    while kills <= records:
        status, output = run(site, "after", 2)
        if status == 0:
            break
        assert status == -SIGKILL, output
        kills += 1
    assert kills > records // 4
    check_result(site)


def test_a_create_can_be_deleted_after_any_prefix(site: Site, records: int) -> None:
    for number in range(1, records, max(1, records // 6)):
        status, output = run(site, "after", number)
        assert status == -SIGKILL, output
        site.delete()
        for index in range(3):
            assert site.on(index, "ls /var/lib/sealer 2>/dev/null || true") == ""
            assert (
                site.on(
                    index,
                    "cat /root/.ssh/authorized_keys 2>/dev/null | grep -c ' sealer-site$' || true",
                )
                == "0"
            )
            site.on(index, "rm -f /root/marks")
