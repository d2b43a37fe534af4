"""What starting costs: which modules are imported. Times are measured by benchmarks, not by tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import sealer
from sealer.extension.entry_points import ALL_GROUPS

HEAVY = {"paramiko", "oras", "requests", "rich", "structlog", "stevedore", "jsonschema", "isal", "yaml", "pluggy"}


def imported_by(*arguments: str) -> set[str]:
    """Top-level names of the modules that `sealer ARGUMENTS` has imported when it ends."""
    code = (
        "import sys, json, contextlib, io\n"
        f"sys.argv = ['sealer', *{list(arguments)!r}]\n"
        "from sealer.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit): main()\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("arguments", [["version"], ["--version"], ["version", "--short"]])
def test_version_imports_next_to_nothing(arguments: list[str]) -> None:
    modules = imported_by(*arguments)
    assert not modules & {*HEAVY, "click", "dataclasses", "ctypes", "logging", "inspect", "importlib.metadata"}
    assert {name for name in modules if name.startswith("sealer")} == {
        "sealer",
        "sealer.cli",
        "sealer.cli.version",
    }


def test_help_imports_no_command_and_nothing_heavy() -> None:
    modules = imported_by("--help")
    assert "click" in modules
    assert not modules & {*HEAVY, "importlib.metadata", "logging", "ctypes", "configparser"}
    assert not [name for name in modules if name.startswith("sealer.cli.commands")]


def test_a_command_imports_its_own_module_only() -> None:
    modules = imported_by("completion", "bash")
    commands = {name for name in modules if name.startswith("sealer.cli.commands.")}
    assert commands == {"sealer.cli.commands.completion"}
    assert not modules & HEAVY


def test_a_push_imports_nothing_that_only_builds_and_removals_need() -> None:
    modules = imported_by("push", "127.0.0.1:1/ns/no-such-image:v1")
    assert "sealer.image.registry.push" in modules
    assert not modules & {*HEAVY, "difflib", "lzma", "tarfile", "tempfile"}
    assert not {"sealer.image.cache", "sealer.image.discovery", "sealer.image.layer"} & modules


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A working directory with a package that offers everything to sealer, and says so when it is imported."""
    (tmp_path / "stranger.py").write_text("print('a stranger ran')\n")
    info = tmp_path / "stranger-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1\n")
    (info / "entry_points.txt").write_text("".join(f"[{group}]\nstranger = stranger\n" for group in ALL_GROUPS))
    return tmp_path


def said_in(directory: Path, *command: str, **env: str) -> str:
    """What a command says, on either stream, that starts in a directory."""
    own = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONSAFEPATH")}
    done = subprocess.run([*command], cwd=directory, env=own | env, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


SCRIPT = str(Path(sys.executable).with_name("sealer"))
MODULE = (sys.executable, "-m", "sealer")


@pytest.mark.parametrize("words", [("--help",), ("plugin", "list"), ("stranger",)])
@pytest.mark.parametrize(
    ("command", "path"),
    [((SCRIPT,), None), (MODULE, None), ((SCRIPT,), ":/nowhere"), (MODULE, ".")],
)
def test_nothing_of_the_working_directory_runs(
    foreign: Path, command: tuple[str, ...], path: str | None, words: tuple[str, ...]
) -> None:
    if path is None:  # what sealer imports, which Python itself has not done before
        for name in ("__future__", "click", "json", "pathlib", "yaml", "pluggy", "sealer_plugin_ssh"):
            (foreign / f"{name}.py").write_text(f"print('a stranger ran as {name}')\n")
    said = said_in(foreign, *command, *words, **({} if path is None else {"PYTHONPATH": path}))
    assert "a stranger ran" not in said
    assert "stranger" not in said or words == ("stranger",)
    assert "Traceback" not in said


def test_a_directory_that_is_named_in_full_may_have_plugins(foreign: Path) -> None:
    assert "a stranger ran" in said_in(foreign, *MODULE, "plugin", "list", PYTHONPATH=str(foreign))


def test_a_working_directory_that_is_gone_or_safe_does_no_harm(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    said = said_in(gone, "/bin/sh", "-c", f'rmdir "$PWD"; exec {sys.executable} -m sealer version')
    assert said.splitlines()[-1] == f"sealer {sealer.__version__}"
    assert "ssh " in said_in(tmp_path, sys.executable, "-P", "-m", "sealer", "plugin", "list")
    kernel = Path(sealer.__file__).parents[1]
    assert "ssh " in said_in(kernel, *MODULE, "plugin", "list", PYTHONPATH=".")
