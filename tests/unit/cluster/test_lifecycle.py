"""A cluster's life with everything that can go wrong in it, on machines of a disk of their own."""

from __future__ import annotations

import contextlib
import importlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from sealer.cluster import state
from sealer.errors import HostUnreachableError, InputError, OperationFailedError, PluginError, RefusedError, SealerError
from sealer.extension import ALL, FIRST_MASTER, Fact, Operation, Step, hookimpl

Site = Any  # the fixture's class lives in conftest.py, which cannot be imported
COUNT = "#!/bin/sh\necho $HostIP >> {}/init\n"


@pytest.fixture
def ready(site: Site) -> Site:
    """An image whose script counts where it ran; nobody minds a removal."""
    site.build({"scripts/init.sh": COUNT.format(site.directory)}, f"CMD echo cmd >> {site.directory}/cmd")
    return site


def ran(site: Site, name: str = "init") -> list[str]:
    path = Path(site.directory, name)
    return sorted(path.read_text().split()) if path.exists() else []


def yes(site: Site, **choices: Any) -> Any:
    return site.lifecycle(confirm=lambda question: True, **choices)


def status(site: Site) -> str:
    recorded = state.load(site.home)
    return recorded.status if recorded else "unknown"


# -- killed ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "when", "record"),
    [
        ("create", "before", "begin"),
        ("create", "after", "begin"),
        ("apply", "before", "intend"),
        ("create", "after", "settling"),
        ("create", "before", "end"),
        ("apply", "before", "end"),
        ("create", "after", "end"),
        ("apply", "after", "end"),
    ],
)
def test_a_create_that_was_killed_is_finished_by_the_same_command(
    ready: Site, command: str, when: Literal["before", "after"], record: str
) -> None:
    desired = ready.desired(machines=(1, 2))
    ready.killed(when, record, lambda lifecycle: getattr(lifecycle, command)(desired))
    if (command, when, record) == ("create", "after", "end"):
        with pytest.raises(RefusedError, match="exists"):
            ready.lifecycle().create(desired)
    else:
        getattr(ready.lifecycle(), command)(desired)
    assert status(ready) == "running"
    assert (ran(ready), ran(ready, "cmd")) == (["10.0.0.1", "10.0.0.2"], ["cmd"])
    yes(ready).scale_down("here", ["10.0.0.2"])  # nothing is left in the way of what comes next
    assert status(ready) == "running"


def test_keys_that_no_record_knows_are_not_used(ready: Site) -> None:
    """Whoever put them there would hold the authorities of the cluster."""
    planted = ready.home.credentials / "pki" / "ca.key"
    planted.parent.mkdir(parents=True)
    planted.write_text("of somebody else")
    ready.lifecycle().create(ready.desired(machines=(1,)))
    assert not planted.exists()
    assert (ready.home.directory / "credentials.unknown-1/pki/ca.key").read_text() == "of somebody else"
    kept = ready.home.credentials / "of-the-cluster"
    kept.write_text("ours")
    yes(ready).apply(ready.desired(machines=(1, 2)))
    assert kept.read_text() == "ours"


def test_another_create_does_not_pass_for_the_one_that_lacks_a_word(ready: Site) -> None:
    ready.killed("before", "end", lambda lifecycle: lifecycle.create(ready.desired()))
    with pytest.raises(RefusedError, match="exists"):
        ready.lifecycle().create(ready.desired(machines=(1, 2)))
    assert ready.lifecycle().apply(ready.desired(machines=(1, 2))).kind == "scale"
    assert ran(ready) == ["10.0.0.1", "10.0.0.2"]


@pytest.mark.parametrize("record", ["begin", "intend", "settling"])
def test_a_delete_that_was_killed_is_finished_by_the_same_command(ready: Site, record: str) -> None:
    """After the last record, what is on this machine is removed; the password of the hosts was never recorded."""
    ready.lifecycle().create(ready.desired(machines=(1, 2)))
    ready.killed("after", record, lambda lifecycle: lifecycle.delete("here"))
    yes(ready).delete("here")
    assert not ready.home.directory.exists()
    for number in (1, 2):
        assert not list((ready.machine(number) / "disk").iterdir())


@pytest.mark.parametrize(("when", "record"), [("after", "begin"), ("before", "locked")])
def test_a_create_that_was_killed_before_it_touched_a_host_is_deleted_without_one(
    ready: Site, when: Literal["before", "after"], record: str
) -> None:
    ready.killed(when, record, lambda lifecycle: lifecycle.create(ready.desired()))
    assert status(ready) == "creating"
    (ready.machine(1) / "off").touch()
    assert yes(ready).delete("here").kind == "delete"
    assert not ready.home.directory.exists()


@pytest.mark.parametrize("left", ["journal.jsonl", "Clusterfile.pending", "Clusterfile"])
def test_what_a_killed_removal_of_the_records_left_is_no_cluster(ready: Site, left: str) -> None:
    ready.killed("after", "intend", lambda lifecycle: lifecycle.create(ready.desired(env="[A=1]")))
    ready.home.clusterfile.write_bytes(ready.home.pending_clusterfile.read_bytes())
    for path in ready.home.directory.iterdir():
        if path.is_file() and path.name != left:
            path.unlink()
    with pytest.raises(InputError):
        ready.lifecycle().delete("here")
    ready.lifecycle().create(ready.desired(machines=(2,)))
    assert status(ready) == "running"


def test_a_typing_mistake_that_was_killed_at_once_is_no_host_of_the_cluster(ready: Site) -> None:
    """The host is off; whoever waits for it kills sealer and names another."""
    ready.killed("before", "locked", lambda lifecycle: lifecycle.create(ready.desired(machines=(3,))))
    (ready.machine(3) / "off").touch()
    ready.lifecycle().create(ready.desired())
    (ready.machine(3) / "off").unlink()
    ready.killed("before", "locked", lambda lifecycle: lifecycle.apply(ready.desired(machines=(1, 3))))
    (ready.machine(3) / "off").touch()
    assert ready.lifecycle().apply(ready.desired()).kind == "nothing"
    assert ready.lifecycle().apply(ready.desired(machines=(1, 2))).kind == "scale"
    recorded = state.load(ready.home)
    assert recorded
    assert [entry.host.address for entry in recorded.hosts] == ["10.0.0.1", "10.0.0.2"]


def test_a_delete_goes_on_where_the_key_was_taken_away(ready: Site) -> None:
    """There is nothing left to do on a host that has shut the door behind us, and no password is recorded."""
    ready.lifecycle().create(ready.desired(machines=(1, 2)))
    ready.killed("before", "settling", lambda lifecycle: lifecycle.delete("here"))
    assert (ready.machine(1) / "revoked").exists()
    yes(ready).delete("here")
    assert not ready.home.directory.exists()


def test_a_full_disk_here_leaves_no_host_that_was_never_touched(ready: Site, small_disk: Path) -> None:
    """Wherever the room ends among the records that come before the first host is touched."""
    ready.settings.clusters.symlink_to(small_disk)
    ready.lifecycle().create(ready.desired())
    filler = small_disk / "filler"
    for pages in range(1, 4):
        with filler.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
            while True:
                stream.write(bytes(4096))
        os.truncate(filler, filler.stat().st_size - pages * 4096)
        with pytest.raises(SealerError) as error:
            ready.lifecycle().apply(ready.desired(machines=(1, 2)))
        assert "No space left" in error.value.why
        filler.unlink()
        assert ready.lifecycle().apply(ready.desired()).kind == "nothing"
    assert ran(ready) == ["10.0.0.1"]


# -- out of reach ----------------------------------------------------------------------------------------------------


def test_a_host_that_is_gone_is_removed_with_force(ready: Site) -> None:
    ready.lifecycle().create(ready.desired(machines=(1, 2, 3)))
    (ready.machine(3) / "off").touch()
    with pytest.raises(OperationFailedError):
        yes(ready).scale_down("here", ["10.0.0.3"])
    assert status(ready) == "running", "nothing was done, and nothing is in the way"
    yes(ready, force=True).scale_down("here", ["10.0.0.3"])
    recorded = state.load(ready.home)
    assert recorded
    assert [entry.host.address for entry in recorded.hosts] == ["10.0.0.1", "10.0.0.2"]
    (ready.machine(2) / "off").touch()
    with pytest.raises(OperationFailedError):
        yes(ready).delete("here")
    yes(ready, force=True).delete("here")
    assert not ready.home.directory.exists()
    assert not list((ready.machine(1) / "disk").iterdir())


def test_a_kept_host_that_is_off_keeps_nobody_from_joining(ready: Site) -> None:
    ready.lifecycle().create(ready.desired(machines=(1, 2)))
    (ready.machine(2) / "off").touch()
    ready.lifecycle().apply(ready.desired(machines=(1, 2, 3)))
    assert ran(ready) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


def test_a_master_that_answers_is_asked_about_the_cluster(ready: Site) -> None:
    """The first one is off: what is done on the first master is done on the next."""
    asked: list[str] = []

    class Asking:
        @hookimpl
        def pre_clean(self, operation: Operation) -> list[Step]:
            assert operation.first_master
            asked.extend([operation.first_master.address, *operation.unreachable])
            return [Step("ask", "Ask the cluster", FIRST_MASTER, lambda context: asked.append(context.host.address))]

    ready.hooks.append(Asking())
    desired = ready.desired(machines=(1, 2, 3))
    assert desired.cluster
    masters = tuple(replace(host, roles=("master",)) for host in desired.cluster.hosts)
    ready.lifecycle().create(replace(desired, cluster=replace(desired.cluster, hosts=masters)))
    (ready.machine(1) / "off").touch()
    yes(ready).scale_down("here", ["10.0.0.3"])
    assert asked[-3:] == ["10.0.0.2", "10.0.0.1", "10.0.0.2"]


# -- unfinished ------------------------------------------------------------------------------------------------------


def test_an_unfinished_application_is_finished_by_its_own_command_or_abandoned(ready: Site) -> None:
    mended = ready.directory / "mended"
    cmds = f"CMD echo app >> {ready.directory}/app; [ -e {mended} ]\nCMD echo end >> {ready.directory}/app"
    ready.lifecycle().create(ready.desired())
    ready.build({"x": "y"}, cmds, name="app:1", kind="app-installer")
    application = ready.desired(image="app:1")
    with pytest.raises(OperationFailedError):
        ready.lifecycle().create(application)
    for choice in ("", "continue"):
        with pytest.raises(RefusedError, match="application of 'here'") as error:
            ready.lifecycle(unfinished=choice).apply(ready.desired())
        assert "--abandon" in error.value.remedy
        assert "--continue" not in error.value.remedy, "it is not by an apply that it can be continued"
    mended.touch()
    ready.lifecycle().create(application)
    assert ran(ready, "app") == ["app", "app", "end"]
    mended.unlink()
    with pytest.raises(OperationFailedError):
        ready.lifecycle().create(application)
    assert ready.lifecycle(unfinished="abandon").apply(ready.desired()).kind == "scale"
    assert status(ready) == "running"


def test_an_unfinished_change_is_continued_by_a_command_of_its_kind(site: Site) -> None:
    mended = site.directory / "mended"
    script = COUNT.format(site.directory) + f"[ -e {mended} ] || [ $HostIP = 10.0.0.1 ]\n"
    site.build({"scripts/init.sh": script})
    site.lifecycle().create(site.desired())
    with pytest.raises(OperationFailedError):
        site.lifecycle().apply(site.desired(machines=(1, 2)))
    with pytest.raises(RefusedError) as error:
        yes(site).apply(site.desired(machines=(1, 3)))
    assert "--continue" in error.value.remedy
    mended.touch()
    site.lifecycle(unfinished="continue").apply(site.desired(machines=(1, 3)))
    recorded = state.load(site.home)
    assert recorded
    assert [entry.host.address for entry in recorded.hosts if entry.member] == ["10.0.0.1", "10.0.0.2"]


# -- records ---------------------------------------------------------------------------------------------------------


def test_a_damaged_journal_is_in_nobodys_way_who_deletes_with_force(ready: Site) -> None:
    ready.lifecycle().create(ready.desired())
    ready.home.journal.write_bytes(b"x\n" + ready.home.journal.read_bytes())
    with pytest.raises(SealerError, match="journal is damaged"):
        yes(ready).delete("here")
    yes(ready, force=True).delete("here")
    assert not ready.home.directory.exists()


# -- strangers -------------------------------------------------------------------------------------------------------

RUNTIME = """
from sealer.extension import ALL, Fact, Step
from sealer_plugin_standalone import Standalone

class Odd(Standalone):
    def install(self, operation):
        {body}
"""


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return None", "a sequence of Step is expected, not NoneType"),
        ("return (step for step in ())", "a sequence of Step is expected, not generator"),
        ("return ['a']", "it has 'a'"),
        ("return [Step('a', 'a', ALL, print), Step('a', 'a', ALL, print)]", "two steps have the id 'a'"),
        ("return [Step('a', 'a', 'all', print)]", "`on` must be targets"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("return {}['a']", "KeyError: 'a'"),
    ],
)
def test_a_driver_that_breaks_its_promise_is_named_and_nothing_is_done(site: Site, body: str, words: str) -> None:
    site.build({"scripts/init.sh": COUNT.format(site.directory)})
    package = site.directory / "site/sealer_test_odd-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: sealer-test-odd\nVersion: 1\n")
    module = f"sealer_test_odd_{abs(hash(body))}"
    (package / "entry_points.txt").write_text(f"[sealer.runtimes]\nodd = {module}:Odd\n")
    (site.directory / f"site/{module}.py").write_text(RUNTIME.format(body=body))
    importlib.invalidate_caches()
    with pytest.raises(PluginError) as error:
        site.lifecycle().create(site.desired(runtime="odd"))
    assert "failed in install" in str(error.value)
    assert words in error.value.why
    assert not ran(site)
    assert not site.home.exists


def test_steps_in_a_circle_are_named(ready: Site) -> None:
    class Circular:
        @hookimpl
        def pre_init(self, operation: Operation) -> list[Step]:
            fact: Fact[int] = Fact("circle", int)
            first = Step("a", "a", ALL, lambda context: None, needs=frozenset({fact}))
            return [first, Step("b", "b", ALL, lambda context: None, gives=frozenset({fact}))]

    ready.hooks.append(Circular())
    with pytest.raises(PluginError, match=r"wait for each other: .*PreInit/hook-0/a"):
        ready.lifecycle().create(ready.desired())
    assert not ran(ready)
    assert not ready.home.exists


def test_a_way_to_a_host_beside_all_operations(ready: Site) -> None:
    """Nothing is recorded for it, and it is closed at the end."""
    ready.lifecycle().create(ready.desired())
    before = {path: path.read_bytes() for path in ready.home.directory.rglob("*") if path.is_file()}
    lifecycle = ready.lifecycle()
    (member,) = lifecycle.recorded("here").hosts
    printed = bytearray()
    with lifecycle.connected("here", member.host) as connection:
        assert connection.execute("cat /etc/machine-id", stdout=printed.extend).status == 0
    assert printed.decode() == f"{1:032x}\n"
    assert {path: path.read_bytes() for path in ready.home.directory.rglob("*") if path.is_file()} == before
    (ready.machine(1) / "off").touch()
    with pytest.raises(HostUnreachableError), lifecycle.connected("here", member.host):
        raise AssertionError
