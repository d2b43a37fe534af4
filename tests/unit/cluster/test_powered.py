"""Hosts that a provider made are shut down and booted again."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from light_hosts import LightHosts

from sealer.cluster import powered
from sealer.cluster.lifecycle import Lifecycle
from sealer.cluster.lock import cluster_lock
from sealer.errors import InputError, InterruptedRunError, LockHeldError, OperationFailedError, RefusedError
from sealer.events import EventStream
from sealer.hosts import Host


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LightHosts]:
    if os.geteuid() != 0:
        pytest.skip("hosts with a disk of their own are made by root, so the test must be root too")
    made = LightHosts(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setattr("sealer.cluster.driver_choice.DEFAULT_TRANSPORT", "door")
    monkeypatch.setattr(powered, "PAUSE", 0.05)
    made.build({"scripts/init.sh": "#!/bin/sh\n:\n", "scripts/clean.sh": "#!/bin/sh\n:\n"})
    yield made
    sys.modules.pop("sealer_light_hosts", None)


@pytest.fixture
def made(site: LightHosts) -> LightHosts:
    """A cluster of two masters and a node that the provider made."""
    site.lifecycle().apply(site.desired(made=(2, 1)))
    return site


def hosts(site: LightHosts) -> dict[str, Host]:
    return {entry.host.placeholder: entry.host for entry in site.lifecycle().recorded("here").hosts}


def off(site: LightHosts) -> list[str]:
    """By their names, the hosts that are off."""
    return sorted(name for name, host in hosts(site).items() if (site.machine(host.address) / "off").exists())


def done(site: LightHosts) -> list[str]:
    """What the provider did since the last call."""
    log = site.directory / "switched"
    found = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return found


def never(question: str) -> bool:
    raise AssertionError(question)


def test_nodes_stop_first_and_masters_start_first(made: LightHosts) -> None:
    questions: list[str] = []

    def agree(question: str) -> bool:
        questions.append(question)
        return True

    stopped = made.lifecycle(confirm=agree).switch("stop", "here")
    assert done(made) == ["stop node-0", "stop master-0", "stop master-1"]
    assert [(one.on, one.changed) for one in stopped] == [(False, True)] * 3
    assert len(questions) == 1
    assert all(host.address in questions[0] for host in hosts(made).values())
    assert set(made.lifecycle().look("here", 20.0).off) == {host.address for host in hosts(made).values()}
    started = made.lifecycle(confirm=never).switch("start", "here")
    assert done(made) == ["start master-0", "start master-1", "start node-0"]
    assert [(one.host.placeholder, one.on, one.changed) for one in started] == [
        (name, True, True) for name in ("master-0", "master-1", "node-0")
    ]
    assert made.lifecycle().look("here", 20.0).off == ()
    assert made.lifecycle().check("here", 20.0).well


def test_hosts_that_are_as_they_should_be_are_left_alone(made: LightHosts) -> None:
    """Also without a question."""
    assert not any(one.changed for one in made.lifecycle(confirm=never).switch("start", "here"))
    node = hosts(made)["node-0"]
    made.lifecycle().switch("stop", "here", [node])
    assert off(made) == ["node-0"]
    made.lifecycle().switch("stop", "here")
    assert [event.message for event in made.events if "already" in event.message] == [f"{node.address}: already off"]
    assert not any(one.changed for one in made.lifecycle(confirm=never).switch("stop", "here"))
    assert done(made) == ["stop node-0", "stop master-0", "stop master-1"]


def test_nothing_is_stopped_that_nobody_confirms(made: LightHosts) -> None:
    with pytest.raises(RefusedError, match="nothing was stopped"):
        made.lifecycle(confirm=lambda question: False).switch("stop", "here")
    assert off(made) == []


def test_a_start_ends_when_every_host_answers(made: LightHosts) -> None:
    made.lifecycle().switch("stop", "here")
    deaf = made.machine(hosts(made)["node-0"].address) / "port"
    deaf.write_text("23")  # nothing listens where the login is tried
    timer = threading.Timer(0.5, deaf.unlink)
    timer.start()
    made.lifecycle().switch("start", "here")
    assert not deaf.exists()
    timer.join()


def test_a_host_that_never_answers_is_named(made: LightHosts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(powered, "PATIENCE", 0.2)
    made.lifecycle().switch("stop", "here")
    address = hosts(made)["node-0"].address
    (made.machine(address) / "port").write_text("23")
    with pytest.raises(OperationFailedError) as error:
        made.lifecycle().switch("start", "here")
    assert [failure.host for failure in error.value.failures] == [address]
    assert "same command again" in error.value.remedy
    (made.machine(address) / "port").unlink()
    assert not any(one.changed for one in made.lifecycle().switch("start", "here"))


def test_a_refused_login_is_an_answer(made: LightHosts) -> None:
    made.lifecycle().switch("stop", "here")
    machine = made.machine(hosts(made)["node-0"].address)
    (machine / "password").write_text("another")
    (machine / "authorized").unlink()
    assert all(one.on for one in made.lifecycle().switch("start", "here"))


@pytest.mark.parametrize("verb", ["start", "stop"])
def test_hosts_that_sealer_did_not_make_are_refused(site: LightHosts, verb: Any) -> None:
    site.lifecycle().apply(site.desired((1, 2)))
    with pytest.raises(InputError, match="sealer did not make the hosts of 'here'"):
        site.lifecycle(confirm=never).switch(verb, "here")
    with pytest.raises(InputError, match=r"10\.0\.0\.1: not made by sealer"):
        site.lifecycle(confirm=never).switch(verb, "here", [Host("10.0.0.1")])
    with pytest.raises(InputError, match="No cluster named 'nosuch'"):
        site.lifecycle(confirm=never).switch(verb, "nosuch")
    assert not site.home("nosuch").directory.exists()


@pytest.mark.parametrize("verb", ["start", "stop"])
def test_a_provider_that_cannot_is_named(made: LightHosts, verb: Any) -> None:
    """Whatever the hosts' state; an apply then does not advise to start them."""
    (made.directory / "cannot").touch()
    with pytest.raises(InputError, match=f"The provider maker cannot {verb} hosts"):
        made.lifecycle(confirm=never).switch(verb, "here")
    made.cut(made.machine(hosts(made)["node-0"].address))
    with pytest.raises(InputError, match=f"The provider maker cannot {verb} hosts"):
        made.lifecycle(confirm=never).switch(verb, "here")
    made.lifecycle().apply(made.desired(made=(2, 1)))
    assert "the tools of their provider" in made.warned()
    assert "sealer start" not in made.warned()


def test_an_apply_advises_to_start_hosts_that_are_off(made: LightHosts) -> None:
    made.lifecycle().switch("stop", "here", [hosts(made)["node-0"]])
    made.lifecycle().apply(made.desired(made=(2, 1)))
    assert "Boot them with `sealer start here`" in made.warned()


def failing(name: str) -> Callable[..., Any]:
    def fail(*arguments: object) -> Any:
        raise RuntimeError(name)

    return fail


def test_a_broken_provider_is_reported_and_breaks_nothing_else(
    made: LightHosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = sys.modules["sealer_light_hosts"].Maker
    made.cut(made.machine(hosts(made)["node-0"].address))
    for method in ("stop", "running"):
        monkeypatch.setattr(maker, method, failing(method))
        with pytest.raises(Exception, match=f"failed in {method}: RuntimeError: {method}"):
            made.lifecycle().switch("stop", "here")
    assert made.lifecycle().look("here", 20.0).off == ()
    assert off(made) == ["node-0"]


# -- in the middle of something ---------------------------------------------------------------------------------------


def test_after_a_power_cut_in_the_middle_of_a_create(site: LightHosts) -> None:
    """Its hosts are not stopped, they can be started, and then the create is completed."""
    desired, journal = site.desired(made=(1, 1)), site.home().journal

    def begun() -> bool:
        return journal.exists() and journal.read_bytes().count(b'"intend"') > 5

    assert site.process(lambda lifecycle: lifecycle.apply(desired), begun) == -9
    with pytest.raises(RefusedError, match="unfinished") as error:
        site.lifecycle(confirm=never).switch("stop", "here")
    assert "`sealer status here`" in error.value.remedy
    before = journal.read_bytes()
    site.cut(*(site.machine(host.address) for host in hosts(site).values()))
    site.lifecycle().switch("start", "here")
    assert journal.read_bytes() == before
    assert off(site) == []
    site.lifecycle().apply(desired)
    assert site.lifecycle().recorded("here").status == "running"


def killed_at(site: LightHosts, verb: Any, number: int) -> bool:
    """Start or stop in a process that is killed when it reports its event of that number; False: it has fewer."""

    def carry_out(lifecycle: Lifecycle) -> None:
        numbers = itertools.count(1)
        lifecycle.events.subscribe(
            lambda event: os.kill(os.getpid(), signal.SIGKILL) if next(numbers) == number else None
        )
        lifecycle.switch(verb, "here")

    return {-9: True, 0: False}[site.process(carry_out, 0)]


@pytest.mark.parametrize(("verb", "fewest"), [("stop", 8), ("start", 12)])
def test_what_was_killed_is_completed_by_the_same_command(made: LightHosts, verb: Any, fewest: int) -> None:
    """Wherever it was killed."""
    all_off = ["master-0", "master-1", "node-0"]
    for number in itertools.count(1):
        made.lifecycle().switch("start" if verb == "stop" else "stop", "here")
        if not killed_at(made, verb, number):
            break
        made.lifecycle().switch(verb, "here")
        assert off(made) == (all_off if verb == "stop" else [])
    assert number > fewest


def test_a_start_is_interrupted_while_it_waits(made: LightHosts) -> None:
    made.lifecycle().switch("stop", "here")
    (made.machine(hosts(made)["node-0"].address) / "port").write_text("23")
    lifecycle = made.lifecycle()
    timer = threading.Timer(0.5, lifecycle._cancellation.request)
    timer.start()
    with pytest.raises(InterruptedRunError):
        lifecycle.switch("start", "here")
    timer.join()


def test_one_sealer_at_a_time(made: LightHosts) -> None:
    with cluster_lock(made.home().lock, "sealer apply", EventStream()):
        for verb in ("start", "stop"):
            with pytest.raises(LockHeldError, match="sealer apply"):
                made.lifecycle(confirm=never).switch(verb, "here")
    assert done(made) == []


# -- the command line -------------------------------------------------------------------------------------------------


def sealer(site: LightHosts, *words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "sealer", *words],
        env={**os.environ, "SEALER_HOME": str(site.settings.home), "PYTHONPATH": str(site.directory / "site")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done


def test_the_command_line(made: LightHosts) -> None:
    assert "add --yes" in sealer(made, "stop", "here", status=3).stderr
    assert off(made) == []
    sealer(made, "stop", "here", "--roles", "node", "--yes")
    assert off(made) == ["node-0"]
    result = json.loads(sealer(made, "stop", "--yes", "--output", "json").stdout.splitlines()[-1])
    assert result["operation"] == "stop"
    assert [(host["placeholder"], host["state"], host["changed"]) for host in result["hosts"]] == [
        ("master-0", "off", True),
        ("master-1", "off", True),
        ("node-0", "off", False),
    ]
    assert "cluster here: already off" in sealer(made, "stop", "here").stdout
    sealer(made, "start", "--name", "here", "--hosts", "master-0,node-0")
    assert off(made) == ["master-1"]
    sealer(made, "start", "here")
    assert "cluster here: already running" in sealer(made, "start", "here").stdout


def test_completion_knows_clusters_and_hosts(made: LightHosts) -> None:
    complete = {"COMP_WORDS": "sealer stop here --hosts node", "COMP_CWORD": "4", "_SEALER_COMPLETE": "bash_complete"}
    done = subprocess.run(
        [sys.executable, "-m", "sealer"],
        env={**os.environ, **complete, "SEALER_HOME": str(made.settings.home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "node-0" in done.stdout
