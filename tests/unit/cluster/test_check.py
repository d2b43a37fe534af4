"""Whether a cluster is well: everything is looked at, whatever fails, and nothing is changed."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sealer.cluster.health import Finding, Health
from sealer.cluster.lock import holder
from sealer.errors import HostError, OperationFailedError, PluginError
from sealer.extension import ALL, FIRST_MASTER, Effect, Fact, Labelled, Operation, Step, StepContext, hookimpl

Site = Any  # the fixture's class lives in conftest.py, which cannot be imported
# A runtime whose API is a file on each master: a line a node, `name address ready reason`; without it nobody answers.
RUNTIME = """\
from sealer.errors import HostError
from sealer.extension import FIRST_MASTER, Effect, Node, Registry, Step
from sealer_plugin_standalone import Standalone

class Listed(Standalone):
    keeps_nodes = True
    def nodes(self, context):
        lines = context.query("cat {disk}/nodes").stdout.splitlines()
        for name, address, ready, reason in (line.split(" ", 3) for line in lines):
            yield Node(name, address, ready == "yes", {{"disk": "ssd"}}, reason)
    def check(self, operation):
        def ask(context):
            context.query("test ! -e {disk}/etcd-broken")
        return [Step("etcd", "etcd is healthy", FIRST_MASTER, ask, effect=Effect.QUERY)]
"""


@pytest.fixture
def listed(site: Site) -> Iterator[Site]:
    """A cluster of a master and a node, whose runtime keeps nodes."""
    package = site.directory / "site/sealer_test_listed-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: sealer-test-listed\nVersion: 1\n")
    (package / "entry_points.txt").write_text("[sealer.runtimes]\nlisted = sealer_test_listed:Listed\n")
    (site.directory / "site/sealer_test_listed.py").write_text(RUNTIME.format(disk=site.directory / "disk"))
    site.build({"a": "1"}, "LABEL io.sealer.runtime=listed")
    yield site
    sys.modules.pop("sealer_test_listed", None)


def create(site: Site, *machines: int, **fields: str) -> None:
    site.lifecycle().create(site.desired(machines=machines, **fields))


def nodes(site: Site, *lines: str, on: int = 1) -> None:
    (site.machine(on) / "disk/nodes").write_text("".join(f"{line}\n" for line in lines))


def check(site: Site, seconds: float = 30.0) -> Health:
    """A look, after which nothing is other than it was."""
    before = recorded(site)
    health: Health = site.lifecycle().check("here", seconds)
    assert recorded(site) == before
    return health


def recorded(site: Site) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in site.home.directory.rglob("*") if path.is_file()}


def states(health: Health) -> dict[tuple[str, str], str]:
    return {(finding.check.rpartition("/")[2], finding.host): finding.state for finding in health.findings}


def wrong(health: Health) -> list[Finding]:
    return [finding for finding in health.findings if finding.state not in ("well", "warning")]


def test_a_cluster_of_hosts_and_scripts_is_well(site: Site) -> None:
    site.build({"a": "1"})
    create(site, 1, 2)
    health = check(site)
    assert health.well
    assert states(health) == {
        ("status", ""): "well",
        ("host", "10.0.0.1"): "well",
        ("host", "10.0.0.2"): "well",
        ("files", "10.0.0.1"): "well",
        ("files", "10.0.0.2"): "well",
        ("clock", "10.0.0.1"): "well",
        ("clock", "10.0.0.2"): "well",
    }
    assert (health.nodes, health.keeps_nodes) == (None, False)  # nobody there could say whether a node is ready


def test_a_host_that_is_off_is_named_and_the_others_are_looked_at(site: Site) -> None:
    site.build({"a": "1", "scripts/check.sh": "[ $SealerOperation = check ]\n"})
    create(site, 1, 2)
    (site.machine(2) / "off").touch()
    health = check(site)
    assert not health.well
    found = states(health)
    assert (found["host", "10.0.0.2"], found["script", "10.0.0.2"]) == ("failed", "unknown")
    assert (found["host", "10.0.0.1"], found["script", "10.0.0.1"]) == ("well", "well")
    assert health.lost == {"10.0.0.2": "nobody answers"}
    (site.machine(2) / "off").unlink()
    assert check(site).well


def test_the_images_own_check_speaks_for_it(site: Site) -> None:
    site.build({"scripts/check.sh": "echo 'the disk is dying'; exit 3\n"})
    create(site, 1)
    [finding] = wrong(check(site))
    assert finding.error
    assert (finding.check, finding.error.output) == ("Check/kernel/script", ("the disk is dying",))


def test_another_machine_is_asked_nothing_more(site: Site) -> None:
    site.build({"scripts/check.sh": "true\n"})
    create(site, 1, 2)
    (site.machine(2) / "machine-id").write_text("f" * 32)
    health = check(site)
    assert "not the machine it was" in str(wrong(health)[0].error)
    assert states(health)["script", "10.0.0.2"] == "unknown"


def test_two_addresses_of_one_machine_and_a_host_without_its_files(site: Site) -> None:
    site.build({"a": "1"})
    create(site, 1, 2)
    entry = site.home.state.read_text()
    site.home.state.write_text(entry.replace(f"{2:032x}", f"{1:032x}"))
    (site.machine(2) / "machine-id").write_text(f"{1:032x}\n")
    assert "same machine as" in str(wrong(check(site))[0].error)
    site.home.state.write_text(entry)
    (site.machine(2) / "machine-id").write_text(f"{2:032x}\n")
    site.rootfs(2).rename(site.rootfs(2).with_name("away"))
    health = check(site)
    assert "files are not on the host" in str(wrong(health)[0].error)
    assert health.reached["10.0.0.2"]


def test_nodes_are_as_the_clusters_own_api_has_them(listed: Site) -> None:
    create(listed, 1, 2, 3)
    nodes(listed, "one 10.0.0.1 yes ", "two 10.0.0.2 no kubelet stopped posting", "nine 10.0.0.9 yes ")
    health = check(listed)
    found = states(health)
    assert [found["ready", f"10.0.0.{number}"] for number in (1, 2, 3)] == ["well", "failed", "failed"]
    assert found["known", "10.0.0.9"] == "failed"
    texts = " ".join(str(finding.error) for finding in wrong(health))
    assert "node two is not ready: kubelet stopped posting" in texts
    assert "no node of the cluster" in texts
    assert "nine is no host that sealer recorded" in texts


def masters(site: Site) -> None:
    """Two masters."""
    spec = site.desired(machines=(1, 2))
    hosts = tuple(type(host)(host.address, ("master",), host.ssh) for host in spec.cluster.hosts)
    site.lifecycle().create(type(spec)(cluster=type(spec.cluster)(**{**vars(spec.cluster), "hosts": hosts})))


def test_where_the_api_of_one_master_is_silent_another_is_asked(listed: Site) -> None:
    masters(listed)
    nodes(listed, "one 10.0.0.1 yes ", "two 10.0.0.2 yes ", on=2)
    found = states(check(listed))
    assert (found["api", "10.0.0.1"], found["api", "10.0.0.2"]) == ("failed", "well")
    assert (found["ready", "10.0.0.1"], found["ready", "10.0.0.2"]) == ("well", "well")


def test_where_no_api_answers_nothing_is_claimed_of_nodes(listed: Site) -> None:
    create(listed, 1, 2)
    health = check(listed)
    found = states(health)
    assert found["api", "10.0.0.1"] == "failed"
    assert (found["ready", "10.0.0.1"], found["ready", "10.0.0.2"]) == ("unknown", "unknown")
    assert health.nodes is None


def test_the_runtime_has_checks_of_its_own(listed: Site) -> None:
    create(listed, 1)
    nodes(listed, "one 10.0.0.1 yes ")
    assert check(listed).well
    (listed.machine(1) / "disk/etcd-broken").touch()
    [finding] = wrong(check(listed))
    assert (finding.title, finding.state) == ("etcd is healthy", "failed")


class Hooks:
    """What a plugin looks at; `steps` is what it answers."""

    def __init__(self, *steps: Step) -> None:
        self.steps = steps

    @hookimpl
    def health_checks(self, operation: Operation) -> list[Step]:
        assert operation.kept
        assert not operation.added
        return list(self.steps)


def query(name: str, run: Any, on: Any = ALL, **more: Any) -> Step:
    return Step(name, f"{name} is healthy", on, run, effect=Effect.QUERY, **more)


def fails(context: StepContext) -> None:
    raise HostError("it is broken", where=context.host.id, remedy="fix it")


def test_plugins_take_part_and_no_failure_keeps_another_from_being_found(site: Site) -> None:
    def bug(context: StepContext) -> None:
        raise ZeroDivisionError

    site.build({"a": "1"})
    create(site, 1)
    site.hooks.append(
        Hooks(
            query("broken", fails),
            query("bug", bug),
            query("fine", lambda context: context.query("true")),
            query("doubtful", lambda context: context.warn("it ends in 20 days"), FIRST_MASTER),
        )
    )
    health = check(site)
    found = {
        name: state for (name, host), state in states(health).items() if host and name not in ("host", "clock", "files")
    }
    assert found == {"broken": "failed", "bug": "failed", "fine": "well", "doubtful": "warning"}
    [doubtful] = [finding for finding in health.findings if finding.state == "warning"]
    assert doubtful.notes == ("it ends in 20 days",)
    [bug_found] = [finding for finding in wrong(health) if finding.check.endswith("bug")]
    assert "report it to its authors" in (bug_found.error.remedy if bug_found.error else "")


def test_a_check_that_hangs_is_given_up_and_not_known(site: Site) -> None:
    site.build({"a": "1"})
    create(site, 1)
    site.hooks.append(Hooks(query("slow", lambda context: context.query("sleep 60")), query("quick", fails)))
    started = time.monotonic()
    health = check(site, 3.0)
    assert time.monotonic() - started < 20
    found = states(health)
    assert (found["slow", "10.0.0.1"], found["quick", "10.0.0.1"]) == ("unknown", "failed")
    assert not health.well


def test_one_check_that_hangs_does_not_take_all_of_the_time(site: Site) -> None:
    site.build({"a": "1"})
    create(site, 1)
    site.hooks.append(Hooks(query("slow", lambda context: context.query("sleep 60"), timeout=1.0)))
    started = time.monotonic()
    [finding] = wrong(check(site))
    assert time.monotonic() - started < 20
    assert (finding.state, str(finding.error)) == ("unknown", "10.0.0.1: No answer within 1 s")


def test_a_label_is_asked_of_the_cluster(listed: Site) -> None:
    create(listed, 1, 2)
    listed.hooks.append(Hooks(query("disk", fails, Labelled("disk", "ssd"))))
    assert states(check(listed))["disk", ""] == "unknown"
    nodes(listed, "one 10.0.0.1 yes ", "two 10.0.0.2 yes ")
    found = states(check(listed))
    assert (found["disk", "10.0.0.1"], found["disk", "10.0.0.2"]) == ("failed", "failed")


def test_a_cluster_that_does_not_answer_is_deleted_without_its_labels(listed: Site) -> None:
    """One host of two cannot be taken out of it so: the cluster that stays is to be asked."""

    class Leaving:
        @hookimpl
        def pre_clean(self, operation: Operation) -> list[Step]:
            return [Step("say", "Say goodbye", Labelled("disk", "ssd", "removed"), fails, unreachable="skip")]

    create(listed, 1, 2)
    listed.hooks.append(Leaving())
    with pytest.raises(OperationFailedError):
        listed.lifecycle(confirm=lambda question: True).scale_down("here", ["10.0.0.2"])
    listed.lifecycle(confirm=lambda question: True, unfinished="abandon").delete("here")
    assert not listed.home.directory.exists()
    assert any("no node of it is labelled disk" in event.message for event in listed.events)


FACT = Fact("testing.fact", str)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (Step("write", "write", ALL, fails), "changes nothing"),
        (query("giving", fails, gives=frozenset({FACT})), "beside one another"),
    ],
)
def test_a_plugin_whose_steps_are_no_checks_is_named_and_the_others_are_asked(
    site: Site, step: Step, words: str
) -> None:
    site.build({"a": "1"})
    create(site, 1)
    site.hooks += [Hooks(step), Hooks(query("broken", fails))]
    first, second = wrong(check(site))
    assert isinstance(first.error, PluginError)
    assert words in first.error.why
    assert (first.plugin, first.host) == ("hook-0", "operator")
    assert (second.plugin, second.check) == ("hook-1", "Check/hook-1/broken")


def test_an_operation_that_is_unfinished_is_told_of(site: Site) -> None:
    site.build({"scripts/init.sh": "exit 1\n"})
    with pytest.raises(Exception, match="failed"):
        create(site, 1)
    [finding] = [one for one in wrong(check(site)) if one.check == "Record/kernel/status"]
    assert finding.error
    assert "the cluster is creating" in finding.error.what
    assert "it continues" in finding.error.remedy


def test_a_sealer_that_is_at_work_is_named(site: Site) -> None:
    import json

    site.build({"scripts/init.sh": "exit 1\n"})
    with pytest.raises(Exception, match="failed"):
        create(site, 1)
    site.home.lock.write_text(json.dumps(holder("sealer run demo:1")))
    [finding] = [one for one in wrong(check(site)) if one.check == "Record/kernel/status"]
    assert finding.error
    assert "`sealer run demo:1` of" in finding.error.why
    assert "Wait" in finding.error.remedy


def test_a_look_asks_hosts_and_the_api_and_nobody_else(listed: Site) -> None:
    listed.hooks.append(Hooks(query("broken", fails)))
    create(listed, 1, 2)
    nodes(listed, "one 10.0.0.1 yes ")
    (listed.machine(2) / "off").touch()
    health = listed.lifecycle().look("here", 5.0)
    assert health.reached == {"10.0.0.1": True, "10.0.0.2": False}
    assert health.nodes is not None
    assert [node.name for node in health.nodes] == ["one"]
    assert "broken" not in {name for name, _ in states(health)}


def test_a_master_that_is_silent_does_not_use_up_the_time_of_the_others(listed: Site) -> None:
    """Its connection hangs until the look is over; the API of the other master has answered by then."""
    masters(listed)
    nodes(listed, "one 10.0.0.1 no silent", "two 10.0.0.2 yes ", on=2)
    (listed.machine(1) / "hangs").touch()
    health = listed.lifecycle().look("here", 3.0)
    assert health.nodes is not None
    assert health.reached == {"10.0.0.1": False, "10.0.0.2": True}
    found = states(health)
    assert (found["api", "10.0.0.1"], found["api", "10.0.0.2"]) == ("unknown", "well")
    assert (found["ready", "10.0.0.1"], found["ready", "10.0.0.2"]) == ("failed", "well")
