"""Random sequences of commands, kills and cuts: after each the record can be read, and the cluster resumed or deleted.

`SEALER_WALK_SEED=N` takes the walk again that a failure names.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from light_hosts import PASSWORD, LightHosts

from sealer.cluster import state
from sealer.cluster.journal import Journal
from sealer.cluster.lifecycle import Lifecycle
from sealer.clusterfile.model import Clusterfile
from sealer.errors import RefusedError
from sealer.hosts import MASTER, NODE, Host, Ssh
from sealer.redaction import Secret

Command = Callable[[Lifecycle], object]
LOGIN = Ssh(password=Secret(PASSWORD))


class Walk:
    """One cluster `here` that is mistreated, beside one, `other`, that must not notice."""

    def __init__(self, site: LightHosts, seed: int) -> None:
        self.site = site
        self.dice = random.Random(seed)
        self.made = self.dice.random() < 0.5
        self.story: list[str] = []
        self.identity = 1000
        site.lifecycle().apply(site.desired((4,), name="other"))

    def step(self) -> None:
        """One command, with or without a mishap; then what must hold."""
        name, command, choices = self.choose()
        cut = [machine for machine in self.site.machines if machine.name != "10.0.0.4" and self.dice.random() < 0.1]
        at = self.dice.choice([0, 0, self.dice.randrange(1, 40), self.dice.randrange(1, 160)])
        mishap = self.dice.choice(["kill", "kill", "cut"]) if at else ""
        self.story.append(f"{name} {choices} cut={[it.name for it in cut]} {mishap} at {at}")
        self.site.cut(*cut)
        victims = [machine for machine in self.site.machines if machine.name != "10.0.0.4"]
        victim = self.dice.choice(victims)
        code = self.site.process(command, at, (lambda: self.site.cut(victim)) if mishap == "cut" else None, **choices)
        self.story[-1] += f" ({victim.name if mishap == 'cut' else ''}) -> {code}"
        assert code in (0, 1, -9), (self.site.directory / "trace").read_text()
        self.look()
        off = [machine for machine in self.site.machines if (machine / "off").exists()]
        self.site.mend()
        if choices.get("force"):
            self.install_anew(off)

    def choose(self) -> tuple[str, Command, dict[str, Any]]:
        """A command that somebody may give now, or by mistake."""
        dice, site = self.dice, self.site
        name = dice.choice(["apply", "apply", "apply", "scale-up", "scale-down", "delete"])
        choices: dict[str, Any] = {"unfinished": dice.choice(["", "", "abandon"])}
        if name in ("scale-down", "delete"):
            choices["force"] = dice.random() < 0.4
        desired = self.desired()
        if dice.random() < 0.15:
            wrong = self.desired("wrong-one")
            return "apply-with-wrong-password", lambda lifecycle: lifecycle.apply(wrong), choices
        nodes = [entry.host.id for entry in self.hosts() if not entry.host.is_master]
        if name == "scale-up" and self.made:
            return name, lambda lifecycle: lifecycle.scale_up("here", (), (0, 1), LOGIN), choices
        if name == "scale-up":
            new = Host(f"10.0.0.{dice.randrange(2, 4)}", (NODE,), LOGIN)
            return f"{name} {new}", lambda lifecycle: lifecycle.scale_up("here", [new]), choices
        if name == "scale-down" and nodes:
            leaving = dice.choice(nodes)
            return f"{name} {leaving}", lambda lifecycle: lifecycle.scale_down("here", [leaving], LOGIN), choices
        if name == "delete":
            return name, lambda lifecycle: lifecycle.delete("here", LOGIN), choices
        return f"apply {len(site.machines)}", lambda lifecycle: lifecycle.apply(desired), choices

    def desired(self, password: str = PASSWORD) -> Clusterfile:
        if self.made:
            return self.site.desired(made=(1, self.dice.randrange(3)), password=password)
        return self.site.desired((1, *self.dice.sample([2, 3], self.dice.randrange(3))), password=password)

    def hosts(self) -> tuple[Any, ...]:
        recorded = state.load(self.site.home())
        return recorded.hosts if recorded else ()

    def look(self) -> None:
        """The record can be read, and what is in it can be deleted; the other cluster is not concerned."""
        home = self.site.home()
        assert self.site.lifecycle().recorded("other").status == "running"
        files = [*home.directory.glob("Clusterfile*"), *home.directory.glob("state.json")]
        assert all(path.stat().st_size for path in files), "a file of the record is empty"
        recorded = state.load(home)
        if recorded is None:
            assert "here" not in self.site.lifecycle().names()
            self.made = self.dice.random() < 0.5
            return
        assert any(MASTER in entry.host.roles for entry in recorded.hosts)
        Journal(home.journal)
        outcome = self.site.lifecycle(dry_run=True, force=True).delete("here", LOGIN)
        assert outcome.plan is not None

    def install_anew(self, machines: list[Path]) -> None:
        """Machines that were off, and are forgotten: others are at their addresses from now on."""
        known = {entry.host.address for entry in self.hosts()}
        for machine in machines:
            if machine.name not in known and machine.parent.name == "machines" and machine.name.startswith("10.0.0."):
                self.identity += 1
                self.site.new_machine(int(machine.name.rpartition(".")[2]), self.identity)

    def resume(self) -> None:
        """With everything in order again, what is unfinished can be ended one way or the other."""
        recorded = state.load(self.site.home())
        if recorded is not None and recorded.status == "deleting":
            self.site.lifecycle().delete("here", LOGIN)
            return
        desired = self.desired()
        try:
            self.site.lifecycle().apply(desired)
        except RefusedError as error:
            assert "--abandon" in error.remedy
            self.site.lifecycle(unfinished="abandon").apply(desired)
        assert self.site.lifecycle().recorded("here").status == "running"
        self.look()

    def end(self) -> None:
        """A delete with force leaves nothing."""
        if self.site.home().exists:
            self.site.lifecycle(force=True).delete("here", LOGIN)
        assert not list((self.site.directory / "made").glob("here/*"))
        self.site.lifecycle().delete("other")
        assert not self.site.left()
        assert not [path for path in self.site.settings.clusters.glob("*/*") if path.name != "runs"]


def walk(site: LightHosts, seconds: float) -> None:
    seed = int(os.environ.get("SEALER_WALK_SEED") or random.randrange(1 << 32))
    walker = Walk(site, seed)
    end = time.monotonic() + seconds
    try:
        number = 0
        while time.monotonic() < end:
            number += 1
            walker.step()
            if number % 5 == 0:
                walker.story.append("resume")
                walker.resume()
            if number % 10 == 0:
                command = [sys.executable, "-m", "sealer", "status"]
                environment = {**os.environ, "SEALER_HOME": str(site.settings.home)}
                done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
                assert done.returncode == 0, done.stderr
                assert "other" in done.stdout
        walker.story.append("end")
        walker.end()
    except BaseException as error:
        failures = [str(failure.error) for failure in getattr(error, "failures", ())]
        error.add_note("\n".join([f"SEALER_WALK_SEED={seed}", *walker.story, *failures]))
        raise


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    if os.geteuid() != 0:
        pytest.skip("hosts with a disk of their own are made by root, so the test must be root too")
    made = LightHosts(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    made.build({"scripts/init.sh": "#!/bin/sh\n:\n", "scripts/clean.sh": "#!/bin/sh\n:\n"})
    yield made
    sys.modules.pop("sealer_light_hosts", None)


@pytest.mark.parametrize("number", range(2))
def test_whatever_happens_a_cluster_can_be_resumed_or_deleted(site: LightHosts, number: int) -> None:
    walk(site, 20)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("number", range(6))
def test_the_same_for_long(site: LightHosts, number: int) -> None:
    walk(site, 240)
