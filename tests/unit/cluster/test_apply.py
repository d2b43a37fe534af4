"""What `apply` changes on a cluster that runs, and what it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from sealer.cluster import state
from sealer.clusterfile.reading import read
from sealer.clusterfile.writing import write
from sealer.errors import RefusedError
from sealer.events import State
from sealer.extension import ALL, Operation, Role, Step, StepContext, Targets, hookimpl

Site = Any  # the fixture's class lives in conftest.py, which cannot be imported
INIT = {"scripts/init.sh": "#!/bin/sh\n"}


def config(path: str, text: str) -> str:
    return (
        f"apiVersion: sealer.io/v2\nkind: Config\nmetadata: {{name: {path[4:-5]}}}\n"
        f"spec: {{path: {path}, strategy: overwrite, data: '{text}'}}\n"
    )


class Certificates:
    """A vendor's plugin that makes certificates when hosts join."""

    def __init__(self, on: Targets = ALL) -> None:
        self.on = on
        self.asked = 0
        self.ran: list[str] = []

    @hookimpl
    def post_join(self, operation: Operation) -> Sequence[Step]:
        self.asked += 1

        def make(context: StepContext) -> None:
            self.ran.append(context.host.id)

        return [Step("sans", "Make the certificates", self.on, make, covers=frozenset({"spec.certSANS"}))]


@pytest.fixture
def running(site: Site) -> Site:
    """A cluster of one master that takes no change of its environment."""
    site.build(INIT)
    site.lifecycle().create(site.desired())
    return site


def files(site: Site) -> dict[str, bytes]:
    """All that is recorded of the cluster."""
    return {str(path): path.read_bytes() for path in sorted(site.settings.clusters.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_field_that_no_step_covers_is_refused_before_anything_is_done(running: Site, dry_run: bool) -> None:
    before = files(running)
    (running.machine(1) / "off").touch()
    told: list[str] = []
    with pytest.raises(RefusedError) as error:
        running.lifecycle(dry_run=dry_run, announce=told.append).apply(running.desired(certSANS="[a]", env="[A=1]"))
    assert "`apply` cannot change spec.env, spec.certSANS of a cluster" in str(error.value)
    assert "has neither" in error.value.why
    done = [event for event in running.events if event.state is not State.WARNING]  # of certSANS, which it ignores
    assert (told, files(running), done) == ([], before, [])


def test_a_field_that_a_plugins_step_covers_is_changed(running: Site) -> None:
    running.hooks.append(certificates := Certificates())
    desired = running.desired(machines=(1, 2), certSANS="[a]")
    plan = running.lifecycle(dry_run=True).apply(desired).plan
    assert "PostJoin/hook-0/sans" in [planned.id for planned in plan.steps]
    assert not certificates.ran
    told: list[str] = []
    running.lifecycle(announce=told.append).apply(desired)
    assert sorted(certificates.ran) == ["10.0.0.1", "10.0.0.2"]
    assert told == [
        "cluster here: add 10.0.0.2 (node), change spec.certSANS",
        "+ host 10.0.0.2 (node)",
        "+ spec.certSANS: [a]",
    ]
    recorded = state.load(running.home)
    assert recorded
    assert recorded.clusterfile.cluster
    assert recorded.clusterfile.cluster.cert_sans == ("a",)
    assert running.lifecycle().apply(desired).kind == "nothing"


def test_a_plugins_step_that_is_not_in_the_plan_covers_nothing(running: Site) -> None:
    """PostJoin does not come when nobody joins."""
    running.hooks.append(certificates := Certificates())
    with pytest.raises(RefusedError, match=r"spec\.certSANS"):
        running.lifecycle().apply(running.desired(certSANS="[a]"))
    assert not certificates.asked


def test_a_step_for_no_host_covers_nothing(running: Site) -> None:
    running.hooks.append(Certificates(on=Role("master", "added")))
    with pytest.raises(RefusedError, match=r"spec\.certSANS"):
        running.lifecycle().apply(running.desired(machines=(1, 2), certSANS="[a]"))


def test_env_reaches_templates_and_the_update_script(site: Site) -> None:
    site.build({"etc/site.conf.tmpl": "a={{ .A }}\n", "scripts/update.sh": "#!/bin/sh\necho $A > ../told\n"})
    site.lifecycle().create(site.desired(env="[A=1]"))
    assert (site.rootfs() / "etc/site.conf").read_text() == "a=1\n"
    outcome = site.lifecycle().apply(site.desired(env="[A=2]"))
    assert outcome.changes.fields == ("spec.env",)
    assert (site.rootfs() / "etc/site.conf").read_text() == "a=2\n"
    assert (site.rootfs() / "told").read_text() == "2\n"
    assert site.lifecycle().apply(site.desired(env="[A=2]")).kind == "nothing"


@pytest.mark.parametrize("name", ["update", "other"])
def test_without_templates_env_is_for_the_update_script(site: Site, name: str) -> None:
    site.build({f"scripts/{name}.sh": "#!/bin/sh\n"})
    plugin = (
        "apiVersion: sealer.io/v2\nkind: Plugin\nmetadata: {name: p}\n"
        "spec: {type: SHELL, action: PostInstall, data: 'true'}\n"
    )  # it is written to each host's rootfs too, but nothing of the environment is in it
    site.lifecycle().create(site.desired(plugin, env="[A=1]"))
    if name == "update":
        assert site.lifecycle().apply(site.desired(plugin, env="[A=2]")).kind == "scale"
    else:
        with pytest.raises(RefusedError, match=r"spec\.env"):
            site.lifecycle().apply(site.desired(plugin, env="[A=2]"))


def test_what_a_config_document_changed_is_put_back_when_it_goes(site: Site) -> None:
    site.build({"etc/there.conf": "of the image\n"})
    site.lifecycle().create(site.desired(config("etc/there.conf", "changed"), config("etc/new.conf", "new")))
    there, new = site.rootfs() / "etc/there.conf", site.rootfs() / "etc/new.conf"
    assert (there.read_text(), new.read_text()) == ("changed", "new")
    assert site.lifecycle().apply(site.desired()).changes.fields == ("Config",)
    assert there.read_text() == "of the image\n"
    assert not new.exists()


def test_what_is_printed_of_a_running_cluster_changes_nothing_when_it_is_applied(site: Site) -> None:
    """Also after hosts came and went, and fields changed; another Clusterfile than the one it was made of."""
    site.build({"etc/there.conf": "x\n", "scripts/update.sh": "#!/bin/sh\n"})
    script = (
        "apiVersion: sealer.io/v2\nkind: Plugin\nmetadata: {name: p}\n"
        "spec: {type: SHELL, action: PostInstall, data: 'true'}\n"
    )
    documents = (script, config("etc/there.conf", "changed\\nlines"))
    site.lifecycle().create(site.desired(*documents, machines=(1, 2), env="{A: '1', B: ''}", appNames="[]"))
    site.lifecycle(confirm=lambda question: True).apply(
        site.desired(*documents, machines=(1, 3), env="{A: '2', B: ''}", appNames="[]")
    )
    recorded = state.load(site.home)
    assert recorded
    again = read(write(recorded.clusterfile), "Clusterfile")
    assert again.cluster
    assert [(host.address, host.roles) for host in again.cluster.hosts] == [
        ("10.0.0.1", ("master",)),
        ("10.0.0.3", ("node",)),
    ]
    outcome = site.lifecycle().apply(again)
    assert (outcome.kind, outcome.changes.details, outcome.changes.plugins) == ("nothing", (), ())


def test_a_removed_host_and_each_changed_field_are_announced_before_the_question(site: Site) -> None:
    site.build({"scripts/update.sh": "#!/bin/sh\n"})
    site.lifecycle().create(site.desired(machines=(1, 2), env="{A: '1', DB_PASSWORD: first}"))
    said: list[str] = []

    def asked(question: str) -> bool:
        said.append(f"asked: {question}")
        return False

    with pytest.raises(RefusedError):
        site.lifecycle(announce=said.append, confirm=asked).apply(
            site.desired(env="{A: '2', B: x, DB_PASSWORD: other}")
        )
    assert said[1:] == [
        "- host 10.0.0.2 (node): REMOVED from the cluster, with all that it holds",
        "~ spec.env.A: 1 -> 2",
        "~ spec.env.DB_PASSWORD: changed (secret)",
        "+ spec.env.B: x",
        said[-1],
    ]
    assert said[-1].startswith("asked: ")


def test_a_host_that_is_passed_over_is_not_said_to_be_done(site: Site) -> None:
    site.build({"a": "1"})
    site.lifecycle().apply(site.desired(machines=(1, 2)))
    (site.machine(2) / "off").touch()
    site.lifecycle().apply(site.desired(machines=(1, 2, 3)))
    states = [event.state for event in site.events if event.step == "Reach/kernel/facts" and event.host == "10.0.0.2"]
    assert State.DONE not in states
    assert states.count(State.WARNING) == states.count(State.SKIPPED) == 1
