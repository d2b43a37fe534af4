"""Two operators, each with a home of their own, and the same real hosts."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from host_state import left_on, state_of
from lab_site import Site

from sealer.hosts import MASTER
from sealer_plugin_nspawn.testing import on_host

pytestmark = pytest.mark.lab

# All that sealer keeps on a host, with its content; what tells the time of an attempt is no change.
OURS = "cd /var/lib/sealer && find . -printf '%p %y %m %U\\n' | sort; find . -type f -exec sha256sum {} + | sort -k2"


def everything(site: Site) -> list[object]:
    """What could have been changed on any host."""
    return [[state_of(host), on_host(host, f"[ ! -d /var/lib/sealer ] || {{ {OURS}; }}")] for host in site.hosts]


def home_of_another(site: Site, directory: Path, name: str) -> Site:
    """The same hosts in the hands of somebody else, who has the same images."""
    home = directory / f"home-of-{name}"
    home.mkdir(mode=0o700)
    (home / "images").symlink_to(site.home / "images")
    first, second, third = site.hosts
    return Site(home, [replace(third, roles=(MASTER,)), second, first], name)


def identifier(site: Site) -> str:
    recorded = json.loads(site.sealer("status", "--output", "json", "--recorded", "--name", site.name))
    assert re.fullmatch(r"[0-9a-f-]{36}", recorded["id"])
    return str(recorded["id"])


def test_hosts_of_somebody_else_s_cluster_are_refused_whatever_its_name(site: Site, tmp_path: Path) -> None:
    untouched = [state_of(host) for host in site.hosts]
    site.write(hosts=site.hosts[:2])
    site.apply()
    ours, before = identifier(site), everything(site)
    key = ("--pk", site.hosts[0].ssh.private_key)
    for name in (site.name, "another"):
        other = home_of_another(site, tmp_path, name)
        other.write(hosts=other.hosts[:2])
        named = ("--name", name, "-m", site.hosts[2].address, "-n", site.hosts[1].address, *key, "--yes")
        for words in (
            ("apply", "-f", str(other.clusterfile), "--yes"),
            ("apply", "-f", str(other.clusterfile), "--yes", "--force"),
            ("run", "marks:1", *named),
        ):
            said = other.sealer(*words, status=3)
            assert f"{site.hosts[1].address}: Check the hosts" in said
            assert f"This host belongs to another cluster: '{site.name}', id {ours}" in said
            assert f"sealer delete --all --cluster-id {ours} -m" in said
        assert "There is no cluster" in other.sealer("status")
    assert everything(site) == before
    assert "is healthy" in site.sealer("check", "--name", site.name)

    # Their cluster on the third host is nothing that the first one's could be joined to.
    other.write(hosts=other.hosts[:1])
    other.apply()
    before = everything(site)
    said = other.sealer("scale-up", "--name", other.name, "-n", site.hosts[0].address, *key, status=3)
    assert f"id {ours}" in said
    assert everything(site) == before
    other.delete()
    site.delete()
    for number in range(3):
        site.on(number, "rm -f /root/marks")
    assert ["".join(left_on(host, was)) for host, was in zip(site.hosts, untouched, strict=True)] == ["", "", ""]


def test_a_cluster_whose_record_is_lost_is_deleted_by_its_id(site: Site, tmp_path: Path) -> None:
    """With its SSH key, its files, and by the clean.sh that lies on the hosts: the new home has no image."""
    untouched = [state_of(host) for host in site.hosts]
    site.write(hosts=site.hosts[:2])
    site.apply()
    ours = identifier(site)
    rescue = tmp_path / "rescue"
    rescue.mkdir(mode=0o700)
    (first, second, third), key = (host.address for host in site.hosts), site.hosts[0].ssh.private_key
    other = Site(rescue, site.hosts, site.name)

    def delete(*words: str, by: str = ours, status: int = 0) -> str:
        return other.sealer("delete", "--all", "--cluster-id", by, *words, "--pk", key, "--yes", status=status)

    before = everything(site)
    wrong = f"{'0' * 8}-0000-4000-8000-{'0' * 12}"
    assert f"'{site.name}', id {ours}" in delete("-m", first, "-n", second, by=wrong, status=3)
    assert "an id is 36 characters long" in delete("-m", first, by="site", status=2)
    said = delete("-m", first, "-n", f"{second},{third}", status=3)
    assert "This host belongs to no cluster" in said
    assert third in said
    assert f"further hosts: {second}" in delete("-m", first, status=3)
    assert "no host is named" in delete(status=2)
    assert "--cluster-id" in other.sealer("delete", "--cluster-id", ours, "-m", first, status=2)
    assert everything(site) == before
    dry = delete("-m", first, "-n", second, "--dry-run")
    assert "Remove sealer's files" in dry
    assert everything(site) == before

    said = delete("-m", first, "-n", second)
    assert "plugins of its Clusterfile do not run" in said
    marks = site.marks()
    assert [marks[address][-1] for address in (first, second)] == ["clean", "clean"]
    for number in (0, 1):
        site.on(number, "rm -f /root/marks")
    assert ["".join(left_on(host, was)) for host, was in zip(site.hosts, untouched, strict=True)] == ["", "", ""]
    assert "There is no cluster" in other.sealer("status")
    # The record that was lost turns up again: there is nothing left for it to do.
    site.delete()
    assert ["".join(left_on(host, was)) for host, was in zip(site.hosts, untouched, strict=True)] == ["", "", ""]
