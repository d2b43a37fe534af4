"""Every command has examples on its help page, and the real parser takes each; plugins' commands say what they do."""

from __future__ import annotations

import importlib.util
import itertools
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from sealer.cli import contributed
from sealer.cli.app import App
from sealer.cli.root import root

ROOT = Path(__file__).resolve().parents[3]
COMMANDS_PAGE = ROOT / "docs" / "reference" / "commands.md"


def _commands() -> dict[str, click.Command]:
    specification = importlib.util.spec_from_file_location("command_reference", ROOT / "tools" / "command_reference.py")
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return dict(module.commands())


COMMANDS = {name: command for name, command in _commands().items() if not isinstance(command, click.Group)}
EXAMPLES = [
    (name, line.strip())
    for name, command in COMMANDS.items()
    for line in (command.epilog or "").splitlines()
    if line.strip().startswith("sealer")
]


def parse(line: str) -> str:
    """Let the parser read the part of a line that is sealer's, and say which command it is."""
    words = list(itertools.takewhile(lambda word: word not in ("|", "<", ">"), shlex.split(line)))
    assert words[0] == "sealer"
    context = root.make_context("sealer", words[1:], obj=App())
    command: click.Command = root
    rest = [*context._protected_args, *context.args]
    while isinstance(command, click.Group):
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None
        command = found
        context = command.make_context(name, list(rest), parent=context)
        rest = [*context._protected_args, *context.args]
    return context.command_path


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example_of_its_own(name: str) -> None:
    callbacks = {COMMANDS[other].callback for other, _ in EXAMPLES}
    assert COMMANDS[name].callback in callbacks
    assert f"Example{'s' if len([1 for other, _ in EXAMPLES if other == name]) > 1 else ''}:" in str(
        COMMANDS[name].epilog
    )


@pytest.mark.parametrize(("name", "line"), EXAMPLES, ids=[line for _, line in EXAMPLES])
def test_an_example_is_taken_by_the_parser(
    name: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEALER_HOME", str(tmp_path / "home"))
    (tmp_path / "Clusterfile").touch()
    monkeypatch.chdir(tmp_path)
    path = parse(line)
    words = path.split()[1:]
    assert COMMANDS[" ".join(words)].callback is COMMANDS[name].callback
    assert len(line) <= 90
    assert line in COMMANDS_PAGE.read_text()


def test_the_parser_of_this_test_refuses_what_is_wrong() -> None:
    for line in ("sealer images --nosuch", "sealer delte x", "sealer plugin new", "sealer kubernetes base --cni bad"):
        with pytest.raises(click.UsageError):
            parse(line)


def test_commands_of_plugins_have_a_line_on_the_help_page_and_run_nothing_for_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from sealer.cli.entry import run; run(['--help']); "
            "print([name for name in sys.modules if name.startswith('sealer_plugin')])",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    rows = done.partition("Commands of plugins:")[2]
    assert set(contributed.names(App().settings)) >= {"kubectl", "kubernetes"}
    assert re.search(r"kubectl +Run kubectl on a master", rows)
    assert re.search(r"kubernetes +Make base images", rows)
    assert "From sealer-plugin" not in rows
    assert done.splitlines()[-1] == "[]"


def test_a_plugin_whose_source_says_nothing_is_named_by_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "sealer_plugin_quiet-1.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text(
        "[sealer.commands]\nquiet = quiet_one:command\nloud = loud_one:made\nbad = bad_one:command\n"
    )
    (tmp_path / "quiet_one.py").write_text("command = None\n")
    (tmp_path / "bad_one.py").write_text("def (\n")
    (tmp_path / "loud_one.py").write_text(
        '@click.command()\ndef made():\n    """Copy the\n    data.\n\n    More.\n    """\nraise SystemExit\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    for cached in (contributed._found, contributed.lines):
        cached.cache_clear()
    try:
        lines = contributed.lines()
        assert lines["loud"] == "Copy the data."
        assert not {"quiet", "bad"} & set(lines)
    finally:
        for cached in (contributed._found, contributed.lines):
            cached.cache_clear()
