"""Every command that a message advises works: it is parsed as sealer does, and run in the state that it is for."""

from __future__ import annotations

import ast
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from sealer.cli.app import App
from sealer.cli.root import root

Here = Any  # the fixture's class lives in conftest.py, which cannot be imported
ROOT = Path(__file__).resolve().parents[3]
SOURCES = sorted(
    path
    for pattern in ("core/sealer/**/*.py", "builtin_plugins/*/src/**/*.py", "plugins/*/src/**/*.py")
    for path in ROOT.glob(pattern)
)
ADVICE = re.compile(r"[`']sealer ([^`'\n]+)[`']")
FEWEST = 50  # commands in messages: with fewer, the search does not find them any more


# -- what the source says ---------------------------------------------------------------------------------------------


def value_of(expression: str) -> str:
    """What may stand where a message puts a value in."""
    for part, text in (
        ("option", "-n 10.0.0.9"),
        ("force", ""),
        ("address", "10.0.0.9"),
        ("' '.join", "a:1 b:1"),
        ("target", "json"),
    ):
        if part in expression:
            return text
    return "some"


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every text of a module that is no docstring, with its line; values that are put in are replaced."""
    passed = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            passed |= {id(part) for part in node.values}
    for node in ast.walk(tree):
        if id(node) in passed:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
        elif isinstance(node, ast.JoinedStr):
            parts = [
                str(part.value) if isinstance(part, ast.Constant) else value_of(ast.unparse(part))
                for part in node.values
            ]
            yield node.lineno, "".join(parts)


def advised_in_source() -> list[tuple[str, str]]:
    return [
        (f"{path.relative_to(ROOT)}:{line}", found)
        for path in SOURCES
        for line, text in texts(ast.parse(path.read_text()))
        for found in ADVICE.findall(text)
    ]


def parse(words: list[str]) -> None:
    """As the command line is parsed, to the last option; nothing is run.

    :raises click.ClickException: it is not right.
    """
    context = root.make_context("sealer", list(words), obj=App())
    while isinstance(context.command, click.Group):
        name, command, rest = context.command.resolve_command(context, context._protected_args + context.args)
        assert command is not None, name
        context = command.make_context(name, rest, parent=context)


def test_messages_that_advise_a_command_are_found() -> None:
    assert len(advised_in_source()) >= FEWEST


@pytest.mark.parametrize(("where", "line"), advised_in_source(), ids=lambda text: text)
def test_every_advised_command_is_one_of_the_command_line(
    where: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name alone is a command that there is; a whole line has no option, argument or value that is not right."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEALER_HOME", str(tmp_path / "home"))
    for name in ("FILE", "Clusterfile", "some"):
        (tmp_path / name).touch()
    words = shlex.split(line)
    if words == ["COMMAND", "--help"]:
        words = ["run", "--help"]
    if len(words) == 1:
        assert root.get_command(click.Context(root, obj=App()), words[0]) is not None, f"{where}: {words[0]}"
        return
    try:
        parse(words)
    except click.exceptions.Exit as ended:  # --help
        assert ended.exit_code == 0
    except click.ClickException as error:
        pytest.fail(f"{where}: sealer {line}: {error.format_message()}")


# -- what is said in a state, and done in it ----------------------------------------------------------------------


def advised(done: subprocess.CompletedProcess[str]) -> list[list[str]]:
    """The commands that an error advises."""
    said = " ".join(re.findall(r"^ *what to do: (.*)$", done.stderr, re.MULTILINE))
    assert said, done.stderr
    return [shlex.split(line) for line in ADVICE.findall(said)]


def carry_out(here: Here, words: list[str]) -> None:
    """Do as advised, with what a person puts in the place of a name in capitals; it has to work.

    What would install on this machine or delete the cluster of other tests is only planned.
    """
    if len(words) == 1 and words[0] not in ("status", "images"):
        assert "Usage:" in here(words[0], "--help").stdout
        return
    known = {"IMAGE": "demo:1", "COMMAND": "true", "Clusterfile": str(here.directory / "Clusterfile")}
    filled = [known.get(word, word) for word in words]
    if words[0] == "scale-up":  # which hosts are to come, the message cannot know
        parse(filled)
        return
    here(*filled, *{"delete": ["--yes", "--dry-run"], "run": ["--dry-run"]}.get(words[0], []))


def not_recorded(here: Here) -> list[str]:
    return ["status", "--name", "other"]


def no_cluster(here: Here) -> list[str]:
    return ["check"]


def no_such_image(here: Here) -> list[str]:
    return ["inspect", "nosuch-thing"]


def empty_store(here: Here) -> list[str]:
    shutil.rmtree(here.directory / "home/images")
    return ["inspect", "demo:1"]


def exists(here: Here) -> list[str]:
    return ["run", "demo:1", "-f", str(here.directory / "Clusterfile")]


def another_image(here: Here) -> list[str]:
    (here.directory / "context/more").touch()
    here("build", "-t", "demo:2", "-f", str(here.directory / "Kubefile"), str(here.directory / "context"))
    return ["run", "demo:2", "-m", "127.0.0.1", "--name", "here"]


def failed_create(here: Here) -> list[str]:
    here.broken.touch()
    return ["apply", "-f", str(here.directory / "Clusterfile")]


def failed_delete(here: Here) -> list[str]:
    state = here.directory / "home/clusters/here/state.json"
    state.write_text(state.read_text().replace('"status": "running"', '"status": "deleting"'))
    return ["apply", "-f", str(here.directory / "Clusterfile")]


def damaged_record(here: Here) -> list[str]:
    (here.directory / "home/clusters/here/state.json").write_text("{")
    return ["status", "--name", "here"]


def no_such_host(here: Here) -> list[str]:
    return ["exec", "--hosts", "10.9.9.9", "--", "true"]


def no_such_role(here: Here) -> list[str]:
    return ["exec", "--roles", "gpu", "--", "true"]


def no_such_run(here: Here) -> list[str]:
    return ["timeline", "nosuch"]


def no_master_left(here: Here) -> list[str]:
    return ["delete", "-m", "127.0.0.1", "--name", "here", "--yes"]


def no_kubernetes(here: Here) -> list[str]:
    return ["kubectl", "--", "get", "pods"]


def broken_check(here: Here) -> list[str]:
    here.broken.touch()
    return ["check", "--name", "here"]


WITHOUT_A_CLUSTER = [(not_recorded, 2), (no_cluster, 2), (no_such_image, 2), (empty_store, 2)]
OF_ONE_THAT_RUNS = [
    *[(exists, 3), (another_image, 3), (no_such_host, 2), (no_such_role, 2), (no_such_run, 2), (no_master_left, 3)],
    *[(no_kubernetes, 2), (broken_check, 1), (failed_delete, 3), (damaged_record, 1)],
]


def do_as_advised(here: Here, state: Callable[[Here], list[str]], status: int) -> None:
    done = here(*state(here), status=status)
    lines = advised(done)
    assert lines, done.stderr
    here.broken.unlink(missing_ok=True)  # the cause is fixed
    for words in lines:
        carry_out(here, words)


def test_what_is_advised_without_a_cluster_works(here: Here) -> None:
    for state, status in WITHOUT_A_CLUSTER:
        do_as_advised(here, state, status)


def test_what_is_advised_about_a_cluster_that_runs_works(here: Here) -> None:
    here.apply()
    for state, status in OF_ONE_THAT_RUNS:
        do_as_advised(here, state, status)


def test_what_is_advised_about_a_create_that_failed_works(here: Here) -> None:
    """It is deleted, for real."""
    failed = here(*failed_create(here), status=1)
    [words] = advised(failed)
    here.broken.unlink()
    here(*words, "--yes")
    assert "There is no cluster" in here("status").stdout


def test_a_failure_before_anything_is_recorded_does_not_advise_to_delete(here: Here) -> None:
    """Nobody listens there: nothing could be deleted, and nothing of the cluster is left but the run's log."""
    done = here("run", "demo:1", "-m", "127.0.0.1:1", "--name", "far", "--passwd", "some-word", "--yes", status=1)
    assert "sealer delete" not in done.stderr
    assert "run the same command again" in done.stderr
    assert "There is no cluster" in here("status").stdout
    log = re.search(r"^log: (.*)$", done.stderr, re.MULTILINE)
    assert log is not None
    assert Path(log[1]).is_file()
    assert {path.name for path in (here.directory / "home/clusters/far").iterdir()} == {"runs"}


def test_a_corrected_clusterfile_is_applied_as_the_failure_says(here: Here) -> None:
    """Refused without the option that the failure names, and the refusal names it too."""
    here.broken.touch()
    clusterfile = here.directory / "Clusterfile"
    failed = here("apply", "-f", str(clusterfile), status=1)
    assert "add --abandon" in failed.stderr
    here.broken.unlink()
    clusterfile.write_text(f"{clusterfile.read_text()}  env: [Mended=yes]\n")
    assert "`--abandon`" in here("apply", "-f", str(clusterfile), status=3).stderr
    here("apply", "-f", str(clusterfile), "--abandon")
    assert here.json("status")["clusters"][0]["status"] == "running"
