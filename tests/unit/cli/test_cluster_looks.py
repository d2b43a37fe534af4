"""`sealer check` and `status`, as they are called: on a cluster that is this machine."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from sealer.cli.health import as_text, now_text, summary
from sealer.cluster.health import Finding, Health
from sealer.errors import HostError
from sealer.extension import Node, RecordedHost
from sealer.hosts import Host

Here = Any  # the fixture's class lives in conftest.py, which cannot be imported


def test_a_cluster_that_is_well_and_one_that_is_not(here: Here) -> None:
    here.apply()
    assert "Cluster here is healthy: 4 checks passed." in here("check").stdout
    assert here("check", "-q").stdout == "Cluster here is healthy: 4 checks passed.\n"
    found = here.json("check", "--name", "here")
    assert found["well"]
    assert {check["state"] for check in found["checks"]} == {"well"}

    here.broken.touch()
    done = here("check", status=1)
    assert re.search(r"127\.0\.0\.1 .* FAILED +The command ended with status 3\n +\| broken\n", done.stdout)
    assert "sealer: error: Cluster here is unhealthy: 1 of 4 checks failed\n" in done.stderr
    lines = [json.loads(line) for line in here("check", "--output", "json", status=1).stdout.splitlines()]
    [failed] = [check for check in lines[0]["checks"] if check["state"] != "well"]
    assert (failed["host"], failed["error"]["output"]) == ("127.0.0.1", ["broken"])
    assert lines[1]["error"]["what"] == "Cluster here is unhealthy"


def test_what_is_recorded_and_what_is_now_stand_side_by_side(here: Here) -> None:
    here.apply()
    row = here("status", "--name", "here").stdout.splitlines()[-1].split()
    assert row == ["127.0.0.1", "master", "member", "answers"]
    assert here("status", "--name", "here", "--recorded").stdout.splitlines()[-1].endswith("member       not asked")
    found = here.json("status", "--name", "here")
    assert (found["asked"], found["api"], found["unknownNodes"]) == (True, None, [])
    assert found["hosts"][0]["now"] == {"reached": True, "why": "", "off": False, "node": None}
    found = here.json("status", "--name", "here", "--recorded")
    assert (found["asked"], found["hosts"][0]["now"]) == (False, None)
    assert "now" not in here.json("status")["clusters"][0]["hosts"][0]


def test_a_driver_that_is_gone_leaves_what_is_recorded(here: Here) -> None:
    here.apply()
    state = here.directory / "home/clusters/here/state.json"
    kept = state.read_text()
    state.write_text(kept.replace('"runtime": "standalone"', '"runtime": "uninstalled"'))
    try:
        done = here("status", "--name", "here")
        assert "not asked" in done.stdout
        assert "no host was asked" in done.stderr
        assert "uninstalled" in done.stderr
    finally:
        state.write_text(kept)


def test_a_cluster_that_is_not_there(here: Here) -> None:
    assert "there is no cluster" in here("check", status=2).stderr
    assert "No cluster named 'other'" in here("check", "--name", "other", status=2).stderr


def finding(host: str, state: Any = "well", what: str = "", **more: Any) -> Finding:
    error = HostError(what, where=host, **more) if what else None
    return Finding("Check/test/a", "test", "a is healthy", host, state, error)


def test_what_reads_alike_stands_in_one_row_and_what_is_wrong_stands_last() -> None:
    hosts = [f"10.0.0.{number}" for number in range(1, 6)]
    found = Health(
        "c",
        (
            finding(hosts[0], "failed", "no", why="because", output=["line\x1b[31m"], remedy="fix it"),
            *(finding(host) for host in hosts[1:]),
        ),
    )
    assert as_text(found).splitlines() == [
        "HOST                           CHECK         STATE   WHY",
        "10.0.0.2, 10.0.0.3 and 2 more  a is healthy  passed",
        "10.0.0.1                       a is healthy  FAILED  no: because",
        "                                                     | line",
        "                                                     what to do: fix it",
    ]
    assert summary(found) == "1 of 5 checks failed"
    unknown = finding(hosts[0], "unknown", "No answer")
    assert summary(Health("c", (*found.findings, unknown))) == "1 of 6 checks failed, 1 unknown"
    assert summary(Health("c", (unknown, unknown))) == "2 of 2 checks unknown"


@pytest.mark.parametrize(
    ("reached", "lost", "nodes", "keeps", "words"),
    [
        (True, "", [], False, "answers"),
        (True, "", [Node("a", "10.0.0.1", True)], True, "ready"),
        (True, "", [Node("a", "10.0.0.1", False, reason="kubelet is silent")], True, "not ready: kubelet is silent"),
        (True, "", [], True, "no node of the cluster"),
        (True, "", None, True, "answers; the cluster's API does not answer"),
        (False, "nobody answers", [Node("a", "10.0.0.1", True)], True, "nobody answers; ready by the cluster's API"),
        (None, "", None, True, "unknown; the cluster's API does not answer"),
    ],
)
def test_how_a_host_is_now(reached: bool | None, lost: str, nodes: Any, keeps: bool, words: str) -> None:
    host = "10.0.0.1"
    health = Health(
        "c",
        (),
        {} if reached is None else {host: reached},
        {host: lost} if lost else {},
        None if nodes is None or not keeps else tuple(nodes),
        keeps,
    )
    assert now_text(RecordedHost(Host(host), member=True), health) == words


def test_kubectl_on_a_cluster_without_kubernetes_says_so(here: Here) -> None:
    here.apply()
    done = here("kubectl", "--", "get", "pods", status=2)
    assert "the cluster 'here' has no Kubernetes: its runtime is standalone" in done.stderr
    assert "`sealer exec --name here -- COMMAND`" in done.stderr
