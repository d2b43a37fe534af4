from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from sealer.clusterfile.model import Cluster
from sealer.errors import CommandError, InputError
from sealer.extension import Addresses, Effect, Labelled, Operation, Result, Role, StepContext
from sealer.phases import Phase
from sealer.testing import (
    Answers,
    BadData,
    PluginTypeContract,
    RecordedContext,
    Reply,
    make_document,
    make_operation,
    run_steps,
)
from sealer_plugin_shell.shell import Shell

ANY = (Phase.POST_INSTALL,)


class TestShellContract(PluginTypeContract):
    plugin_type = Shell
    phases = ANY
    good = ("uname -a\n", "#!/bin/bash\nset -euo pipefail\n")
    bad = (
        BadData("", says="empty"),
        BadData(" \n\n", says="empty"),
        BadData({"script": "x"}, says="not a mapping; did you forget 'data: |'?"),
        BadData(["x"], says="not a list"),
        BadData(5, says="not '5'"),
        BadData(None, says="not nothing"),
        BadData("a\nb\0", line=2, says="zero byte"),
    )
    differing = (("uname -a", "uname -s"),)


def test_it_has_no_phase_of_its_own() -> None:
    assert Shell.default_phases == ()


class TestWhereAndHow:
    @pytest.mark.parametrize(
        ("on", "phase", "hosts"),
        [
            ("", Phase.PRE_INIT, ["192.0.2.11", "192.0.2.12", "192.0.2.13"]),
            ("master", Phase.PRE_INIT, ["192.0.2.11"]),
            ("node", Phase.POST_INSTALL, ["192.0.2.12", "192.0.2.13"]),
            ("192.0.2.12-192.0.2.20", Phase.PRE_INIT, ["192.0.2.12", "192.0.2.13"]),
        ],
    )
    def test_on_create(self, on: str, phase: Phase, hosts: list[str]) -> None:
        document = make_document("SHELL", "true", on=on, phases=[phase])
        operation = make_operation("create")
        assert run_steps(Shell().steps(operation, phase, document, "true"), operation).hosts == {"script": hosts}

    def test_on_scale_up_only_those_that_join(self) -> None:
        operation = make_operation("scale")
        document = make_document("SHELL", "true", phases=[Phase.POST_JOIN])
        steps = Shell().steps(operation, Phase.POST_JOIN, document, "true")
        assert run_steps(steps, operation).hosts == {"script": ["192.0.2.110"]}

    def test_a_phase_without_any_of_its_hosts(self) -> None:
        document = make_document("SHELL", "true", on="192.0.2.77")
        assert Shell().steps(make_operation("scale"), Phase.POST_JOIN, document, "true") == []

    def test_targets_are_resolved_when_the_step_starts(self) -> None:
        operation = make_operation("scale")
        [labelled] = Shell().steps(operation, Phase.POST_JOIN, make_document("SHELL", "x", on="disk=ssd"), "x")
        [role] = Shell().steps(operation, Phase.PRE_CLEAN, make_document("SHELL", "x", on="node"), "x")
        [named] = Shell().steps(
            make_operation(), Phase.PRE_INIT, make_document("SHELL", "x", on="192.0.2.12-192.0.2.99"), "x"
        )
        assert labelled.on == Labelled("disk", "ssd", "added")
        assert role.on == Role("node", "removed")
        assert named.on == Addresses(frozenset({"192.0.2.12", "192.0.2.13"}))

    def test_a_label_before_there_is_a_cluster(self) -> None:
        document = make_document("SHELL", "true", on="disk=ssd")
        with pytest.raises(InputError) as caught:
            Shell().steps(make_operation(), Phase.PRE_INIT, document, "true")
        assert "PreGuest" in str(caught.value.problems[0])

    def test_never_twice_and_never_in_a_hurry(self) -> None:
        [step] = Shell().steps(make_operation(), Phase.POST_INSTALL, make_document("SHELL", "true"), "true")
        assert (step.effect, step.retry, step.timeout) == (Effect.ONCE, None, 3600)

    def test_the_working_directory_is_the_rootfs(self) -> None:
        operation = make_operation(spec=Cluster(name="blue", data_root="/srv/sealer"))
        steps = Shell().steps(operation, Phase.POST_INSTALL, make_document("SHELL", "true", on="master"), "true")
        [call] = run_steps(steps, operation).calls
        assert (call.what, call.text, call.cwd) == ("sh", "true", "/srv/sealer/data/blue/rootfs")

    def test_a_failure_is_passed_on(self) -> None:
        operation = make_operation()
        steps = Shell().steps(operation, Phase.POST_INSTALL, make_document("SHELL", "false"), "false")
        with pytest.raises(CommandError):
            run_steps(steps, operation, answers=Answers().on("^false$", Reply("broken\n", 1)))


class TestCleaning:
    def test_without_a_rootfs_there_is_nothing_to_clean(self) -> None:
        operation = make_operation("delete")
        steps = Shell().steps(operation, Phase.PRE_CLEAN, make_document("SHELL", "wipe", on="master"), "wipe")
        recording = run_steps(steps, operation, answers=Answers().on("test -d", Reply(status=1)))
        assert "wipe" not in recording.scripts()
        assert recording.messages() == [
            "/var/lib/sealer/data/testing/rootfs is not there: the script has nothing to clean"
        ]

    def test_with_one_it_runs(self) -> None:
        operation = make_operation("delete")
        steps = Shell().steps(operation, Phase.POST_CLEAN, make_document("SHELL", "wipe", on="master"), "wipe")
        assert run_steps(steps, operation).scripts()[-1] == "wipe"


class RealContext(RecordedContext):
    """Runs scripts of this machine's /bin/sh, in a directory of the test."""

    def sh(
        self, script: str, *, env: object = None, stdin: bytes | None = None, cwd: str = "/", check: bool = True
    ) -> Result:
        done = subprocess.run(
            ["/bin/sh", "-c", script],
            input=stdin or b"",
            capture_output=True,
            cwd=cwd,
            check=False,
            env={**os.environ, **self.environment},
        )
        return self._checked(Result(done.returncode, (done.stdout + done.stderr).decode()), script, check)


class TestInterpreter:
    @pytest.fixture
    def operation(self, tmp_path: Path) -> Operation:
        operation = make_operation(spec=Cluster(name="c", data_root=str(tmp_path)))
        Path(operation.paths.rootfs).mkdir(parents=True)
        return operation

    def run(self, operation: Operation, script: str, **environment: str) -> None:
        [step] = Shell().steps(operation, Phase.POST_INSTALL, make_document("SHELL", script), script)
        context: StepContext = RealContext(operation, operation.added[0], environment=environment)
        step.run(context)

    @pytest.mark.parametrize("first", ["#!/bin/bash", "#!/usr/bin/env bash", "\n#! /bin/bash -e"])
    def test_the_first_line_names_it(self, operation: Operation, first: str) -> None:
        script = f'{first}\nwords=("one two" three)\ncat\necho "${{words[0]}}:$PWD" >answer\n'
        self.run(operation, script)
        rootfs = Path(operation.paths.rootfs)
        assert (rootfs / "answer").read_text() == f"one two:{rootfs}\n"

    @pytest.mark.parametrize("first", ["", "#!/bin/sh\n", "# a comment\n"])
    def test_else_it_is_sh(self, operation: Operation, first: str) -> None:
        self.run(operation, f"{first}echo $PPID >answer; echo ok >>answer")
        assert (Path(operation.paths.rootfs) / "answer").read_text().endswith("ok\n")

    def test_it_sees_names_that_are_none_to_a_shell(self, operation: Operation) -> None:
        environment = {"docker-dir": "/var/lib/it's docker", "docker_dir": "legal"}
        self.run(operation, "#!/bin/bash\nenv | grep ^docker | sort >answer\n", **environment)
        answer = (Path(operation.paths.rootfs) / "answer").read_text()
        assert answer == "docker-dir=/var/lib/it's docker\ndocker_dir=legal\n"

    def test_its_status_counts_and_no_file_stays(self, operation: Operation, monkeypatch: pytest.MonkeyPatch) -> None:
        temporary = Path(operation.paths.data) / "tmp"
        temporary.mkdir()
        monkeypatch.setenv("TMPDIR", str(temporary))
        with pytest.raises(CommandError) as caught:
            self.run(operation, "#!/bin/bash\nls -l $0; exit 7")
        assert caught.value.status == 7
        assert caught.value.output[0].startswith("-rw-------")
        assert list(temporary.iterdir()) == []


def test_no_interpreter_gets_in_by_quoting() -> None:
    operation = make_operation()
    script = "#!/bin/bash -c 'a;b' $(x)\ntrue"
    steps = Shell().steps(operation, Phase.POST_INSTALL, make_document("SHELL", script, on="master"), script)
    [call] = run_steps(steps, operation).calls
    assert """/bin/bash '-c '"'"'a;b'"'"' $(x)' "$script\"""" in call.text
    assert call.content == script.encode()
