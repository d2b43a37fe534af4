"""What is recorded of a cluster survives failures, and a damaged record is in nobody's way."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from light_hosts import LightHosts
from small_disk import fill, small_disk

from sealer.cli.health import now_json, now_text
from sealer.cluster import state
from sealer.cluster.home import ClusterHome
from sealer.errors import InputError, LockHeldError, OperationFailedError, RefusedError, SealerError
from sealer.hosts import Ssh
from sealer.redaction import Secret


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LightHosts]:
    if os.geteuid() != 0:
        pytest.skip("hosts with a disk of their own are made by root, so the test must be root too")
    made = LightHosts(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    # Also where nothing says how hosts are reached: their addresses may be somebody's.
    monkeypatch.setattr("sealer.cluster.driver_choice.DEFAULT_TRANSPORT", "door")
    made.build({"scripts/init.sh": "#!/bin/sh\n:\n", "scripts/clean.sh": "#!/bin/sh\n:\n"})
    yield made
    sys.modules.pop("sealer_light_hosts", None)


def killed_in_distribute(site: LightHosts, machines: tuple[int, ...] = (1, 2), **fields: Any) -> None:
    """A create that was killed when it had begun on hosts."""
    desired, journal = site.desired(machines, **fields), site.home().journal

    def begun() -> bool:
        return journal.exists() and journal.read_bytes().count(b'"intend"') > 5

    assert site.process(lambda lifecycle: lifecycle.apply(desired), begun) == -9


# -- failures one after the other ------------------------------------------------------------------------------------


def test_failed_deletes_of_an_unfinished_create_lose_nothing(site: LightHosts) -> None:
    killed_in_distribute(site)
    before = state.load(site.home())
    site.cut(site.machine(2))
    for _ in range(3):
        with pytest.raises(OperationFailedError):
            site.lifecycle().delete("here")
        assert state.load(site.home()) == before
        assert all(path.stat().st_size for path in site.home().directory.glob("Clusterfile*"))
    site.mend()
    site.lifecycle().delete("here")
    assert not site.home().directory.exists()
    assert not site.left()


def test_an_abandoned_create_that_comes_to_nothing_leaves_the_one_before(site: LightHosts) -> None:
    killed_in_distribute(site, (1,))
    before = state.load(site.home())
    site.cut(site.machine(3))
    with pytest.raises(OperationFailedError):
        site.lifecycle(unfinished="abandon").apply(site.desired((1, 3)))
    assert state.load(site.home()) == before
    site.lifecycle(unfinished="abandon").apply(site.desired((1,)))
    assert site.lifecycle().recorded("here").status == "running"


def test_what_was_never_recorded_leaves_no_directory(site: LightHosts) -> None:
    site.cut(site.machine(1))
    with pytest.raises(SealerError) as error:
        site.lifecycle().apply(site.desired((1,)))
    assert "delete" not in error.value.remedy, "there is nothing to delete"
    with pytest.raises(InputError):
        site.lifecycle().apply(site.desired((1,), image="demo:1", runtime="nosuch"))
    assert not list(site.settings.clusters.iterdir())


@pytest.mark.parametrize("at", [1, 4, 7, 9, 11, 13, 16, 20, 26])
def test_a_kill_at_any_file_leaves_a_delete_that_ends_well(site: LightHosts, at: int) -> None:
    """Of an unfinished create, that is continued by a delete which is killed too."""
    killed_in_distribute(site)
    site.process(lambda lifecycle: lifecycle.delete("here"), at)
    site.cut(site.machine(2))
    site.process(lambda lifecycle: lifecycle.delete("here"), at)
    site.mend()
    if site.home().exists:
        site.lifecycle().delete("here")
    assert not site.left()


# -- secrets that are not recorded -----------------------------------------------------------------------------------


def test_what_is_continued_needs_the_secrets_that_it_began_with(site: LightHosts) -> None:
    """Another command than the one that began gives those of drivers, as it gives logins; which, it is told."""
    (site.directory / "token").write_text("s3same")
    door = "{name: door, token: s3same}"
    killed_in_distribute(site, transport=door)
    before = site.home().journal.read_bytes()
    for wrong in ("door", "{name: door}"):
        with pytest.raises(RefusedError) as caught:
            site.lifecycle(unfinished="continue").apply(site.desired((1, 3), transport=wrong))
        assert "does not give spec.transport.token" in caught.value.why
    assert site.home().journal.read_bytes() == before
    site.lifecycle(unfinished="continue").apply(site.desired((1, 3), transport=door))
    recorded = site.lifecycle().recorded("here")
    assert recorded.status == "running"
    assert [entry.host.address for entry in recorded.hosts] == ["10.0.0.1", "10.0.0.2"]
    files = [path for path in site.settings.home.rglob("*") if path.is_file()]
    assert not [path for path in files if b"s3same" in path.read_bytes()]


# -- logins that only a provider knows -------------------------------------------------------------------------------


def passwords(site: LightHosts) -> list[str]:
    """What the provider has given hosts so far."""
    return (site.directory / "passwords").read_text().split()


def recorded_secrets(site: LightHosts) -> set[str]:
    """The files of the home in which one of these passwords stands, by name."""
    files = [path for path in site.settings.home.rglob("*") if path.is_file()]
    return {path.name for path in files if any(word.encode() in path.read_bytes() for word in passwords(site))}


MOMENTS: dict[str, Callable[[LightHosts], bool]] = {
    "before the journal": lambda site: (site.home().credentials / "made-hosts.json").exists(),
    "before the record": lambda site: b'"done"' in site.home().journal.read_bytes(),
    "before the key": lambda site: b"10.0.1.1" in site.home().state.read_bytes(),
    "with the key": lambda site: (site.machine("10.0.1.1") / "authorized").exists(),
}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("how", ["again", "continue", "delete"])
def test_a_password_that_only_the_provider_knows_outlives_a_kill_and_no_success(
    site: LightHosts, moment: str, how: str
) -> None:
    (site.directory / "passwords").touch()
    desired, journal = site.desired(made=(1, 1), password=""), site.home().journal

    def now() -> bool:
        return journal.exists() and bool(passwords(site)) and MOMENTS[moment](site)

    assert site.process(lambda lifecycle: lifecycle.apply(desired), now) == -9
    assert recorded_secrets(site) == {"made-hosts.json"}
    assert (site.home().credentials / "made-hosts.json").stat().st_mode & 0o777 == 0o600
    if how == "delete":
        site.lifecycle().delete("here")
    elif how == "continue":
        site.lifecycle(unfinished="continue").apply(site.desired(made=(1, 2), password=""))
    else:
        site.lifecycle().apply(desired)
        assert site.lifecycle().recorded("here").status == "running"
    assert recorded_secrets(site) == set()
    if how == "delete":
        assert not site.home().directory.exists()
        return
    site.lifecycle().scale_up("here", [], (0, 1))
    assert recorded_secrets(site) == set()
    assert len(site.lifecycle().recorded("here").hosts) == 3


# -- damaged ---------------------------------------------------------------------------------------------------------

DAMAGE: dict[str, Callable[[ClusterHome], object]] = {
    "empty-clusterfile": lambda home: home.clusterfile.write_bytes(b""),
    "garbled-clusterfile": lambda home: home.clusterfile.write_bytes(b"\xff\x00: ["),
    "no-clusterfile": lambda home: home.clusterfile.unlink(),
    "empty-state": lambda home: home.state.write_bytes(b""),
    "torn-state": lambda home: home.state.write_bytes(home.state.read_bytes()[:150]),
    "other-state": lambda home: home.state.write_text('{"format": 1, "hosts": [3, {"address": "10.0.0.1"}]}'),
    "no-state": lambda home: home.state.unlink(),
    "state-directory": lambda home: subprocess.run(f"rm {home.state}; mkdir {home.state}", shell=True, check=True),
    "torn-journal": lambda home: home.journal.write_bytes(home.journal.read_bytes()[40:]),
    "only-a-state": lambda home: subprocess.run(["rm", home.clusterfile, home.journal], check=True),
    "only-a-clusterfile": lambda home: subprocess.run(f"rm {home.journal}; : > {home.state}", shell=True, check=True),
}


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("made", [False, True], ids=["given", "made"])
def test_a_damaged_record_is_in_nobodys_way_and_deleted_with_force(site: LightHosts, kind: str, made: bool) -> None:
    desired = site.desired(made=(1, 1)) if made else site.desired((1, 2))
    site.lifecycle().apply(desired)
    site.lifecycle().apply(site.desired((3,), name="other"))
    DAMAGE[kind](site.home())
    command = [sys.executable, "-m", "sealer", "status", "--output", "json"]
    environment = {**os.environ, "SEALER_HOME": str(site.settings.home), "PYTHONPATH": str(site.directory / "site")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    clusters = {cluster["name"]: cluster for cluster in json.loads(done.stdout)["clusters"]}
    assert clusters["other"]["status"] == "running"
    if kind not in ("no-state", "torn-journal"):
        assert clusters["here"]["status"] == "damaged"
        assert "`sealer delete --all --force --name here`" in clusters["here"]["error"]["remedy"]
        with pytest.raises(SealerError, match="damaged"):
            site.lifecycle().delete("here")
    site.lifecycle(dry_run=True, force=True).delete("here")
    site.lifecycle(force=True).delete("here")
    assert not site.home().directory.exists()
    assert not [path for path in site.left() if "/10.0.0.3/" not in path]
    assert not list((site.directory / "made").glob("here/*"))
    site.lifecycle().delete("other")
    assert not site.left()


def test_made_hosts_are_found_where_nothing_is_recorded_any_more(site: LightHosts) -> None:
    site.lifecycle().apply(site.desired(made=(1, 0)))
    site.home().state.unlink()
    site.home().clusterfile.unlink()
    site.home().journal.unlink()
    site.lifecycle(force=True).delete("here")
    assert not list((site.directory / "made").glob("here/*"))
    with pytest.raises(InputError, match="No cluster named 'here'"):
        site.lifecycle(force=True).delete("here")
    assert not site.home().directory.exists()


# -- logins ----------------------------------------------------------------------------------------------------------


def test_a_corrected_password_reaches_hosts_that_were_made(site: LightHosts) -> None:
    with pytest.raises(OperationFailedError, match="failed"):
        site.lifecycle().apply(site.desired(made=(1, 1), password="wrong-one"))
    site.lifecycle().apply(site.desired(made=(1, 1)))
    assert site.lifecycle().recorded("here").status == "running"


@pytest.mark.parametrize("at", [14, 22, 27, 31, 36, 42])
def test_the_password_is_heeded_wherever_the_run_died(site: LightHosts, at: int) -> None:
    site.process(lambda lifecycle: lifecycle.apply(site.desired(made=(1, 1))), at)
    site.lifecycle().apply(site.desired(made=(1, 1)))
    assert site.lifecycle().recorded("here").status == "running"


@pytest.mark.parametrize(("field", "right", "ssh"), [("user", "admin", "user: admin"), ("port", "2222", "port: 2222")])
@pytest.mark.parametrize("made", [False, True], ids=["given", "made"])
def test_the_same_command_with_another_login_goes_on(
    site: LightHosts, field: str, right: str, ssh: str, made: bool
) -> None:
    hosts: dict[str, Any] = {"made": (1, 1)} if made else {"machines": (1, 2)}
    site.process(lambda lifecycle: lifecycle.apply(site.desired(**hosts)), 44)
    for machine in site.machines:
        (machine / field).write_text(right)
    with pytest.raises(OperationFailedError):
        site.lifecycle().apply(site.desired(**hosts))
    site.lifecycle().apply(site.desired(**hosts, ssh=f"{{passwd: right-one, {ssh}}}"))
    recorded = site.lifecycle().recorded("here")
    assert recorded.status == "running"
    assert {str(getattr(entry.host.ssh, field)) for entry in recorded.hosts} == {right}
    site.lifecycle().delete("here")
    assert not site.left()


def test_a_login_that_changed_is_recorded_by_an_apply_that_has_nothing_else_to_do(site: LightHosts) -> None:
    site.lifecycle().apply(site.desired((1, 2)))
    (site.machine(2) / "port").write_text("2222")
    (site.machine(1) / "port").write_text("2222")
    desired = site.desired((1, 2), ssh="{passwd: right-one, port: 2222}")
    assert site.lifecycle().apply(desired).kind == "nothing"
    site.lifecycle().delete("here")
    assert not site.left()


def test_hosts_that_are_added_by_count_get_the_password_of_the_command(site: LightHosts) -> None:
    site.lifecycle().apply(site.desired(made=(1, 0)))
    with pytest.raises(OperationFailedError):
        site.lifecycle().scale_up("here", (), (0, 1))
    site.lifecycle().scale_up("here", (), (0, 1), Ssh(password=Secret("right-one")))
    assert [entry.member for entry in site.lifecycle().recorded("here").hosts] == [True, True]


# -- force -----------------------------------------------------------------------------------------------------------


def lock_out(site: LightHosts, number: int) -> None:
    """Nobody is let in any more."""
    (site.machine(number) / "password").write_text("changed")
    (site.machine(number) / "authorized").unlink(missing_ok=True)


def another_machine(site: LightHosts, number: int) -> None:
    """Another machine is at the address, with keys of its own."""
    site.new_machine(number, number + 100)


def same_key(site: LightHosts, number: int) -> None:
    """A machine that was installed anew from an image: the host key is the same."""
    site.new_machine(number, number + 100)
    (site.machine(number) / "host-key").write_text(f"KEY:{number}")


@pytest.mark.parametrize("change", [lock_out, another_machine, same_key])
@pytest.mark.parametrize("everything", [False, True], ids=["one", "all"])
def test_force_forgets_a_host_that_cannot_be_worked_on(
    site: LightHosts, change: Callable[[LightHosts, int], None], everything: bool
) -> None:
    site.lifecycle().apply(site.desired((1, 2)))
    change(site, 2)
    site.logins()
    before = sorted((path, path.stat().st_mtime_ns) for path in site.machine(2).rglob("*"))

    def go(**choices: bool) -> None:
        lifecycle = site.lifecycle(**choices)
        lifecycle.delete("here") if everything else lifecycle.scale_down("here", ["10.0.0.2"])

    with pytest.raises(OperationFailedError) as error:
        go()
    assert "--force" in error.value.remedy
    go(force=True)
    assert "10.0.0.2" in site.warned()
    assert "forgotten, not cleaned" in site.warned()
    assert sorted((path, path.stat().st_mtime_ns) for path in site.machine(2).rglob("*")) == before
    if change is another_machine:
        assert "10.0.0.2" not in site.logins()
    if everything:
        assert not site.home().directory.exists()
        assert not [path for path in site.left() if "/10.0.0.1/" in path]
        return
    assert [entry.host.address for entry in site.lifecycle().recorded("here").hosts] == ["10.0.0.1"]
    if change is not lock_out:  # the new machine can take its place
        site.lifecycle().apply(site.desired((1, 2)))
        assert len(site.lifecycle().recorded("here").hosts) == 2


@pytest.mark.parametrize("everything", [False, True], ids=["one", "all"])
def test_a_full_disk_of_a_host_keeps_nobody_from_deleting(site: LightHosts, everything: bool) -> None:
    """Its script runs and its files go, to the last one."""
    site.build({"scripts/clean.sh": f"#!/bin/sh\necho $HostIP >> {site.directory}/cleaned\n"})
    (site.machine(2) / "disk").rmdir()
    with small_disk(site.machine(2) / "disk", 64 * 4096) as disk:
        site.lifecycle().apply(site.desired((1, 2)))
        (fill(disk)).rename(disk / "sealer/data/here/filler")
        lifecycle = site.lifecycle()
        lifecycle.delete("here") if everything else lifecycle.scale_down("here", ["10.0.0.2"])
        assert not list(disk.iterdir())
    assert "10.0.0.2" in (site.directory / "cleaned").read_text()
    assert not Path(f"/run/sealer{site.directory}").exists()
    (site.machine(2) / "disk").mkdir(exist_ok=True)


def test_two_operators_see_each_other_when_the_disk_fills_up_between_them(site: LightHosts) -> None:
    """One has its lock in memory; the other finds room on the disk again."""
    site.lifecycle().apply(site.desired((1,)))
    lock = Path(f"/run/sealer{site.directory}/disk/sealer/data/here/lock")
    lock.parent.mkdir(parents=True)
    try:
        lock.write_text("somebody-else\n{}\n")
        with pytest.raises(OperationFailedError) as error:
            site.lifecycle(force=True).delete("here")
        assert isinstance(error.value.failures[0].error, LockHeldError)
        os.utime(lock, (0, 0))  # it is dead
        site.lifecycle().delete("here")
        assert not site.left()
    finally:
        shutil.rmtree(f"/run/sealer{site.directory}", ignore_errors=True)


@pytest.mark.parametrize(
    ("field", "value"),
    [("runtime", "nosuch"), ("registry", "nosuch"), ("imageDigest", f"sha256:{'0' * 64}")],
)
def test_what_was_uninstalled_keeps_nobody_from_deleting(site: LightHosts, field: str, value: str) -> None:
    site.lifecycle().apply(site.desired(made=(1, 1)))
    content = json.loads(site.home().state.read_bytes())
    site.home().state.write_text(json.dumps({**content, field: value}))
    site.lifecycle(force=True).delete("here")
    assert field == "imageDigest" or "nosuch" in site.warned()
    assert not site.home().directory.exists()
    assert not list((site.directory / "made").glob("here/*"))


def test_a_provider_that_fails_keeps_nobody_from_deleting(site: LightHosts) -> None:
    """What it still has is found again once it works."""
    site.lifecycle().apply(site.desired(made=(1, 0)))
    [place] = (site.directory / "made/here").iterdir()
    address = place.read_text()
    place.unlink()
    place.mkdir()
    with pytest.raises(OperationFailedError):
        site.lifecycle().delete("here")
    site.lifecycle(force=True).delete("here")
    assert not site.home().directory.exists()
    assert "passed over" in site.warned()
    place.rmdir()
    place.write_text(address)
    site.lifecycle(force=True).delete("here")
    assert not list((site.directory / "made").glob("here/*"))


def test_the_user_that_a_transport_found_out_is_recorded(site: LightHosts) -> None:
    """What says so may be gone, or say otherwise, when the host is worked on again."""
    (site.machine(1) / "user").write_text("admin")
    (site.machine(1) / "found-user").write_text("admin")
    site.lifecycle().apply(site.desired((1,)))
    (site.machine(1) / "found-user").unlink()
    [entry] = site.lifecycle().recorded("here").hosts
    assert entry.host.ssh.user == "admin"
    assert site.lifecycle().apply(site.desired((1,))).kind == "nothing"
    site.lifecycle().apply(site.desired((1, 2)))
    assert site.lifecycle().recorded("here").hosts[1].host.ssh.user == ""
    site.lifecycle().delete("here")


@pytest.mark.parametrize("way", ["silent", "refuses"])
def test_a_scale_up_goes_on_past_a_host_that_stays_and_cannot_be_worked_on(site: LightHosts, way: str) -> None:
    """Out of reach or refusing the login: another host joins, and the one that stays is left as it is."""
    site.lifecycle().apply(site.desired((1, 2)))
    if way == "silent":
        site.cut(site.machine(2))
    else:
        (site.machine(2) / "user").write_text("somebody")
    site.lifecycle().apply(site.desired((1, 2, 3)))
    skipped = [event.host for event in site.events if event.state.value == "skipped"]
    assert site.machine(2).name in skipped
    recorded = site.lifecycle().recorded("here")
    assert recorded.status == "running"
    assert [entry.member for entry in recorded.hosts] == [True, True, True]


def test_no_advice_is_the_command_that_was_given(site: LightHosts) -> None:
    """Whatever still fails with force."""
    site.lifecycle().apply(site.desired((1, 2)))
    site.cut(site.machine(1))
    another_machine(site, 2)
    with pytest.raises(OperationFailedError) as error:
        site.lifecycle(force=True).apply(site.desired((1, 3), password="wrong-one"))
    assert "--force" not in error.value.remedy
    assert not [failure for failure in error.value.failures if "--force" in failure.error.remedy]


def test_another_key_is_refused_before_the_login_by_every_command(site: LightHosts) -> None:
    site.lifecycle().apply(site.desired((1,)))
    another_machine(site, 1)
    site.logins()
    recorded = site.lifecycle().recorded("here")
    hosts = [entry.host for entry in recorded.hosts]
    [answer] = site.lifecycle().execute("here", "true", hosts, lambda host, stream, line: None)
    assert answer.error is not None
    assert "key has changed" in str(answer.error)
    commands: list[Callable[[], object]] = [
        lambda: site.lifecycle().delete("here"),
        lambda: site.lifecycle().apply(site.desired((1, 2))),
        lambda: site.lifecycle(dry_run=True).delete("here"),
    ]
    for do in commands:
        with pytest.raises(OperationFailedError) as error:
            do()
        assert "key has changed" in str(error.value.failures[0].error)
    health = site.lifecycle().check("here", 10)
    assert not health.reached["10.0.0.1"]
    assert site.logins() in ([], ["10.0.0.2"], ["10.0.0.2", "10.0.0.2"])


# -- hosts that are switched off -------------------------------------------------------------------------------------


def test_made_hosts_that_are_off_are_told_apart_from_those_that_are_silent(site: LightHosts) -> None:
    """`status` shows it, and an apply that has nothing to change says it, too."""
    site.lifecycle().apply(site.desired(made=(1, 1)))
    assert site.lifecycle().look("here", 20.0).off == ()
    [address] = [entry.host.address for entry in site.lifecycle().recorded("here").hosts if not entry.host.is_master]
    (site.directory / "machines" / address / "off").touch()
    health = site.lifecycle().look("here", 20.0)
    assert health.off == (address,)
    [entry] = [entry for entry in site.lifecycle().recorded("here").hosts if entry.host.address == address]
    assert now_text(entry, health) == "off"
    assert now_json(entry, health)["off"] is True
    assert site.lifecycle().apply(site.desired(made=(1, 1))).kind == "nothing"
    assert f"{address}: switched off" in site.warned()
    (site.directory / "machines" / address / "off").unlink()
    site.lifecycle().apply(site.desired(made=(1, 1)))
    assert "switched off" not in site.warned()
