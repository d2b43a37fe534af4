"""What starting costs: which modules are imported. Times are measured by benchmarks, not by tests."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

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
