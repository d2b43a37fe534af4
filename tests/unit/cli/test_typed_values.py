"""What cannot be meant is refused where it is typed, before anything is looked for or done."""

from __future__ import annotations

from pathlib import Path

import pytest

from sealer.cli.app import App
from sealer.cli.entry import run
from sealer.cli.passwords import expanded
from sealer.errors import InputError
from sealer.settings import Settings


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(App, "prepare", lambda app: None)  # pytest has its own plans for the logs of this process


@pytest.mark.parametrize("value", ["", " ", ","])
@pytest.mark.parametrize(
    "words",
    [
        ["run", "x", "-m"],
        ["run", "x", "--nodes"],
        ["run", "x", "--name"],
        ["run", "x", "--provider"],
        ["apply", "-m"],
        ["scale-up", "-n"],
        ["delete", "-m"],
        ["delete", "--all", "--yes", "--name"],
        ["exec", "ls", "--hosts"],
        ["exec", "ls", "--roles"],
    ],
    ids=" ".join,
)
def test_an_option_that_is_empty(words: list[str], value: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As with `--name "$NAME"` where NAME is not set: it must not mean the only cluster, all hosts, or this machine."""
    assert run([*words, value]) == 2
    assert "it is empty; name something, or leave the option out" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["apply", "-f", ""], ["run", "-f", ""], ["delete", "--all", "-f", ""]], ids=" ".join)
def test_a_file_without_a_name(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 2
    assert "it is empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["run", "x", "-m", "127.0.0.1", "-e", "A=\udcff"],
        ["run", "x", "-m", "127.0.0.1", "--cmds", "echo \udcff"],
        ["run", "x", "-m", "127.0.0.1", "--cmd-args", "A=\udcff"],
        ["run", "x", "-m", "127.0.0.1", "-p", "\udcff"],
        ["run", "x", "-m", "127.0.0.1", "--pk-passwd", "\udcff"],
        ["run", "x", "-m", "127.0.0.1", "-u", "\udcff"],
        ["exec", "echo", "\udcff"],
    ],
    ids=ascii,
)
def test_what_is_no_text(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 2
    assert "it is not UTF-8 text" in capsys.readouterr().err


def test_the_home_of_a_user_whom_nobody_knows() -> None:
    with pytest.raises(InputError, match="there is no such file"):
        expanded("~nobody-of-this-name/key")


def test_a_home_that_leads_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="SEALER_HOME ~nobody-of-this-name"):
        Settings.from_environment({"SEALER_HOME": "~nobody-of-this-name"})
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(InputError, match="SEALER_HOME here: No such file"):
        Settings.from_environment({"SEALER_HOME": "here"})
