from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from sealer import __version__
from sealer.cli.root import COMMANDS


def sealer(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sealer", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        check=False,
    )


@pytest.mark.parametrize(
    "arguments",
    [["version"], ["--version"], ["version", "-q"], ["--debug", "version"]],
)
def test_version(arguments: Sequence[str]) -> None:
    done = sealer(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"sealer {__version__}\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["version", "--output", "json"],
        ["--output=json", "version"],
        ["--output", "text", "version", "--output=json"],
        ["version", "--short", "--output", "json"],
    ],
)
def test_global_options_stand_before_or_after_the_command(arguments: Sequence[str]) -> None:
    record = json.loads(sealer(*arguments).stdout)
    assert record["apiVersion"] == "sealer.io/cli/v1"
    assert record["version"] == __version__
    assert set(record) == {"apiVersion", "version", "python", "platform", "protocol"}


def test_help_lists_every_command() -> None:
    done = sealer("--help")
    assert done.returncode == 0
    listed = [line.split()[0] for line in done.stdout.partition("Commands:")[2].splitlines() if line.strip()]
    assert set(COMMANDS) <= set(listed)


def test_no_arguments_show_the_help_and_fail() -> None:
    done = sealer()
    assert done.returncode == 2
    assert "Commands:" in done.stderr


def test_unknown_command_names_the_nearest() -> None:
    done = sealer("aplly")
    assert done.returncode == 2
    assert done.stderr.startswith("sealer: error: there is no command 'aplly'. Did you mean 'apply'?\n")


@pytest.mark.parametrize("where", [["--output", "json", "version", "--bogus"], ["version", "--bogus", "--output=json"]])
def test_a_wrong_command_line_is_told_as_json_too(where: Sequence[str]) -> None:
    done = sealer(*where)
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["exitStatus"] == 2
    assert "--bogus" in done.stderr


def test_wrong_environment_is_the_users_mistake(tmp_path: Path) -> None:
    done = sealer("--help", SEALER_PARALLEL="many")
    assert done.returncode == 2
    assert "SEALER_PARALLEL" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    done = sealer("completion", shell)
    assert done.returncode == 0
    assert "_SEALER_COMPLETE" in done.stdout


COMPLETE = {
    "bash": """
        source <(sealer completion bash) || exit 1
        function=$(complete -p sealer | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
        COMP_LINE="sealer plugin s" COMP_POINT=15
        $function sealer s plugin
        echo "${COMPREPLY[*]}" """,
    "zsh": """
        autoload -Uz compinit && compinit -u -D && eval "$(sealer completion zsh)" || exit 1
        _describe() { for option in ${(P)3}; do print -r -- ${option%%:*}; done }
        words=(sealer plugin s) CURRENT=3
        $_comps[sealer]""",
    "fish": "sealer completion fish | source; complete -C 'sealer plugin s' | string split -f 1 \\t",
}


@pytest.mark.parametrize("shell", COMPLETE)
def test_a_sourced_completion_completes(shell: str, tmp_path: Path) -> None:
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    command = tmp_path / "sealer"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m sealer "$@"\n')
    command.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    quiet = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    done = subprocess.run(
        [shell, *quiet, "-c", COMPLETE[shell]], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("show\n", "")


@pytest.mark.parametrize(
    "words", ["apply -f Clu", "run --pk Clu", "run --passwd-file Clu", "validate -f Clu", "build Clu", "load -i Clu"]
)
def test_names_of_files_are_completed(words: str) -> None:
    done = sealer(_SEALER_COMPLETE="bash_complete", COMP_WORDS=f"sealer {words}", COMP_CWORD=str(len(words.split())))
    assert done.stdout == "file,Clu\n" or done.stdout == "dir,Clu\n"


def test_completion_of_a_command_name() -> None:
    done = sealer(_SEALER_COMPLETE="bash_complete", COMP_WORDS="sealer va", COMP_CWORD="1")
    assert done.stdout == "plain,validate\n"


def test_a_reader_that_leaves_is_no_error() -> None:
    # `head -c0` closes the pipe at once.
    line = f"{sys.executable} -m sealer completion zsh | head -c0"
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def distribution(directory: Path, name: str, module: str, body: str) -> None:
    """A package as pip would have installed it."""
    (directory / f"{module}.py").write_text(body)
    info = directory / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[sealer.commands]\n{name} = {module}:command\n")


def test_a_package_adds_a_command(tmp_path: Path) -> None:
    distribution(
        tmp_path,
        "greet",
        "sealer_greet",
        "import click\nfrom sealer.cli.app import pass_app\n"
        "@click.command()\n@pass_app\ndef command(app):\n    app.show({'greeting': 'hello'}, 'hello')\n",
    )
    path = {"PYTHONPATH": str(tmp_path)}
    listed = sealer("--help", **path).stdout
    assert re.search(r"Commands of plugins:\n(?:  .*\n)*?  greet +From sealer-greet\.\n", listed)
    assert sealer("greet", **path).stdout == "hello\n"
    assert json.loads(sealer("greet", "--output", "json", **path).stdout)["greeting"] == "hello"
    assert sealer("greet", "--no-plugins", **path).returncode == 0  # too late: it is named already
    assert sealer("--no-plugins", "greet", **path).returncode == 2
    assert "greet" not in sealer("--help", SEALER_DISABLE_PLUGINS="greet", **path).stdout


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("import not_there_at_all\n", "ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("command = 5\n", "the entry point is a int, not a click command"),
        ("raise SystemExit(0)\n", "SystemExit"),
    ],
)
def test_a_broken_command_says_why(tmp_path: Path, body: str, reason: str) -> None:
    distribution(tmp_path, "greet", "sealer_broken", body)
    done = sealer("greet", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith(f"sealer: error: sealer-broken: the command 'greet' cannot be loaded: {reason}")
    assert "Traceback" not in done.stderr
    assert sealer("--help", PYTHONPATH=str(tmp_path)).returncode == 0


def test_a_command_of_ours_cannot_be_replaced(tmp_path: Path) -> None:
    distribution(tmp_path, "version", "sealer_taker", "import click\ncommand = click.Command('version')\n")
    assert sealer("version", "-q", PYTHONPATH=str(tmp_path)).stdout == f"sealer {__version__}\n"


def test_a_run_goes_on_when_its_reader_has_left(tmp_path: Path) -> None:
    code = (
        "from sealer.cli.app import App; from sealer.events import State; import pathlib, sys\n"
        "app = App(); app.options.output = 'json'\n"
        "with app.watch():\n"
        "    for number in range(10_000): app.events.emit(State.INFO, message='x' * 100)\n"
        f"pathlib.Path({str(tmp_path / 'end')!r}).touch()\n"
    )
    line = f'{sys.executable} -c "$CODE" | head -n1'
    done = subprocess.run(
        ["/bin/sh", "-c", line], capture_output=True, text=True, check=True, env={**os.environ, "CODE": code}
    )
    assert (len(done.stdout.splitlines()), done.stderr) == (1, "")
    assert (tmp_path / "end").exists()


def test_colours_only_where_they_are_wanted() -> None:
    assert "\x1b[" not in sealer("nonsense").stderr
    assert "\x1b[31m" in sealer("--color", "always", "nonsense").stderr


def test_a_flag_may_have_a_value() -> None:
    assert sealer("version", "--short=true").stdout == sealer("version", "--short").stdout
    assert sealer("version", "--short=false").stdout == sealer("version").stdout
