from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sealer import __version__
from sealer.cli.app import App
from sealer.cli.entry import run


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALER_HOME", str(tmp_path / "home"))


def sealer(*arguments: str) -> int:
    return run(arguments, App())


def test_list_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    assert sealer("plugin", "list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["NAME", "VERSION", "PACKAGE", "PROVIDES"]
    [shell] = [line for line in lines if line.startswith("shell ")]
    assert shell.split() == ["shell", __version__, "sealer-plugin-shell", "type", "SHELL"]


def test_list_for_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert sealer("plugin", "list", "--output", "json") == 0
    found = {one["name"]: one for one in json.loads(capsys.readouterr().out)["plugins"]}
    assert found["baremetal"]["drivers"][0]["kind"] == "provider"
    assert set(found["shell"]) == {
        *("name", "version", "distribution", "summary", "status"),
        *("drivers", "types", "hooks", "commands", "problems"),
    }


@pytest.mark.parametrize("words", ["--no-plugins plugin list", "plugin --no-plugins list", "plugin list --no-plugins"])
def test_left_out_plugins_are_listed_as_such(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert sealer(*words.split()) == 0
    [shell] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("shell ")]
    assert shell.endswith("(disabled)")


def test_a_broken_one_is_listed_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "sealer_plugin_torn.py").write_text("import not_there_at_all\n")
    info = tmp_path / "sealer_plugin_torn-3.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sealer-plugin-torn\nVersion: 3.0\n")
    (info / "entry_points.txt").write_text("[sealer.plugins]\ntorn = sealer_plugin_torn\n")
    done = subprocess.run(
        [sys.executable, "-m", "sealer", "plugin", "list"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    [number] = [number for number, line in enumerate(lines) if line.startswith("torn ")]
    assert lines[number].split() == ["torn", "3.0", "sealer-plugin-torn", "(broken)"]
    assert "ModuleNotFoundError: No module named 'not_there_at_all'" in lines[number + 1]
    assert any(line.startswith("shell ") for line in lines)


def test_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert sealer("plugin", "show", "HOSTNAME") == 0
    shown = capsys.readouterr().out
    assert "package: sealer-plugin-hostname\n" in shown
    assert "type HOSTNAME: acts in PreInit, PreJoin, PostJoin, PreGuest, PostInstall; without an action in" in shown
    assert "hook post_clean\n" in shown


def test_show_what_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert sealer("plugin", "show", "shel") == 2
    assert "did you mean 'shell'?" in capsys.readouterr().err


def test_new(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert sealer("plugin", "new", "disk", "--directory", str(tmp_path), "--output", "json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["directory"] == str(tmp_path / "sealer-plugin-disk")
    assert "src/sealer_plugin_disk/__init__.py" in answer["files"]
    assert sealer("plugin", "new", "disk", "--directory", str(tmp_path)) == 2


def test_new_says_when_a_package_of_that_name_is_installed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert sealer("plugin", "new", "shell", "--directory", str(tmp_path)) == 0
    assert "a package sealer-plugin-shell is installed already" in capsys.readouterr().err
