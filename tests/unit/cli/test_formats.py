"""`--format` of what commands list, and `status --watch`."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from sealer.cli.entry import run

Here = Any  # the fixture's class lives in conftest.py, which cannot be imported


def printed(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    assert run(words) == status
    said = capsys.readouterr()
    return said.out if not status else said.err


@pytest.fixture
def _images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALER_HOME", str(tmp_path / "home"))
    (tmp_path / "Kubefile").write_text("FROM scratch\nCOPY Kubefile .\nCMD true\n")
    assert run(["build", "-q", "-t", "one:1", "-t", "two:2", str(tmp_path)]) == 0


@pytest.mark.usefixtures("_images")
def test_a_list_as_a_table_json_yaml_and_by_a_template(capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    as_json = printed(capsys, "images", "--format", "json")
    assert as_json == printed(capsys, "images", "--output", "json")
    assert yaml.safe_load(printed(capsys, "images", "--format", "yaml")) == json.loads(as_json)
    assert printed(capsys, "images", "--format", "table") == printed(capsys, "images")
    sizes = [image["size"] for image in json.loads(as_json)["images"]]
    lines = printed(capsys, "images", "--format", r"{{.Tag}}\t{{.size}} {{.Platforms}}").splitlines()
    assert [line.split("\t")[0] for line in lines] == ["1", "2"]
    assert [line.split("\t")[1].split()[0] for line in lines] == [str(size) for size in sizes]


@pytest.mark.usefixtures("_images")
def test_one_thing_by_a_template(capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert printed(capsys, "inspect", "one:1", "--format", "{{.Digest}}").startswith("sha256:")
    assert "sealer-plugin" in printed(capsys, "plugin", "list", "--format", "{{.Distribution}}")


@pytest.mark.usefixtures("_images")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--format", "{{.Nmae}}"), "the variable 'Nmae' is not defined; did you mean 'Name'?"),
        (("--format", "{{.Name"), "--format:1:"),
        (("--format", "wide"), "neither table, json, yaml nor a template"),
        (("--format", "yaml", "--output", "json"), "exclude each other"),
    ],
)
def test_a_format_that_cannot_be_is_refused(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in printed(capsys, "images", *words, status=2)


def _watch(here: Here, *words: str, stdout: int, stderr: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "sealer", "status", *words, "--watch"],
        env={**os.environ, "SEALER_HOME": f"{here.directory}/home"},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
    )


def test_status_is_watched_until_ctrl_c(here: Here) -> None:
    here.apply()
    ours, theirs = pty.openpty()
    on_terminal = _watch(here, stdout=theirs, stderr=theirs)
    in_pipe = _watch(here, "here", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    os.close(theirs)
    shown, end = b"", time.monotonic() + 60
    while shown.count(b"\x1b[H\x1b[2J") < 2 and time.monotonic() < end:
        if select.select([ours], [], [], 1)[0]:
            shown += os.read(ours, 4096)
    for process in (on_terminal, in_pipe):
        process.send_signal(signal.SIGINT)
    assert on_terminal.wait(30) == 0
    out, err = in_pipe.communicate(timeout=30)
    assert (in_pipe.returncode, err) == (0, b"")
    assert b"\x1b" not in out
    assert out.decode().startswith("name:          here\n")
    assert shown.count(b"running") >= 1
    assert b"Traceback" not in shown
    os.close(ours)
