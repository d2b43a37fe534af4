"""The cluster commands as a person types them, against a cluster of this very machine below a temporary directory."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pty
import re
import signal
import stat
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from sealer.cli.app import App
from sealer.cli.entry import run

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="a cluster of this machine is made by root: run the tests as root"
)

INIT = """#!/bin/sh
env > {work}/environment
echo "init on $HostIP"
if [ -e {work}/slow ]; then echo waiting; touch {work}/waits; while [ -e {work}/slow ]; do sleep 0.05; done; fi
[ ! -e {work}/broken ] || {{ echo "no space left" >&2; exit 3; }}
"""


PLUGIN = """\
apiVersion: sealer.io/v2
kind: Plugin
metadata: {{name: {phase}}}
spec:
  type: SHELL
  action: {phase}
  data: |
    [ -d scripts ] && echo {phase} >> {work}/marks
"""
PHASES = ("PreInit", "PreJoin", "PostJoin", "PreGuest", "PostInstall", "PreClean", "PostClean")
# What DECISIONS reserves: every script gets these, and nobody overrides them.
RESERVED = (
    *("ClusterName", "HostIP", "HostName", "HostRole", "MasterIPs", "NodeIPs", "PreviousMasterIPs", "PreviousNodeIPs"),
    *("SealerOperation", "RegistryDomain", "RegistryPort", "RegistryURL"),
)


ROOT = Path(__file__).resolve().parents[2]


def undescribed(
    record: Mapping[str, object], free: Sequence[str] = ("applications", "env", "labels", "schema")
) -> set[str]:
    """Fields of a result that its page does not name; what is in those of `free` users have named."""
    described = set(re.findall(r"`([A-Za-z]+)`", (ROOT / "docs" / "reference" / "json-output.md").read_text()))
    found = set()
    for name, value in record.items():
        found |= {name} - described - {"apiVersion"}
        inner = value if isinstance(value, list) else [value]
        for one in inner if name not in free else []:
            found |= undescribed(one, free) if isinstance(one, dict) else set()
    return found


class Site:
    """A home, an image and a Clusterfile of their own."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.environment = {**os.environ, "SEALER_HOME": str(work / "home"), "SEALER_PARALLEL": "4"}
        context = work / "context"
        (context / "scripts").mkdir(parents=True)
        (context / "scripts" / "init.sh").write_text(INIT.format(work=work))
        (context / "scripts" / "clean.sh").write_text(f"echo clean.sh >> {work}/marks\n")
        (context / "plugins").mkdir()
        (context / "plugins" / "marks.yaml").write_text(
            "---\n".join(PLUGIN.format(phase=phase, work=work) for phase in PHASES)
        )
        (context / "Kubefile").write_text(
            'FROM scratch\nCOPY scripts scripts\nCOPY plugins plugins\nCMD echo "the answer is $Answer"\n'
        )
        (context / "Kubefile.app").write_text("FROM scratch\nCOPY Kubefile x\nCMD echo app on $ClusterName\n")
        self.clusterfile = work / "Clusterfile"
        self.clusterfile.write_text(
            "apiVersion: sealer.io/v2\nkind: Cluster\nmetadata:\n  name: here\nspec:\n  image: demo:1\n"
            f"  dataRoot: {work}/data\n  env: [Answer=42]\n  hosts:\n    - ips: [127.0.0.1]\n      roles: [master]\n"
        )
        self.done("build", "-q", "-t", "demo:1", str(context))

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "sealer", *arguments]

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            capture_output=True,
            text=True,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=60,
        )

    def done(self, *arguments: str) -> str:
        result = self.call(*arguments)
        assert result.returncode == 0, result.stderr + result.stdout
        return result.stdout

    def json(self, *arguments: str) -> dict[str, object]:
        record = json.loads(self.done("--output", "json", *arguments).splitlines()[-1])
        assert record["apiVersion"] == "sealer.io/cli/v1"
        assert isinstance(record, dict)
        assert undescribed(record) == set(), "docs/reference/json-output.md describes every field"
        return record

    def everything(self) -> dict[str, tuple[int, int]]:
        """Every file and directory of the host and of the records, to see that nothing was touched."""
        found = {}
        for path in [*(self.work / "data").rglob("*"), *(self.work / "home" / "clusters").rglob("*")]:
            state = path.lstat()
            found[str(path)] = (state.st_ino, state.st_mtime_ns)
        return found


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_what_a_host_is_given(site: Site) -> None:
    """Names that are none to a shell reach the image's script; every Plugin document lies in `plugins/`."""
    document = "apiVersion: sealer.io/v2\nkind: Plugin\nmetadata: {{name: {0}}}\n"
    document += "spec: {{type: SHELL, action: PreInit, data: 'echo {0}'}}\n"
    context = site.work / "given"
    for directory in ("scripts", "plugin", "plugins"):
        (context / directory).mkdir(parents=True)
    (context / "scripts" / "init.sh").write_text(f"#!/bin/bash\nenv | grep ^disk | sort >{site.work}/seen\n")
    (context / "plugin" / "a.yaml").write_text(document.format("first") + "---\n" + document.format("second"))
    (context / "plugins" / "b.yaml").write_text(document.format("third"))
    (context / "Kubefile").write_text("FROM scratch\nCOPY . .\n")
    site.done("build", "-q", "-t", "demo:1", str(context))
    clusterfile = site.clusterfile.read_text().replace("[Answer=42]", "['disk-size=9 GB']")
    site.clusterfile.write_text(f"{clusterfile}---\n{document.format('fourth')}")
    site.done("apply", "-f", str(site.clusterfile))
    assert (site.work / "seen").read_text() == "disk-size=9 GB\ndisk_size=9 GB\n"
    there = site.work / "data" / "data" / "here" / "rootfs" / "plugins"
    assert sorted(path.name for path in there.iterdir()) == ["b.yaml", "first.yaml", "fourth.yaml", "second.yaml"]


@pytest.fixture(scope="module")
def untouched_site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site on which nothing is ever done."""
    return Site(tmp_path_factory.mktemp("site"))


def test_a_cluster_from_its_plan_to_its_end(site: Site) -> None:
    file = str(site.clusterfile)
    plan = site.json("apply", "-f", file, "--dry-run")
    assert plan["dryRun"] is True
    assert plan["added"] == ["127.0.0.1"]
    steps = plan["steps"]
    assert isinstance(steps, list)
    assert {"Init", "Guest"} <= {step["phase"] for step in steps}
    assert all(step["hosts"] in (["127.0.0.1"], ["operator"]) for step in steps)
    assert not (site.work / "home" / "clusters").exists()
    assert "scripts/init.sh" in site.done("apply", "-f", file, "--dry-run")

    shown = site.done("apply", "-f", file)
    assert "127.0.0.1 | the answer is 42" in shown
    assert "Cluster here created" in shown

    runs = list((site.work / "home" / "clusters" / "here" / "runs").glob("*/events.jsonl"))
    assert len(runs) == 1
    assert stat.S_IMODE(runs[0].stat().st_mode) == 0o600
    assert stat.S_IMODE(runs[0].parent.stat().st_mode) == stat.S_IMODE(runs[0].parent.parent.stat().st_mode) == 0o700
    events = [json.loads(line) for line in runs[0].read_text().splitlines()]
    assert {event["run"] for event in events} == {runs[0].parent.name}
    assert events[-1]["state"] == "done"

    assert site.done("apply", "-f", file) == "cluster here: already up to date\n"
    assert site.json("apply", "-f", file)["operation"] == "nothing"

    assert "here  running  1" in site.done("status")
    hosts = site.json("status", "--name", "here")["hosts"]
    recorded = {"address": "127.0.0.1", "placeholder": "", "roles": ["master"], "member": True}
    assert hosts == [{**recorded, "now": {"reached": True, "why": "", "off": False, "node": None}}]
    assert site.json("status", "--name", "here", "--recorded")["hosts"] == [{**recorded, "now": None}]
    assert site.json("check")["well"] is True
    assert site.json("timeline")["run"] == runs[0].parent.name

    assert site.done("exec", "echo $HostIP $Answer") == "127.0.0.1 42\n"
    answer = site.json("exec", "--", "sh", "-c", "echo out; echo err >&2")
    whole = {"stdout": 0, "stderr": 0}
    assert answer["hosts"] == [
        {"host": "127.0.0.1", "status": 0, "stdout": ["out"], "stderr": ["err"], "omitted": whole}
    ]

    again = site.call("run", "demo:1", "-m", "127.0.0.1", "--name", "here")
    assert again.returncode == 3
    assert "sealer apply" in again.stderr

    unasked = site.call("delete", "--all")
    assert unasked.returncode == 3
    assert "add --yes" in unasked.stderr
    site.done("delete", "--all", "--name", "here", "--yes")
    assert not (site.work / "data").exists()
    assert site.json("status")["clusters"] == []


def test_the_clusterfile_that_is_printed_is_applied_and_its_changes_are_shown(site: Site) -> None:
    """Printed, applied as it is, edited, and shown field by field before anything is done."""
    site.done("apply", "-q", "-f", str(site.clusterfile))
    printed = site.work / "printed"
    printed.write_text(site.done("get", "clusterfile", "here"))
    assert site.json("apply", "-f", str(printed))["operation"] == "nothing"
    more = PLUGIN.format(phase="PreGuest", work=site.work).replace("name: PreGuest", "name: more")
    (site.work / "more").write_text(f"{printed.read_text()}---\n{more}")
    told = site.done("apply", "-f", str(site.work / "more"), "--dry-run").splitlines()
    assert (told[0], told[-1]) == ("+ Plugin more: type: SHELL", "cluster here: already up to date")
    [document, *_] = json.loads(site.done("get", "clusterfile", "-o", "json"))["documents"]
    assert document["spec"]["hosts"] == [{"ips": ["127.0.0.1"], "roles": ["master"]}]
    assert document == json.loads(site.done("--output", "json", "get", "clusterfile", "--name", "here"))["documents"][0]

    (site.work / "context" / "scripts" / "update.sh").write_text("#!/bin/sh\n")
    printed.write_text(printed.read_text().replace("Answer: '42'", "Answer: '43'\n    DB_PASSWORD: hunter2"))
    refused = site.call("apply", "-f", str(printed), "--dry-run")
    assert (refused.returncode, "spec.env" in refused.stderr) == (3, True)  # the image has nothing to change it with
    assert "hunter2" not in refused.stdout + refused.stderr
    site.done("delete", "--all", "--yes")

    site.done("build", "-q", "-t", "demo:1", str(site.work / "context"))
    site.done("apply", "-q", "-f", str(site.clusterfile))
    plan = site.json("apply", "-f", str(printed), "--dry-run")
    fields = [
        {"field": "spec.env.Answer", "before": "42", "after": "43", "secret": False},
        {"field": "spec.env.DB_PASSWORD", "before": None, "after": None, "secret": True},
    ]
    assert plan["changes"] == {"added": [], "removed": [], "fields": fields}
    lines = ["~ spec.env.Answer: 42 -> 43", "~ spec.env.DB_PASSWORD: changed (secret)"]
    for arguments in (("--dry-run",), ("--yes",)):
        shown = site.done("apply", "-f", str(printed), *arguments)
        assert [line for line in lines if line not in shown] == []
        assert "hunter2" not in shown
    unknown = site.call("get", "clusterfile", "nowhere")
    assert unknown.returncode == 2
    site.done("delete", "--all", "--yes")


def test_a_dry_run_of_every_command_shows_the_plan_and_touches_nothing(site: Site) -> None:
    file = str(site.clusterfile)
    plans = [site.json(command, "-f", file, "--dry-run") for command in ("run", "apply")]
    assert not (site.work / "data").exists()
    assert not (site.work / "home" / "clusters").exists()
    site.done("apply", "-q", "-f", file)
    before = site.everything()
    assert before
    plans.append(site.json("delete", "--all", "--name", "here", "--dry-run"))
    shown = site.done("delete", "--all", "--dry-run")
    assert site.everything() == before
    assert [plan["operation"] for plan in plans] == ["create", "create", "delete"]
    for plan in plans:
        assert plan["dryRun"] is True
        assert isinstance(plan["steps"], list)
        for step in plan["steps"]:
            assert step["title"] and step["phase"] and step["plugin"]
            assert step["hosts"] in (["127.0.0.1"], ["operator"])
    words = ["PreClean", "PostClean", "scripts/clean.sh", "documents", "kernel", "127.0.0.1"]
    assert [word for word in words if word not in shown] == []
    site.done("delete", "--all", "--yes")


def test_the_command_line_is_over_the_clusterfile_and_reaches_the_scripts(site: Site) -> None:
    shown = site.done("run", "demo:1", "-f", str(site.clusterfile), "--name", "other", "-e", "Answer=7", "-e", "Q=a b")
    assert "127.0.0.1 | the answer is 7" in shown
    exported = dict(line.partition("=")[::2] for line in (site.work / "environment").read_text().splitlines())
    assert set(RESERVED) <= set(exported)
    assert (exported["Answer"], exported["Q"]) == ("7", "a b")
    assert (exported["ClusterName"], exported["SealerOperation"]) == ("other", "create")
    assert exported["HostIP"] == exported["MasterIPs"] == "127.0.0.1"
    assert (exported["HostRole"], exported["NodeIPs"]) == ("master", "")
    assert exported["HostName"]
    assert "other  running" in site.done("status")
    site.done("delete", "--all", "--name", "other", "--yes")


def test_scripts_and_documents_of_the_image_run_in_their_order(site: Site) -> None:
    site.done("apply", "-q", "-f", str(site.clusterfile))
    site.done("delete", "-q", "--all", "--yes")
    assert (site.work / "marks").read_text().split() == [
        *("PreInit", "PreGuest", "PostInstall"),
        *("PreClean", "PostClean", "clean.sh"),
    ]


# The process that is measured begins with the memory of the one that forked it: a small one stands between.
MEASURE = """import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
"""


def test_what_a_host_prints_without_end_takes_little_memory_as_json(site: Site) -> None:
    """The last of it is there, and how much is not."""
    site.done("apply", "-q", "-f", str(site.clusterfile))
    words = [sys.executable, "-m", "sealer", "exec", "--output", "json", "seq -f %012.0f 1 1000000; echo end >&2"]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *words],
        env=site.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    (host,) = json.loads(done.stdout)["hosts"]
    assert host["omitted"]["stdout"] + len(host["stdout"]) == 1_000_000
    assert (host["stdout"][-1], host["stderr"], host["omitted"]["stderr"]) == ("000001000000", ["end"], 0)
    assert len(host["stdout"]) > 100_000
    *warnings, memory = done.stderr.splitlines()
    assert f"the first {host['omitted']['stdout']} lines of stdout are left out" in warnings[-1]
    assert int(memory) < 150 * 1024
    site.done("delete", "--all", "--yes")


@pytest.mark.parametrize(
    ("command", "status", "words"),
    [
        ("sealer exec 'seq 100000; echo end >> MARKS' | head -n 1", 1, ""),
        ("sealer exec 'seq 100000; echo end >> MARKS' > /dev/full", 1, "No space left on device"),
        ("sealer exec 'while :; do echo x; sleep 0.01; echo end >> MARKS; done' | head -n 1", 1, ""),
    ],
)
def test_a_command_on_the_hosts_ends_when_nobody_reads_it(site: Site, command: str, status: int, words: str) -> None:
    site.done("apply", "-q", "-f", str(site.clusterfile))
    line = command.replace("MARKS", f"{site.work}/marks").replace("sealer", f"{sys.executable} -m sealer")
    done = subprocess.run(
        ["bash", "-c", f"{line}; exit ${{PIPESTATUS[0]}}"],
        env=site.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == status
    assert words in done.stderr
    assert done.stderr == "" or words
    assert "mistake" not in done.stderr
    site.done("delete", "--all", "--yes")


def test_what_will_be_done_is_said_before_it_is(site: Site) -> None:
    lines = site.done("apply", "-f", str(site.clusterfile)).splitlines()
    [said] = [number for number, line in enumerate(lines) if "Creating cluster here from demo:1 on 1 host" in line]
    assert said < next(number for number, line in enumerate(lines) if line.endswith(": started"))
    site.done("delete", "--all", "--yes")


def test_layers_that_are_kept_are_not_sent_again(site: Site) -> None:
    file = str(site.clusterfile)
    site.done("apply", "-q", "-f", file)
    site.done("delete", "-q", "--all", "--yes", "--keep-layers")
    layers = sorted((site.work / "data" / "layers" / "sha256").iterdir())
    assert layers
    assert [path.name for path in (site.work / "data").iterdir()] == ["layers"]
    before = [(path.stat().st_ino, path.stat().st_mtime_ns) for path in layers]
    site.done("apply", "-q", "-f", file)
    assert [(path.stat().st_ino, path.stat().st_mtime_ns) for path in layers] == before
    site.done("delete", "-q", "--all", "--yes")
    assert not (site.work / "data").exists()


def test_a_layer_that_rotted_on_the_host_is_not_unpacked(site: Site) -> None:
    site.done("apply", "-q", "-f", str(site.clusterfile))
    site.done("delete", "-q", "--all", "--yes", "--keep-layers")
    for path in (site.work / "data" / "layers" / "sha256").iterdir():
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    site.done("apply", "-q", "-f", str(site.clusterfile))
    for path in (site.work / "data" / "layers" / "sha256").iterdir():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name.split(".")[0]
    site.done("delete", "-q", "--all", "--yes")


def test_an_application_goes_onto_the_only_cluster(site: Site) -> None:
    context = site.work / "context"
    site.done(
        "build", "-q", "--type", "app-installer", "-f", str(context / "Kubefile.app"), "-t", "app:1", str(context)
    )
    missing = site.call("run", "app:1")
    assert missing.returncode == 2
    assert "there is no cluster" in missing.stderr
    site.done("apply", "-q", "-f", str(site.clusterfile))
    assert "127.0.0.1 | app on here" in site.done("run", "app:1")
    record = site.json("status", "--name", "here")
    assert list(record["applications"]) == ["app"]  # type: ignore[call-overload]
    site.done("delete", "--all", "--yes")


def test_the_applications_of_launch_or_of_a_flag_are_installed_in_order(site: Site) -> None:
    context = site.work / "context"
    (context / "Kubefile.apps").write_text(
        "FROM demo:1\nCNI net local://Kubefile.app\nAPP web local://Kubefile.app\nAPP db local://Kubefile.app\n"
        "APPENV web Answer=43\n"
        'APPCMDS net ["echo $(basename $PWD)", "echo $Answer"]\nAPPCMDS web echo web $Answer; ls\nAPPCMDS db echo db\n'
        "LAUNCH net web\n"
    )
    site.done("build", "-q", "-f", str(context / "Kubefile.apps"), "-t", "apps:1", str(context))
    file = ("run", "apps:1", "-f", str(site.clusterfile))

    def said(*arguments: str) -> list[str]:
        shown = site.done(*file, *arguments)
        site.done("delete", "--all", "--yes")
        lines = [line.partition("127.0.0.1 | ")[2] for line in shown.splitlines() if "127.0.0.1 | " in line]
        return lines[lines.index("the answer is 42") :] if "the answer is 42" in lines else lines[-1:]

    assert said() == ["the answer is 42", "net", "42", "web 43", "Kubefile.app"]
    assert said("--apps", "db,net") == ["the answer is 42", "db", "net", "42"]
    assert said("--apps", "") == ["the answer is 42"]
    assert said("--cmds", "echo other") == ["other"]
    wrong = site.call(*file, "--apps", "nix")
    assert wrong.returncode == 2
    assert "no application 'nix'" in wrong.stderr
    assert not list((site.work / "home" / "clusters").glob("*/state.json"))


def test_a_failure_names_host_step_output_and_remedy_and_the_same_command_continues(site: Site) -> None:
    (site.work / "broken").touch()
    failed = site.call("apply", "-f", str(site.clusterfile), "--output", "json")
    assert failed.returncode == 1
    error = json.loads(failed.stdout.splitlines()[-1])["error"]
    assert [failure["host"] for failure in error["failures"]] == ["127.0.0.1"]
    assert error["failures"][0]["error"]["output"][-1] == "no space left"
    assert error["remedy"]
    assert "\n127.0.0.1: " in failed.stderr
    assert "  | no space left\n" in failed.stderr
    shown = site.done("status", "--name", "here")
    found = re.search(
        r"^status: +failed at Init: Prepare the host \(scripts/init.sh\) on 127.0.0.1; log: (\S+)$", shown, re.MULTILINE
    )
    assert found, shown
    assert '"state": "failed"' in Path(found[1]).read_text()
    assert error["log"] == found[1]
    assert failed.stderr.endswith(f"\nlog: {found[1]}\n")
    assert re.search(r"^reason: +127.0.0.1: The script ended with status 3$", shown, re.MULTILINE)
    assert re.search(r"^127.0.0.1 +master +not joined +", shown, re.MULTILINE)
    assert "here: failed at Init: " in site.done("status")
    assert re.search(r"^here +create failed +", site.done("status"), re.MULTILINE)
    (site.work / "broken").unlink()
    assert "done before" in site.done("apply", "-f", str(site.clusterfile))
    site.done("delete", "--all", "--yes")


def test_without_a_terminal_a_failure_is_printed_once(site: Site) -> None:
    """A log that a program keeps has the reason once, beside the line that says when and where it failed."""
    (site.work / "broken").touch()
    command = site.command("apply", "-f", str(site.clusterfile))
    failed = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=site.environment,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=60,
    )
    assert failed.returncode == 1
    assert failed.stdout.count("ended with status 3") == 1
    assert len(re.findall(r"^\d\d:\d\d:\d\d .*failed", failed.stdout, re.MULTILINE)) == 1
    assert failed.stdout.count("The operation failed") == 1
    site.done("delete", "--all", "--yes", "-q")


def test_ctrl_c_stops_cleanly_and_the_same_command_continues(site: Site) -> None:
    (site.work / "slow").touch()
    command = site.command("apply", "-f", str(site.clusterfile))
    with subprocess.Popen(
        command,
        env=site.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert any("| waiting" in line for line in process.stdout), "the script never began"
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "warning: stopping" in rest
    assert "Run the same command again" in errors
    (site.work / "slow").unlink()
    site.done("apply", "-q", "-f", str(site.clusterfile))
    site.done("delete", "--all", "--yes")


def test_the_image_of_a_cluster_stays(site: Site) -> None:
    """While a run reads it, after the run was killed, and when the cluster runs: only --force removes it."""
    apply = ("apply", "-f", str(site.clusterfile))
    slow = site.work / "slow"
    slow.touch()
    process = subprocess.Popen(
        site.command(*apply), env=site.environment, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert any("| waiting" in line for line in process.stdout)
    refused = site.call("rmi", "demo:1")
    assert refused.returncode == 3
    assert f"'demo:1' is in use by the cluster 'here' (creating), process {process.pid}" in refused.stderr
    process.kill()
    process.communicate()
    assert "in use by the cluster 'here' (creating)\n" in site.call("rmi", "demo:1").stderr
    slow.unlink()
    site.done(*apply)
    assert "in use by the cluster 'here' (running)\n" in site.call("rmi", "demo:1").stderr
    context = str(site.work / "context")
    site.done("build", "-q", "--type", "app-installer", "-f", f"{context}/Kubefile.app", "-t", "app:1", context)
    site.done("run", "app:1")
    assert "in use by the cluster 'here' (running)\n" in site.call("rmi", "app:1").stderr
    site.done("rmi", "--force", "app:1")
    site.done("delete", "--all", "--name", "here", "--yes")
    site.done("rmi", "demo:1")


@pytest.mark.parametrize("part", ["index", "manifest", "config", "layer"])
def test_a_damaged_image_keeps_no_cluster(site: Site, part: str) -> None:
    """It is told of, and what it would have brought is left out; hosts cannot be added with it."""
    site.done("apply", "-f", str(site.clusterfile))
    blobs = site.work / "home" / "images" / "blobs" / "sha256"
    image = json.loads(site.done("inspect", "demo:1"))
    [rootfs] = image["rootfs"]
    manifest = json.loads((blobs / rootfs["digest"][7:]).read_text())
    digests = {
        "index": image["digest"],
        "manifest": rootfs["digest"],
        "config": manifest["config"]["digest"],
        "layer": manifest["layers"][0]["digest"],
    }
    damaged = blobs / digests[part][7:]
    damaged.write_bytes(damaged.read_bytes()[:-20] + b"x" * 20)
    assert "hello" in site.done("exec", "--name", "here", "echo hello")
    deleted = site.call("delete", "--all", "--name", "here", "--yes")
    assert deleted.returncode == 0, deleted.stderr
    assert "The cluster's image demo:1 is damaged" in deleted.stderr + deleted.stdout
    assert not (site.work / "home" / "clusters" / "here").exists()


def test_an_unfinished_application_keeps_its_image(site: Site) -> None:
    site.done("apply", "-f", str(site.clusterfile))
    context = site.work / "context"
    (context / "Kubefile.app").write_text("FROM scratch\nCMD false\n")
    site.done("build", "-q", "--type", "app-installer", "-f", f"{context}/Kubefile.app", "-t", "app:1", str(context))
    assert site.call("run", "app:1").returncode == 1
    assert "in use by the cluster 'here' (changing)\n" in site.call("rmi", "app:1").stderr
    site.done("delete", "--all", "--name", "here", "--yes")
    site.done("rmi", "app:1")


def test_an_operation_is_finished_with_the_image_it_was_begun_with(site: Site) -> None:
    """Although the image was built anew meanwhile and has its name."""
    apply = ("apply", "-f", str(site.clusterfile))
    (site.work / "broken").touch()
    assert site.call(*apply).returncode == 1
    (site.work / "broken").unlink()
    kubefile = site.work / "context" / "Kubefile"
    kubefile.write_text(kubefile.read_text().replace("the answer", "another answer"))
    site.done("build", "-q", "-t", "demo:1", str(kubefile.parent))
    refused = site.call(*apply)
    assert refused.returncode == 3
    assert "--continue" in refused.stderr
    assert "| the answer is 42" in site.done(*apply, "--continue")
    site.done("delete", "--all", "--name", "here", "--yes")


def test_an_image_removed_by_force_serves_the_run_that_has_begun(site: Site) -> None:
    slow = site.work / "slow"
    slow.touch()
    process = subprocess.Popen(
        site.command("apply", "-f", str(site.clusterfile)),
        env=site.environment,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    assert any("| waiting" in line for line in process.stdout)
    blobs = site.work / "home" / "images" / "blobs" / "sha256"
    before = {path.name for path in blobs.iterdir()}
    site.done("rmi", "-f", "demo:1")
    assert {path.name for path in blobs.iterdir()} == before
    slow.unlink()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert not list(blobs.iterdir())
    site.done("delete", "--all", "--name", "here", "--yes")


def test_every_field_of_every_listing_is_described(site: Site) -> None:
    """`json` looks; a failure's object is looked at too."""
    for words in (
        ["version"],
        ["images"],
        ["inspect", "demo:1"],
        ["tag", "demo:1", "other:1"],
        ["rmi", "other:1"],
        ["load", "-i", str(site.work / "x.tar")],
        ["validate", "-f", str(site.clusterfile)],
        ["schema"],
        ["plugin", "list"],
        ["plugin", "show", "shell"],
        ["plugin", "new", "disk", "--directory", str(site.work)],
        ["completion", "bash"],
        ["status"],
        ["run", "-f", str(site.clusterfile), "--dry-run"],
    ):
        if words[0] == "load":
            site.done("save", "demo:1", "-o", words[-1])
        assert site.json(*words)
    (site.work / "broken").touch()
    for command in (
        ["apply", "-f", str(site.clusterfile)],
        ["validate", "-f", str(site.work / "context" / "Kubefile")],
    ):
        failed = site.call(*command, "--output", "json")
        record = json.loads(failed.stdout.splitlines()[-1])
        assert set(record) == {"apiVersion", "error"}
        assert undescribed(record["error"]) == set()
    site.done("delete", "--all", "--yes")


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["delete"], 2, "name what to delete"),
        (["delete", "--all", "-n", "10.0.0.1"], 2, "leave it out to remove the hosts"),
        (["delete", "--all"], 2, "there is no cluster"),
        (["exec", "ls", "--name", "nix"], 2, "nix"),
        (["status", "--name", "nix"], 2, "nix"),
        (["scale-up", "-n", "10.0.0.9", "--name", "nix"], 2, "nix"),
        (["run", "demo:1", "-m", "10.0.0.300"], 2, "--masters 10.0.0.300"),
        (["run", "demo:1", "-n", "10.0.0.3"], 2, "No master"),
        (["run", "demo:1", "-m", "10.0.0.3", "-n", "10.0.0.3"], 2, "10.0.0.3"),
        (["run", "demo:1", "--port", "70000"], 2, "--port"),
        (["run", "demo:1", "--pk", "/not/there"], 3, "No host is named"),
        (["run", "demo:1", "-e", "novalue"], 2, "-e novalue"),
        (["run", "demo:1", "--provider", "nowhere", "-m", "1"], 2, "nowhere"),
        (["run", "demo:1", "--settle", "x"], 2, "--settle x"),
        (["run", "demo:1", "--continue", "--abandon"], 2, "--continue and --abandon exclude each other"),
        (["delete", "--all", "--abandon", "--continue"], 2, "--continue and --abandon exclude each other"),
        (["run", "demo:1", "-m", "3"], 2, "counts are for a provider that makes hosts"),
        (["run", "demo:1", "-m", "10.0.0.3", "-f", "/not/there"], 2, "name a Clusterfile with -f"),
        (["run", "demo:1", "--output", "xml"], 2, "'xml' is not one of 'text', 'json'"),
        (["images", "--bogus"], 2, "--bogus"),
        (["inspect", "nix:1"], 2, "nix:1"),
        (["validate", "-f", "/"], 2, "Is a directory"),
        (["run", "nix:1", "-m", "10.0.0.3"], 2, "nix:1"),
        (["apply", "-f", "/not/there"], 2, "/not/there"),
    ],
)
def test_what_cannot_be_right_is_refused_before_anything_is_done(
    untouched_site: Site,
    arguments: list[str],
    status: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SEALER_HOME", untouched_site.environment["SEALER_HOME"])
    monkeypatch.setattr(App, "prepare", lambda app: None)  # pytest has its own plans for the logs of this process
    assert run(arguments) == status
    errors = capsys.readouterr().err
    assert words in errors
    assert "Traceback" not in errors
    assert not list((untouched_site.work / "home" / "clusters").glob("*/state.json"))


def test_the_plan_for_hosts_that_a_provider_has_yet_to_make(untouched_site: Site) -> None:
    pytest.importorskip("sealer_plugin_nspawn")
    arguments = ("run", "demo:1", "--provider", "NSPAWN", "-m", "2", "-n", "1", "--name", "made", "--dry-run")
    plan = untouched_site.json(*arguments)
    assert plan["complete"] is False
    assert plan["added"] == ["master-0", "master-1", "node-0"]
    assert "made  " not in untouched_site.done("status")


def on_a_terminal(site: Site, arguments: list[str], typed: bytes = b"") -> tuple[int, str]:
    """Call sealer on a terminal of 80 by 24 cells; `typed` is typed as soon as it asks."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {**site.environment, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
    # It is the process's own terminal, so that a Ctrl-C that is typed becomes a signal.
    command = ["setsid", "--ctty", *site.command(*arguments)]
    process = subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, env=environment)
    os.close(follower)
    shown = b""
    try:
        while block := os.read(leader, 65536):
            shown += block
            if typed and any(asked in shown for asked in (b"[y/N]:", b"password:", b"[done/again/STOP]:")):
                os.write(leader, typed)
                typed = b""
    except OSError:  # how Linux says that the other side has closed
        pass
    finally:
        os.close(leader)
    return process.wait(timeout=60), shown.decode()


def test_on_a_terminal_there_is_a_live_view_and_a_question(site: Site) -> None:
    status, shown = on_a_terminal(site, ["apply", "-f", str(site.clusterfile)])
    assert status == 0
    assert "\x1b[?25l" in shown
    assert "\x1b[?25h" in shown[shown.rindex("\x1b[?25l") :]
    assert "127.0.0.1 | the answer is 42" in re.sub(r"\x1b\[[0-9;]*m", "", shown)
    status, shown = on_a_terminal(site, ["delete", "--all"], b"n\n")
    assert status == 3
    assert "Delete the cluster 'here'" in shown
    assert "Aborted: nothing was deleted" in shown
    status, shown = on_a_terminal(site, ["delete", "--all"], b"y\n")
    assert status == 0
    assert not (site.work / "data").exists()


def test_ctrl_c_at_a_question_is_an_answer(site: Site) -> None:
    site.done("apply", "-q", "-f", str(site.clusterfile))
    status, shown = on_a_terminal(site, ["delete", "--all"], b"\x03")
    assert status == 130
    assert "Delete the cluster 'here'" in shown
    assert "here  running  1" in site.done("status")


@pytest.fixture
def lost(site: Site) -> Site:
    """A cluster whose CMD was killed in the middle together with sealer and what watched it, as by a power cut."""
    text = "echo once >> $Work/times; [ -e $Work/mended ] || { mkfifo $Work/began; exec cat $Work/began; }"
    (site.work / "context" / "Kubefile").write_text(f"FROM scratch\nCOPY scripts scripts\nCMD {text}\n")
    site.done("build", "-q", "-t", "demo:1", str(site.work / "context"))
    site.clusterfile.write_text(site.clusterfile.read_text().replace("[Answer=42]", f"[Work={site.work}]"))
    command = site.command("apply", "-q", "-f", str(site.clusterfile))
    with subprocess.Popen(command, env=site.environment, stdin=subprocess.DEVNULL) as process:
        while not (site.work / "began").exists():
            os.sched_yield()
        process.kill()
    (receipt,) = (site.work / "data").rglob("receipts/cmd-1-*/1/pid")
    os.killpg(int(receipt.read_text().split()[0]), signal.SIGKILL)
    (site.work / "mended").touch()
    return site


def once(site: Site) -> int:
    return len((site.work / "times").read_text().split())


@pytest.mark.parametrize(
    ("typed", "status", "times"), [(b"what?\nagain\n", 0, 2), (b"d\n", 0, 1), (b"\n", 3, 1), (b"\x03", 130, 1)]
)
def test_a_person_is_asked_what_became_of_a_step_that_must_not_run_twice(
    lost: Site, typed: bytes, status: int, times: int
) -> None:
    arguments = ["apply", "-f", str(lost.clusterfile)]
    ended, shown = on_a_terminal(lost, arguments, typed)
    question = shown.index("must not run twice. It began on 127.0.0.1, and nobody knows")
    assert "\x1b[?25h" in shown[shown[:question].rindex("\x1b[?25l") : question], "the view has left the terminal"
    assert (ended, once(lost)) == (status, times)
    if status:
        assert ("--settle" in shown) == (status == 3)
        assert on_a_terminal(lost, arguments, b"again\n")[0] == 0, "it is asked again"
        assert once(lost) == 2
    lost.done("delete", "--all", "--yes")


def test_nobody_is_asked_where_nobody_is_or_who_does_not_want_to_be(lost: Site) -> None:
    result = lost.call("apply", "-f", str(lost.clusterfile))
    assert (result.returncode, once(lost)) == (3, 1)
    assert "--settle Guest/kernel/cmd-1@127.0.0.1=done" in result.stderr
    status, shown = on_a_terminal(lost, ["apply", "-f", str(lost.clusterfile), "--yes"])
    assert (status, once(lost)) == (3, 1)
    assert "[done/again/STOP]" not in shown
    lost.done("apply", "-q", "-f", str(lost.clusterfile), "--settle", "Guest/kernel/cmd-1@127.0.0.1=done")
    assert once(lost) == 1


def test_a_password_that_is_asked_for_is_not_echoed(untouched_site: Site) -> None:
    arguments = ["run", "demo:1", "-m", "203.0.113.300", "--ask-passwd"]
    status, shown = on_a_terminal(untouched_site, arguments, b"unsichtbar\n")
    assert status == 2
    assert "SSH password:" in shown
    assert "unsichtbar" not in shown
