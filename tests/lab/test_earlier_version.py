"""What the version before made, in its own environment and on real hosts, goes on with this one."""

from __future__ import annotations

from pathlib import Path

import pytest
from earlier_version import EarlierVersion, installed
from lab_site import Site

pytestmark = pytest.mark.lab

IMAGE = Path(__file__).parent / "images" / "marks"


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> EarlierVersion:
    """Its environment, made once."""
    return installed(tmp_path_factory.mktemp("earlier"))


@pytest.fixture
def made(earlier: EarlierVersion, site: Site) -> Site:
    """A cluster on the first two hosts, with an image that was built by that version, too."""
    (site.home / "images").unlink()
    earlier.sealer(site.home, "build", "-t", "marks:1", str(IMAGE))
    site.write(hosts=site.hosts[:2])
    earlier.sealer(site.home, "apply", "-f", str(site.clusterfile), "--yes")
    assert site.on(0, f"ls /var/lib/sealer/data/{site.name}").split() == ["receipts", "rootfs"]
    for number in range(3):
        site.on(number, "rm -f /root/marks")
    return site


def last_marks(site: Site) -> list[list[str]]:
    found = [site.marks()[host.address] for host in site.hosts]
    for number in range(3):
        site.on(number, "rm -f /root/marks")
    return found


def left(site: Site) -> list[str]:
    """What of the cluster is left on each host."""
    look = f"ls -A /var/lib/sealer 2>/dev/null; grep -c ' sealer-{site.name}$' /root/.ssh/authorized_keys"
    return [site.on(number, f"{look} || true") for number in range(3)]


def test_it_is_looked_at_changed_and_deleted(made: Site) -> None:
    site, (first, second, third) = made, (host.address for host in made.hosts)
    before = site.on(0, "cd /var/lib/sealer && find . -type f -exec sha256sum {} + | sort -k2")
    assert "running" in site.sealer("status")
    assert first in site.sealer("status", "--name", site.name)
    assert "is healthy" in site.sealer("check", "--name", site.name)
    assert site.sealer("exec", "--name", site.name, "--", "echo", "here").count("here") == 2
    assert site.on(0, "cd /var/lib/sealer && find . -type f -exec sha256sum {} + | sort -k2") == before
    assert "already up to date" in site.apply()

    key = ("--pk", site.hosts[0].ssh.private_key)
    site.sealer("scale-up", "--name", site.name, "-n", third, *key)
    assert "init" in last_marks(site)[2]
    ids = {site.on(number, f"sed -n s/^id=//p /var/lib/sealer/data/{site.name}/identity") for number in range(3)}
    assert len(ids) == 1
    assert f"id:            {ids.pop()}" in site.sealer("status", "--name", site.name)

    site.write(env={"GREETING": "changed"})
    site.apply()
    assert ["update" in marks for marks in last_marks(site)] == [True] * 3
    site.sealer("delete", "--name", site.name, "-n", third, "--yes")
    assert last_marks(site)[2][-1] == "clean"
    assert left(site)[2] == "0"
    assert "is healthy" in site.sealer("check", "--name", site.name)
    site.delete()
    assert left(site) == ["0"] * 3
    assert second not in site.sealer("status")


def test_it_is_deleted_at_once(made: Site) -> None:
    made.delete()
    assert [marks[-1:] for marks in last_marks(made)] == [["clean"], ["clean"], []]
    assert left(made) == ["0"] * 3


def test_somebody_else_s_home_is_refused_though_the_hosts_have_no_id(made: Site, tmp_path: Path) -> None:
    before = [made.on(number, "find /var/lib/sealer /root/.ssh | sort") for number in (0, 1)]
    for name in (made.name, "another"):
        home = tmp_path / name
        home.mkdir(mode=0o700)
        (home / "images").symlink_to(made.home / "images")
        other = Site(home, made.hosts, name)
        other.write(hosts=made.hosts[:2])
        assert "made by an earlier version of sealer, without an id" in other.apply(status=3)
    assert [made.on(number, "find /var/lib/sealer /root/.ssh | sort") for number in (0, 1)] == before
    made.delete()
