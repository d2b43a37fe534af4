from __future__ import annotations

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
