"""`sealer timeline`, as it is called: on a cluster that is this machine."""

from __future__ import annotations

import re
from typing import Any

from sealer.cli.tables import some
from sealer.cli.timelines import as_text
from sealer.cluster.runs import RunSummary
from sealer.cluster.timeline import timeline

Here = Any  # the fixture's class lives in conftest.py, which cannot be imported


def test_a_cluster_that_is_not_there(here: Here) -> None:
    assert "No cluster named 'other'" in here("timeline", "--name", "other", status=2).stderr


def test_the_timeline_of_a_failed_run_and_of_the_one_that_continued_it(here: Here) -> None:
    here.broken.touch()
    here.apply(status=1)
    failed = here.json("timeline")
    assert failed["state"] == "failed"
    assert failed["criticalPath"][-1]["step"] == "Init/kernel/init"
    assert [step["state"] for step in failed["steps"] if step["id"] == "Init/kernel/init"] == ["failed"]
    here.broken.unlink()
    here.apply()
    done = here.json("timeline")
    assert (done["state"], done["operation"]) == ("done", failed["operation"])
    assert done["run"] != failed["run"]
    assert done["skipped"] == 3
    assert not {"Distribute/kernel/layers", "Distribute/kernel/rootfs"} & {step["id"] for step in done["steps"]}
    ids = [link["step"] for link in done["criticalPath"]]
    assert ids == ["Reach/kernel/facts", "Reach/kernel/lock", "Init/kernel/init", "Guest/kernel/cmd-1"]
    took = sum(link["seconds"] + link["wait"] for link in done["criticalPath"])
    assert 0 < took <= done["seconds"] + 0.1
    runs = here.json("timeline", "--list")["runs"]
    assert [run["run"] for run in runs] == [failed["run"], done["run"]]
    assert here.json("timeline", failed["run"])["steps"] == failed["steps"]

    text = here("timeline", "--hosts", PYTHONIOENCODING="utf-8").stdout
    assert text.startswith("Creating cluster here from demo:1 on 1 host: done, ")
    assert "3 steps were completed earlier" in text
    assert re.search(r"Init +Prepare the host \(scripts/init.sh\) +127\.0\.0\.1 +0\.\ds +█+\n", text)
    assert "critical path" in text
    assert "#" in here("timeline", PYTHONIOENCODING="ascii").stdout
    assert "2 steps" not in here("timeline", failed["run"]).stdout
    completed = here("", _SEALER_COMPLETE="bash_complete", COMP_WORDS="sealer timeline 2", COMP_CWORD="2").stdout
    assert completed.split() == [f"plain,{failed['run']}", f"plain,{done['run']}"]


def test_steps_on_several_hosts_say_on_how_many() -> None:
    def event(state: str, second: float, host: str = "") -> dict[str, Any]:
        about = {"step": "Init/kernel/init", "title": "Prepare", "phase": "Init", "plugin": "kernel", "data": {}}
        return {**about, "state": state, "host": host, "time": second}

    hosts = [f"10.0.0.{number}" for number in range(1, 5)]
    events = [event("started", 1.0), *(event("started", 1.0, host) for host in hosts)]
    events += [*(event("done", 2.0, host) for host in hosts), event("done", 2.0)]
    run = RunSummary("r", "Creating", "o", "done", 1.0, 1.0)
    [row] = [line for line in as_text(timeline(run, iter(events))).splitlines() if line.startswith("Init ")]
    assert " 4 hosts " in row
    assert some(hosts, 1) == "4 in all"
