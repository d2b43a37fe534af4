"""Tests on real hosts skip with one clear reason, and fail instead where they must run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SUITE = """
import os
import pytest

@pytest.mark.lab
def test_on_hosts():
    pass

@pytest.mark.lab
def test_on_hosts_too():
    pass

@pytest.mark.soak
def test_long():
    pass

def test_of_a_program():
    if os.environ.get("WHY_NOT"):
        pytest.skip(os.environ["WHY_NOT"])

def test_home():
    assert "pytest" in os.environ["SEALER_HOME"]
    assert "SEALER_PARALLEL" not in os.environ
"""


def run(directory: Path, *words: str, suite: str = "test_suite.py", **environment: str) -> str:
    (directory / "test_suite.py").write_text(SUITE)
    shutil.copy(ROOT / "conftest.py", directory)
    # Without programs on PATH no host can be booted, whoever runs this.
    outside = os.environ | {"PATH": "/nowhere", "SEALER_PARALLEL": "7"}
    for name in ("SEALER_REQUIRE_LAB", "SEALER_KUBERNETES_PAYLOAD"):
        outside.pop(name, None)
    configuration = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(directory)]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *configuration, *words]
    command += [str(directory / suite)] if suite else []
    return subprocess.run(command, env=outside | environment, check=False, capture_output=True, text=True).stdout


@pytest.fixture(autouse=True)
def programs_are_looked_for_on_path_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)


def test_lab_tests_skip_with_one_reason_and_soak_tests_are_left_out(tmp_path: Path) -> None:
    output = run(tmp_path)
    assert "2 passed, 2 skipped, 1 deselected" in output
    assert "SKIPPED [2]" in output
    assert "lab tests need" in output


def test_lab_tests_fail_where_they_must_run(tmp_path: Path) -> None:
    output = run(tmp_path, SEALER_REQUIRE_LAB="1")
    assert "2 passed, 1 deselected, 2 errors" in output
    assert "SEALER_REQUIRE_LAB is set, and lab tests need" in output


def test_soak_tests_run_when_asked_for(tmp_path: Path) -> None:
    assert "3 passed, 2 skipped" in run(tmp_path, "--soak")


def test_any_skip_is_a_failure_where_all_must_run(tmp_path: Path) -> None:
    assert "1 passed, 3 skipped" in run(tmp_path, WHY_NOT="fish is not installed")
    output = run(tmp_path, SEALER_REQUIRE_LAB="1", WHY_NOT="fish is not installed")
    assert "1 failed, 1 passed" in output
    assert "this test was skipped" in output
    assert "1 passed, 1 skipped" in run(tmp_path, SEALER_REQUIRE_LAB="1", WHY_NOT="this machine has no IPv6")


def test_without_a_payload_kubernetes_may_be_skipped_and_with_one_it_may_not(tmp_path: Path) -> None:
    why = "SEALER_KUBERNETES_PAYLOAD names no directory"
    assert "1 passed, 1 skipped" in run(tmp_path, SEALER_REQUIRE_LAB="1", WHY_NOT=why)
    output = run(tmp_path, SEALER_REQUIRE_LAB="1", WHY_NOT=why, SEALER_KUBERNETES_PAYLOAD="/nowhere")
    assert "1 failed, 1 passed" in output


STORY = """
import os
import pytest

pytestmark = pytest.mark.story

def test_begin():
    if os.environ["BEGIN"] == "skip":
        pytest.skip("SEALER_KUBERNETES_PAYLOAD names no directory")
    assert os.environ["BEGIN"] == "well"

@pytest.mark.parametrize("half", [1, 2])
def test_middle(half):
    assert half == 1 or os.environ["BEGIN"] == "well"

def test_end():
    pass
"""


def test_a_story_ends_where_one_of_its_tests_did_not_pass(tmp_path: Path) -> None:
    (tmp_path / "test_story.py").write_text(STORY)
    story = f"{tmp_path}/test_story.py"
    assert "4 passed" in run(tmp_path, story, BEGIN="well", suite="")
    output = run(tmp_path, story, BEGIN="fail", suite="")
    assert "1 failed, 3 skipped" in output
    assert "test_begin failed" in output
    assert "4 skipped" in run(tmp_path, story, BEGIN="skip", suite="", SEALER_REQUIRE_LAB="1")
    output = run(tmp_path, f"{story}::test_end", BEGIN="well", suite="", SEALER_REQUIRE_LAB="1")
    assert "1 error" in output
    assert "test_begin did not run; choose the whole file" in output


def test_in_two_processes_hosts_boot_beside_other_hosts(tmp_path: Path) -> None:
    """One process has all of Kubernetes, the other begins with the other hosts; then each takes file after file."""
    pytest.importorskip("xdist")
    ran = tmp_path / "ran"
    ran.mkdir()
    code = (
        "import os, pathlib, time, uuid, pytest\n"
        "@pytest.mark.parametrize('identifier', [f'{uuid.uuid4()} x'])\n"
        "@pytest.mark.parametrize('number', range(4))\n"
        "def test_it(number, identifier):\n"
        "    time.sleep(0.2)\n"
        f"    pathlib.Path({str(ran)!r}, f'NAME-{{number}}').write_text(os.environ['PYTEST_XDIST_WORKER'])\n"
    )
    for name in ("unit/a", "unit/b", "unit/c", "lab/d", "lab/e", "kubernetes/f", "kubernetes/g"):
        path = tmp_path / "tests" / name.replace("/", "/test_")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".py").write_text(code.replace("NAME", name[-1]))
    assert "28 passed" in run(tmp_path, "-n", "2", suite="tests")
    workers = {name: {(ran / f"{name}-{number}").read_text() for number in range(4)} for name in "abcdefg"}
    assert all(len(found) == 1 for found in workers.values())
    assert workers["f"] == workers["g"] != workers["d"] == workers["e"]


def test_without_a_payload_every_test_of_kubernetes_is_skipped() -> None:
    """Before any host is booted, so soon: whoever adds a test need not think of it."""
    environment = {name: value for name, value in os.environ.items() if name != "SEALER_KUBERNETES_PAYLOAD"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--soak", "tests/kubernetes"]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    assert re.search(r"^\d+ skipped in ", done.stdout.splitlines()[-1]), done.stdout
    assert "SEALER_KUBERNETES_PAYLOAD names no directory" in done.stdout or "lab tests need" in done.stdout
