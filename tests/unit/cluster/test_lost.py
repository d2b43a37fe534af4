"""A cluster whose record is lost is deleted by the id that its hosts have."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import pytest

from sealer.cluster import state
from sealer.cluster.home import ClusterHome
from sealer.cluster.lifecycle import Outcome
from sealer.cluster.ownership import Identity, new_id
from sealer.clusterfile.model import Cluster
from sealer.errors import InputError, OperationFailedError, RefusedError
from sealer.hosts import MASTER, NODE, Host, Ssh
from sealer.settings import Settings

Site = Any  # the fixture's class lives in conftest.py, which cannot be imported
ID_OF_CAPITALS = "ABCDEF12-ABCD-4BCD-8BCD-ABCDEF123456"
CLEANS = {"scripts/clean.sh": '#!/bin/sh\ntouch "$(dirname "$0")/../../../../../cleaned"\n'}


def made(site: Site, *machines: int) -> str:
    """A cluster on some machines whose home is gone; gives its id."""
    site.build(CLEANS)
    site.lifecycle().apply(site.desired(machines=machines))
    recorded = state.load(site.home)
    assert recorded is not None
    elsewhere(site)
    return str(recorded.id)


def elsewhere(site: Site) -> None:
    """Another home, with no image and no record."""
    home = site.directory / f"home-{new_id()}"
    home.mkdir()
    site.settings = Settings(home=home, parallel_hosts=4)


def base(site: Site) -> Cluster:
    found: Cluster = site.desired().cluster
    return found


def delete(site: Site, identifier: str, machines: Sequence[int], *, force: bool = False, sure: bool = True) -> Outcome:
    """As `sealer delete --all --cluster-id` does it."""
    hosts = [Host(f"10.0.0.{number}", (NODE if place else MASTER,)) for place, number in enumerate(machines)]
    chosen = site.lifecycle(force=force, confirm=lambda question: sure)
    lost = chosen.lost(identifier, hosts, base(site), force=force)
    outcome: Outcome = chosen.delete_lost(lost, Ssh())
    return outcome


def left(site: Site) -> dict[str, str]:
    """Everything on the machines' disks, with what is in it."""
    return {
        str(path.relative_to(site.directory / "machines")): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(site.directory.glob("machines/*/disk/**/*"))
        if path.is_file()
    }


def test_it_is_cleaned_as_by_an_ordinary_delete(site: Site) -> None:
    identifier = made(site, 1, 2)
    assert delete(site, identifier, (1, 2)).kind == "delete"
    # The image is not in this home: its script was run from the hosts' own files.
    assert set(left(site)) == {"10.0.0.1/disk/cleaned", "10.0.0.2/disk/cleaned"}
    assert site.lifecycle().names() == ()
    assert not list(site.settings.clusters.glob("*"))


@pytest.mark.parametrize(
    "identifier", ["", "x", "here", "0b7a1a9e", f"{new_id()}\n", new_id().upper().replace("0", "A")]
)
def test_what_is_no_id(site: Site, identifier: str) -> None:
    with pytest.raises(InputError, match="--cluster-id"):
        site.lifecycle().lost(identifier, [Host("10.0.0.1")], base(site), force=False)


def test_another_id_is_refused(site: Site) -> None:
    identifier = made(site, 1, 2)
    before = left(site)
    for force in (False, True):
        with pytest.raises(OperationFailedError, match="Nothing was changed") as caught:
            delete(site, new_id(), (1, 2), force=force)
        assert caught.value.exit_status == 3
        assert {f"'here', id {identifier}" in str(failure.error) for failure in caught.value.failures} == {True}
    assert left(site) == before


def test_hosts_of_other_clusters_and_of_none_are_refused_one_by_one(site: Site) -> None:
    """None of the hosts is changed, those of the cluster neither."""
    identifier = made(site, 1, 2)
    site.rootfs(3).mkdir(parents=True)
    (site.rootfs(3).parent / "identity").write_text(Identity(theirs := new_id(), "here").text)
    before = left(site)
    with pytest.raises(OperationFailedError) as caught:
        delete(site, identifier, (1, 2, 3, 4))
    said = {failure.host: str(failure.error) for failure in caught.value.failures}
    assert said.keys() == {"10.0.0.3", "10.0.0.4"}
    assert theirs in said["10.0.0.3"]
    assert "belongs to no cluster" in said["10.0.0.4"]
    assert left(site) == before
    assert site.lifecycle().names() == ()


def test_hosts_of_an_earlier_sealer_have_no_id_to_delete_them_by(site: Site) -> None:
    identifier = made(site, 1)
    (site.rootfs(1).parent / "identity").unlink()
    with pytest.raises(OperationFailedError) as caught:
        delete(site, identifier, (1,))
    assert "a cluster without an id: 'here'" in str(caught.value.failures[0].error)
    assert site.rootfs(1).exists()


def test_hosts_that_are_not_named_are_told_and_left_behind_by_force_alone(site: Site) -> None:
    identifier = made(site, 1, 2, 3)
    before = left(site)
    with pytest.raises(RefusedError, match=r"further hosts: 10\.0\.0\.2, 10\.0\.0\.3"):
        delete(site, identifier, (1,))
    assert left(site) == before
    delete(site, identifier, (1, 2), force=True)
    assert [site.rootfs(number).exists() for number in (1, 2, 3)] == [False, False, True]
    delete(site, identifier, (3,), force=True)
    assert not site.rootfs(3).exists()


def test_a_host_that_does_not_answer_is_left_behind_by_force_alone(site: Site) -> None:
    identifier = made(site, 1, 2)
    (site.machine(2) / "off").touch()
    with pytest.raises(OperationFailedError) as caught:
        delete(site, identifier, (1, 2))
    assert caught.value.failures[0].host == "10.0.0.2"
    assert site.rootfs(1).exists()
    delete(site, identifier, (1, 2), force=True)
    assert [site.rootfs(number).exists() for number in (1, 2)] == [False, True]
    (site.machine(2) / "off").unlink()
    delete(site, identifier, (2,), force=True)
    assert not site.rootfs(2).exists()


def test_nobody_says_yes(site: Site) -> None:
    identifier = made(site, 1)
    before = left(site)
    with pytest.raises(RefusedError):
        delete(site, identifier, (1,), sure=False)
    assert left(site) == before
    assert site.lifecycle().names() == ()


def test_a_record_that_is_here_is_used_instead(site: Site) -> None:
    site.build(CLEANS)
    site.lifecycle().apply(site.desired(machines=(1,)))
    recorded = state.load(site.home)
    assert recorded is not None
    with pytest.raises(RefusedError, match="is recorded here: 'here'"):
        delete(site, recorded.id, (1,))


def test_a_record_of_another_cluster_of_that_name_stays(site: Site) -> None:
    identifier = made(site, 1)
    store = site.directory / "home/images"
    (site.settings.home / "images").symlink_to(store)
    site.lifecycle().apply(site.desired(machines=(2,)))
    with pytest.raises(RefusedError, match="Another cluster named 'here' is recorded here"):
        delete(site, identifier, (1,))
    assert [site.rootfs(number).exists() for number in (1, 2)] == [True, True]


@pytest.mark.parametrize("when", ["begin", "locked", "intend", "done", "settling"])
def test_killed_it_is_continued_by_the_same_command(site: Site, when: str) -> None:
    identifier = made(site, 1, 2)
    hosts = [Host("10.0.0.1", (MASTER,)), Host("10.0.0.2", (NODE,))]
    site.killed(
        "after", when, lambda life: life.delete_lost(life.lost(identifier, hosts, base(site), force=False), Ssh())
    )
    (site.machine(1) / "revoked").unlink(missing_ok=True)
    (site.machine(2) / "revoked").unlink(missing_ok=True)
    delete(site, identifier, (1, 2))
    assert set(left(site)) == {"10.0.0.1/disk/cleaned", "10.0.0.2/disk/cleaned"}
    assert not list(site.settings.clusters.glob("*/state.json"))


def test_the_id_outlives_a_damaged_state(site: Site) -> None:
    site.build(CLEANS)
    site.lifecycle().apply(site.desired(machines=(1,)))
    recorded = state.load(site.home)
    assert recorded is not None
    assert state.kept_id(ClusterHome.of(site.settings.clusters, "here")) == recorded.id
    text = site.home.state.read_text()
    site.home.state.write_text(text.replace(recorded.id, ""))
    found = state.load(site.home)
    assert found is not None
    assert found.id == recorded.id
