"""Whose a host is: told by the cluster's id, before anything is changed there."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sealer.cluster import state
from sealer.cluster.ownership import Identity, cluster_line, new_id
from sealer.clusterfile.model import Clusterfile
from sealer.errors import OperationFailedError, RefusedError
from sealer.extension import ADDED, Effect, Operation, Step, StepContext, hookimpl
from sealer.hosts import MASTER, NODE, Host
from sealer.settings import Settings

Site = Any  # the fixture's class lives in conftest.py, which cannot be imported
HOST_ID = "identity"


def everything(site: Site) -> dict[str, str]:
    """All files of all machines, by path, with what is in them."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "directory"
        for path in sorted(site.directory.glob("machines/**/*"))
    }


def elsewhere(site: Site) -> None:
    """From here on sealer is called from another home, which has the same images."""
    home = site.directory / "home-elsewhere"
    home.mkdir()
    (home / "images").symlink_to(site.settings.images)
    site.settings = Settings(home=home, parallel_hosts=4)


def called(site: Site, name: str, *, machines: tuple[int, ...] = (1,)) -> Clusterfile:
    """A Clusterfile of a cluster of that name."""
    found: Clusterfile = site.desired(machines=machines)
    assert found.cluster is not None
    return replace(found, cluster=replace(found.cluster, name=name))


def identity(site: Site, number: int = 1) -> Path:
    return Path(site.rootfs(number).parent) / HOST_ID


def as_an_earlier_sealer_left_it(site: Site, *machines: int) -> None:
    """No id, neither in the record nor on hosts."""
    content = json.loads(site.home.state.read_text())
    del content["id"]
    site.home.state.write_text(json.dumps(content))
    for number in machines:
        identity(site, number).unlink()


@pytest.mark.parametrize("name", ["here", "another"])
def test_hosts_of_a_cluster_of_another_home_are_refused_whatever_its_name(site: Site, name: str) -> None:
    site.build({"etc/site": "one"})
    site.lifecycle().apply(site.desired(machines=(1, 2)))
    recorded = state.load(site.home)
    assert recorded is not None
    before = everything(site)
    elsewhere(site)
    for force in (False, True):
        for do in ("apply", "create"):
            with pytest.raises(OperationFailedError) as caught:
                getattr(site.lifecycle(force=force), do)(called(site, name, machines=(2, 3)))
            (failure,) = caught.value.failures
            assert (failure.host, caught.value.exit_status) == ("10.0.0.2", 3)
            assert f"'here', id {recorded.id}" in failure.error.what
            assert f"sealer delete --all --cluster-id {recorded.id} -m" in failure.error.remedy
            assert f"Bring back its record, {site.settings.clusters / 'here'}, to manage it" in failure.error.remedy
            assert "sealer delete --all --name" not in caught.value.remedy, "there is nothing to take back"
    with pytest.raises(OperationFailedError):
        site.lifecycle(dry_run=True).apply(called(site, name, machines=(2, 3)))
    assert site.lifecycle().names() == ()
    assert everything(site) == before


def test_a_host_of_another_cluster_cannot_be_added(site: Site) -> None:
    site.build({"etc/site": "one"})
    site.lifecycle().apply(site.desired(machines=(1,)))
    elsewhere(site)
    site.lifecycle().apply(called(site, "mine", machines=(2,)))
    before = everything(site)
    with pytest.raises(OperationFailedError) as caught:
        site.lifecycle().scale_up("mine", [Host("10.0.0.1", (NODE,))])
    assert isinstance(caught.value.failures[0].error, RefusedError)
    assert everything(site) == before
    recorded = site.lifecycle().recorded("mine")
    assert (recorded.status, [entry.host.address for entry in recorded.hosts]) == ("running", ["10.0.0.2"])


def test_every_host_has_the_id_of_its_cluster_and_what_it_takes_to_delete_it(site: Site) -> None:
    site.build({"etc/site": "one"})
    site.lifecycle().apply(site.desired(machines=(1, 2)))
    site.lifecycle().scale_up("here", [Host("10.0.0.3", (NODE,))])
    recorded = state.load(site.home)
    assert recorded is not None
    for number in (1, 2, 3):
        assert identity(site, number).stat().st_mode & 0o777 == 0o600
        known = Identity.read(identity(site, number).read_text())
        assert known is not None
        assert (known.id, known.name, known.runtime) == (recorded.id, "here", recorded.runtime)
        assert (known.image, known.image_digest) == (recorded.image, recorded.image_digest)
        assert [(host.address, host.roles) for host in known.hosts] == [
            ("10.0.0.1", (MASTER,)),
            ("10.0.0.2", (NODE,)),
            ("10.0.0.3", (NODE,)),
        ]
    site.lifecycle(confirm=lambda question: True).delete("here")
    assert not [path for path in everything(site) if "/sealer/" in path]


def test_clusters_of_an_earlier_sealer_get_their_id_with_the_next_operation(site: Site) -> None:
    site.build({"etc/site": "one"})
    site.lifecycle().apply(site.desired(machines=(1, 2)))
    as_an_earlier_sealer_left_it(site, 1, 2)
    assert site.lifecycle().check("here", 30).reached == {"10.0.0.1": True, "10.0.0.2": True}
    assert not identity(site).exists()
    site.lifecycle().scale_up("here", [Host("10.0.0.3", (NODE,))])
    recorded = state.load(site.home)
    assert recorded is not None
    assert {f"id={recorded.id}" in identity(site, number).read_text() for number in (1, 2, 3)} == {True}


def test_a_cluster_of_an_earlier_sealer_is_deleted_without_ever_getting_an_id(site: Site) -> None:
    site.build({"etc/site": "one"})
    site.lifecycle().apply(site.desired(machines=(1, 2)))
    as_an_earlier_sealer_left_it(site, 1, 2)
    site.lifecycle(confirm=lambda question: True).delete("here")
    assert not [path for path in everything(site) if "/sealer/" in path]


@pytest.mark.parametrize("name", ["here", "another"])
def test_hosts_of_an_earlier_sealer_are_refused_elsewhere_though_they_have_no_id(site: Site, name: str) -> None:
    site.build({"etc/site": "one"})
    site.lifecycle().apply(site.desired(machines=(1,)))
    as_an_earlier_sealer_left_it(site, 1)
    before = everything(site)
    elsewhere(site)
    with pytest.raises(OperationFailedError, match="Nothing was changed") as caught:
        site.lifecycle().apply(called(site, name))
    assert "made by an earlier version of sealer" in caught.value.failures[0].error.what
    assert everything(site) == before


def test_one_home_may_have_several_clusters_on_a_host(site: Site) -> None:
    site.build({"etc/site": "one"})
    site.lifecycle().apply(site.desired(machines=(1,)))
    site.lifecycle().apply(called(site, "second"))
    as_an_earlier_sealer_left_it(site, 1)
    site.lifecycle().apply(called(site, "third"))
    assert site.lifecycle().names() == ("here", "second", "third")
    site.lifecycle(confirm=lambda question: True).delete("here")
    assert {path.name for path in site.rootfs().parent.parent.iterdir()} == {"second", "third"}


def test_nothing_goes_past_a_host_that_another_cluster_has_by_now(site: Site) -> None:
    """The record is an old one: the cluster on the host was made by somebody else since, under the same name."""
    site.build({"scripts/update.sh": "#!/bin/sh\\n"})
    site.lifecycle().apply(site.desired(machines=(1, 2)))
    theirs = new_id()
    identity(site, 2).write_text(Identity(theirs, "here").text)
    before = everything(site)
    health = site.lifecycle().check("here", 30)
    assert theirs in str(next(finding.error for finding in health.findings if finding.host == "10.0.0.2"))
    for force in (False, True):
        chosen = site.lifecycle(force=force, confirm=lambda question: True)
        changed = site.desired(machines=(1, 2), env="[A=b]")
        for word, given in (("delete", ("here",)), ("scale_down", ("here", ["10.0.0.2"])), ("apply", (changed,))):
            with pytest.raises(OperationFailedError) as caught:
                getattr(chosen, word)(*given)
            assert theirs in caught.value.failures[0].error.what
    assert everything(site) == before


@pytest.mark.parametrize("changed", ["id", "machine", "name"])
def test_a_command_runs_on_no_host_that_is_not_the_clusters_own(site: Site, changed: str) -> None:
    """Not even its start: what runs first only reads."""
    site.build({"etc/site": "one"})
    site.lifecycle().apply(site.desired(machines=(1, 2)))
    if changed == "id":
        identity(site, 2).write_text(Identity(new_id(), "here").text)
    elif changed == "machine":
        recorded = json.loads(site.home.state.read_text())
        recorded["hosts"][1]["machineId"] = "0" * 32
        site.home.state.write_text(json.dumps(recorded))
    else:
        theirs = Path(shutil.move(identity(site, 2).parent, identity(site, 2).parent.with_name("theirs")))
        (theirs / HOST_ID).write_text(Identity(new_id(), "theirs").text)
    hosts = [entry.host for entry in site.lifecycle().recorded("here").hosts]
    before = everything(site)
    lines: list[tuple[str, str]] = []
    touch = f"touch {site.directory}/machines/ran-$HostIP; echo it ran"
    answers = site.lifecycle().execute("here", touch, hosts, lambda host, stream, line: lines.append((host.id, line)))
    assert lines == [("10.0.0.1", "it ran")]
    assert [path.name for path in site.directory.glob("machines/ran-*")] == ["ran-10.0.0.1"]
    assert [(answer.host.id, answer.status, bool(answer.error)) for answer in answers] == [
        ("10.0.0.1", 0, False),
        ("10.0.0.2", -1, True),
    ]
    assert ("another cluster" in str(answers[1].error)) == (changed != "machine")
    (site.directory / "machines/ran-10.0.0.1").unlink()
    assert everything(site) == before


class AtTheSameMoment:
    """Another operator takes the host after it was looked at."""

    def __init__(self, theirs: str) -> None:
        self.theirs = theirs

    @hookimpl
    def preflight_checks(self, operation: Operation) -> list[Step]:
        def take(context: StepContext) -> None:
            place = f"{context.operation.paths.data_root}/data/other"
            context.query(f"mkdir -p {place} && echo id={self.theirs} > {place}/identity")

        return [Step("take", "Take it", ADDED, take, effect=Effect.QUERY)]


def test_of_two_that_take_a_host_at_the_same_moment_none_touches_the_other_s(site: Site) -> None:
    site.build({"etc/site": "one"})
    theirs = new_id()
    site.hooks.append(AtTheSameMoment(theirs))
    with pytest.raises(OperationFailedError) as caught:
        site.lifecycle().apply(site.desired(machines=(1,)))
    assert f"'other', id {theirs}" in caught.value.failures[0].error.what
    assert not identity(site).exists()
    assert not site.rootfs().exists()
    assert (site.rootfs().parent.parent / "other/identity").read_text() == f"id={theirs}\n"


@pytest.mark.parametrize("line", ["", "Aa 1", "a/b", "web 123", "web \x1b[31m", f"web {new_id()} more", "-x"])
def test_lines_that_no_sealer_wrote(line: str) -> None:
    assert cluster_line(line) is None


def test_what_a_host_says_of_itself_is_not_taken_for_true() -> None:
    identifier = new_id()
    lines = [
        "name=here",
        "image=a\x1b[31mb",
        "runtime=standalone",
        "host=10.0.0.1 master",
        "host=a b",
        "host=\x1b]0;x\x07 node",
    ]
    found = Identity.read("\n".join([f"id={identifier}", *lines, "host=fd00::1 gpu", "what=ever", ""]))
    assert found is not None
    assert (found.id, found.image, found.runtime) == (identifier, "", "standalone")
    assert [(host.address, host.roles) for host in found.hosts] == [("10.0.0.1", (MASTER,)), ("fd00::1", (NODE,))]
    for text in ("", "id=x\nname=here\n", f"id={identifier}\nname=../etc\n", f"id={identifier}\n"):
        assert Identity.read(text) is None
