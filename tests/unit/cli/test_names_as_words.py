"""What people who know Docker and kubectl type: names of clusters and files as words, `help` and `ps`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import pytest

from sealer.cli.app import App
from sealer.cli.entry import run
from sealer.cli.root import COMMANDS, root

Here = Any  # the fixture's class lives in conftest.py, which cannot be imported


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALER_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def failed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command says that is refused."""
    assert run(words) == 2
    return capsys.readouterr().err


def test_a_cluster_is_named_by_a_word_as_by_the_option(here: Here) -> None:
    file = here.directory / "Clusterfile"
    here("apply", str(file), "--yes")
    here("apply", str(file), "-f", str(file))  # the same twice is no conflict
    assert here("status", "here").stdout == here("ps", "here").stdout == here("status", "--name", "here").stdout
    assert "is healthy" in here("check", "here").stdout
    assert "Clusterfile is valid" in here("validate", str(file)).stdout
    assert here("delete", "here", "--dry-run").stdout == here("delete", "--all", "--name", "here", "--dry-run").stdout
    refused = here("delete", "here", status=3)  # asked, and nobody answers
    assert "add --yes" in refused.stderr
    assert "here" in here("ps").stdout
    for words in (["--name", "here"], ["-f", str(file)], ["--name", "here", "--yes"], []):
        assert "'sealer delete NAME'" in here("delete", *words, status=2).stderr
    assert "leave it out" in here("delete", "here", "--all", "-m", "127.0.0.1", "--yes", status=2).stderr
    here("delete", "here", "--yes")
    assert "here" not in here("ps").stdout.split()


@pytest.mark.parametrize("command", ["status", "ps", "check", "delete"])
def test_two_names_of_clusters_are_refused(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "'one' and --name two are given" in failed(capsys, command, "one", "--name", "two")


@pytest.mark.parametrize("command", ["apply", "validate"])
def test_two_files_are_refused_and_none_is_pointed_out(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "'one' and -f two are given" in failed(capsys, command, "one", "-f", "two")
    assert "there is no Clusterfile in this directory" in failed(capsys, command)


@pytest.mark.parametrize("words", [["status", ""], ["check", ""], ["delete", "", "--yes"], ["apply", ""]])
def test_an_empty_word_is_not_left_out(words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert "it is empty" in failed(capsys, *words)


@pytest.mark.parametrize("word", ["192.168.0.5", "[fd00::5]", "fd00::5", "192.168.0.5-192.168.0.9"])
def test_a_host_is_not_taken_for_a_cluster(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"-n {word}" in failed(capsys, "delete", word, "--yes")


def _pages() -> list[tuple[str, ...]]:
    with click.Context(root, obj=App()) as context:
        nested = [
            (name, inner)
            for name in root.list_commands(context)
            for command in [root.get_command(context, name)]
            if isinstance(command, click.Group)
            for inner in command.commands
        ]
    return [(), *((name,) for name in COMMANDS), *nested]


@pytest.mark.parametrize("words", _pages(), ids=" ".join)
def test_help_of_a_command_is_its_own_page(words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["help", *words]) == 0
    said = capsys.readouterr().out
    assert run([*words, "--help"]) == 0
    assert said == capsys.readouterr().out


def test_help_of_what_is_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Did you mean 'apply'?" in failed(capsys, "help", "aplly")
    assert "'sealer images' has no command 'x'" in failed(capsys, "help", "images", "x")
