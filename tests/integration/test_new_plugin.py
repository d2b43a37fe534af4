"""`sealer plugin new`, `pip install`, and the type is there: what SPEC promises to authors."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

Sealer = Callable[..., subprocess.CompletedProcess[str]]
CLUSTERFILE = """\
apiVersion: sealer.io/v2
kind: Cluster
metadata:
  name: authors
spec:
  image: authors:v1
  dataRoot: {data}
  transport: local
  ssh:
    authorizeKey: false
  hosts:
  - ips: [127.0.0.1]
    roles: [master]
---
apiVersion: sealer.io/v2
kind: Plugin
metadata:
  name: check
spec:
  type: DISK_CHECK
  data: |
    hello
"""


def run(*command: str | Path, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SEALER_", "PYTHON"))}
    environment["SEALER_HOME"] = str(cwd / "home")
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0 or not check, done.stdout + done.stderr
    return done


def installer(python: Path) -> list[str | Path]:
    """Installs into the environment of `python`, without asking an index."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "--python", python, "install", "-q"]
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    assert uv, "neither pip nor uv is here to install with"
    return [uv, "pip", "install", "-q", "--offline", "--python", python]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("author")


@pytest.fixture(scope="module")
def python(place: Path) -> Path:
    """The interpreter of a fresh virtual environment that also sees what this one has."""
    home = place / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=place)
    [site] = home.glob("lib/python*/site-packages")
    # addsitedir, unlike a plain path, also reads the .pth files there: those of editable installs.
    (site / "outer.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    return home / "bin" / "python"


@pytest.fixture(scope="module")
def sealer(place: Path, python: Path) -> Sealer:
    def call(*arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        return run(python, "-m", "sealer", *arguments, cwd=place, check=check)

    return call


@pytest.fixture(scope="module")
def package(place: Path, sealer: Sealer) -> Path:
    """The package of a new plugin, not installed yet."""
    sealer("plugin", "new", "disk-check", "--hook", "pre_init")
    return place / "sealer-plugin-disk-check"


@pytest.fixture(scope="module")
def installed(place: Path, python: Path, package: Path, sealer: Sealer) -> Path:
    """The same, installed."""
    assert sealer("plugin", "show", "disk-check", check=False).returncode == 2
    run(*installer(python), "--no-deps", "--no-build-isolation", package, cwd=place)
    return package


def test_its_own_test_passes_without_an_installation(place: Path, python: Path, package: Path) -> None:
    tested = run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", package, cwd=place)
    assert " passed" in tested.stdout


@pytest.mark.usefixtures("installed")
def test_it_is_seen_as_soon_as_it_is_installed(sealer: Sealer) -> None:
    shown = json.loads(sealer("plugin", "show", "disk-check", "--output", "json").stdout)["plugin"]
    assert shown["status"] == "enabled"
    assert [one["name"] for one in shown["types"]] == ["DISK_CHECK"]
    assert shown["hooks"] == ["pre_init"]


@pytest.mark.usefixtures("installed")
def test_its_type_is_understood_and_checked(place: Path, sealer: Sealer) -> None:
    clusterfile = place / "Clusterfile.checked"
    clusterfile.write_text(CLUSTERFILE.format(data="/var/lib/sealer"))
    assert sealer("validate", "-f", clusterfile).returncode == 0
    clusterfile.write_text(CLUSTERFILE.format(data="/var/lib/sealer").replace("hello", ""))
    refused = sealer("validate", "-f", clusterfile, check=False)
    assert refused.returncode == 2
    assert "a text is expected" in refused.stdout + refused.stderr


@pytest.mark.lab
@pytest.mark.usefixtures("installed")
def test_its_type_and_its_hook_run(place: Path, sealer: Sealer) -> None:
    (place / "context").mkdir()
    (place / "context" / "Kubefile").write_text("FROM scratch\nCOPY Kubefile Kubefile\n")
    data, clusterfile = place / "data", place / "Clusterfile"
    clusterfile.write_text(CLUSTERFILE.format(data=data))
    sealer("build", "-t", "authors:v1", place / "context")
    applied = sealer("apply", "-f", clusterfile, "--yes")
    assert "disk-check: phase PreInit of cluster authors" in applied.stdout + applied.stderr
    assert (data / "data/authors/rootfs/disk-check.txt").read_text() == "hello\n"
    sealer("delete", "--all", "--name", "authors", "--yes")
    assert not data.exists()
