from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from sealer.errors import InputError
from sealer.extension.scaffold import write_plugin
from sealer.phases import Phase


def test_the_files(tmp_path: Path) -> None:
    target = write_plugin("sealer-plugin-disk-check", tmp_path)
    assert target == tmp_path / "sealer-plugin-disk-check"
    assert sorted(str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()) == [
        "README.md",
        "pyproject.toml",
        "setup.cfg",
        "src/sealer_plugin_disk_check/__init__.py",
        "src/sealer_plugin_disk_check/py.typed",
        "tests/test_sealer_plugin_disk_check.py",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["sealer-plugin-disk-check"]


def test_every_hook_can_be_had(tmp_path: Path) -> None:
    target = write_plugin("all", tmp_path, type_name="ALL_OF_THEM", hooks=[phase.hook for phase in Phase])
    source = (target / "src/sealer_plugin_all/__init__.py").read_text()
    compile(source, "plugin", "exec")
    assert all(f"def {phase.hook}(operation: Operation)" in source for phase in Phase)
    assert 'type = "ALL_OF_THEM"' in source


@pytest.mark.parametrize(
    "name", ["", "Disk", "disk_check", "-disk", "disk-", "disk--check", "1disk", "d" * 41, "../x", "größe"]
)
def test_a_name_that_cannot_be_one(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="cannot be the name of a plugin"):
        write_plugin(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "near"),
    [("Disk", "disk"), ("Disk.Check_2", "disk-check-2"), ("SEALER-PLUGIN-disk", "disk"), ("7", "disk-check")],
)
def test_a_near_name_is_offered(tmp_path: Path, name: str, near: str) -> None:
    with pytest.raises(InputError) as caught:
        write_plugin(name, tmp_path)
    assert caught.value.remedy == f"for example: sealer plugin new {near}"


@pytest.mark.parametrize("name", ["step", "phase", "input-error", "plugin-type", "none", "true", "bad-data", "disk"])
def test_no_name_of_a_plugin_hides_what_its_package_imports(tmp_path: Path, name: str) -> None:
    target = write_plugin(name, tmp_path)
    module = ast.parse((target / f"src/sealer_plugin_{name.replace('-', '_')}/__init__.py").read_text())
    imported = {alias.name for node in module.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    [defined] = [node.name for node in module.body if isinstance(node, ast.ClassDef)]
    assert defined not in imported
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", target], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout.decode()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    write_plugin("disk", tmp_path)
    with pytest.raises(InputError, match="exists already"):
        write_plugin("disk", tmp_path)
    with pytest.raises(InputError, match="there is no directory"):
        write_plugin("disk", tmp_path / "missing")


@pytest.mark.parametrize(("type_name", "hooks"), [("lower", ()), ("", ("event",))])
def test_other_words_that_cannot_be(tmp_path: Path, type_name: str, hooks: tuple[str, ...]) -> None:
    with pytest.raises(InputError):
        write_plugin("disk", tmp_path, type_name=type_name, hooks=hooks)
