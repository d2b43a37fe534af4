"""Tests on real hosts skip with one clear reason, and fail instead where they must run."""

from __future__ import annotations

import os
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


def run(directory: Path, *words: str, **environment: str) -> str:
    (directory / "test_suite.py").write_text(SUITE)
    shutil.copy(ROOT / "conftest.py", directory)
    # Without programs on PATH no host can be booted, whoever runs this.
    outside = os.environ | {"PATH": "/nowhere", "SEALER_PARALLEL": "7"}
    for name in ("SEALER_REQUIRE_LAB", "SEALER_KUBERNETES_PAYLOAD"):
        outside.pop(name, None)
    configuration = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(directory)]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *configuration, *words, str(directory)]
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
