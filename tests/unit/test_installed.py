"""Tests run on what users get: wheels, installed. tox's `dev`, and a developer without tox, may have it editable."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from importlib.metadata import distributions
from pathlib import Path

import sealer

ROOT = Path(__file__).resolve().parents[2]
SITE = Path(sysconfig.get_path("purelib")).resolve()
EDITABLE = ("dev", "lint")
ENVIRONMENT = os.environ.get("TOX_ENV_NAME", EDITABLE[0])


def editable(site: Path) -> list[str]:
    """The distributions of ours that a directory has, whose modules lie elsewhere."""
    found = distributions(path=[str(site)])
    return sorted(
        one.metadata["Name"]
        for one in found
        if one.metadata["Name"].startswith("sealer")
        and not any(
            file.name == "__init__.py" and Path(str(file.locate())).resolve().is_relative_to(site)
            for file in one.files or ()
        )
    )


def test_the_tests_run_on_wheels() -> None:
    if ENVIRONMENT in EDITABLE:
        assert SITE.name == "site-packages"
        return
    assert editable(SITE) == []
    assert Path(sealer.__file__).resolve().is_relative_to(SITE)
    # Also what a test starts, and from the tree's own directory, which Python searches first.
    command = [sys.executable, "-c", "import sealer; print(sealer.__file__)"]
    started = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    assert Path(started).resolve() == Path(sealer.__file__).resolve()


def test_an_editable_installation_is_noticed(tmp_path: Path) -> None:
    for name, file in (("sealer", "sealer/__init__.py"), ("sealer-plugin-x", "__editable__.sealer_plugin_x.pth")):
        info = tmp_path / f"{name.replace('-', '_')}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        (info / "RECORD").write_text(f"{file},,\n{info.name}/METADATA,,\n")
    assert editable(tmp_path) == ["sealer-plugin-x"]
