"""Kubernetes on real hosts. All of it comes from a directory that `SEALER_KUBERNETES_PAYLOAD` names, laid out as
`sealer kubernetes base --from` takes it; without one these tests are skipped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PAYLOAD = "SEALER_KUBERNETES_PAYLOAD"
BUILDING = 300  # seconds


@pytest.fixture(scope="session")
def payload() -> Path:
    """The directory with programs and container images."""
    directory = os.environ.get(PAYLOAD, "")
    if not directory:
        pytest.skip(f"{PAYLOAD} names no directory with bin, cni and images of a Kubernetes")
    path = Path(directory)
    assert (path / "bin" / "kubeadm").is_file(), f"{PAYLOAD} is {directory}, which has no bin/kubeadm"
    return path


@pytest.fixture(scope="session", autouse=True)
def _no_test_without_a_payload(payload: Path) -> None:
    """For every test of this directory, before it boots hosts or waits for what an earlier one would have made."""


@pytest.fixture(scope="session")
def base_home(payload: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of sealer with the base image `kubernetes:base`, built once."""
    home = tmp_path_factory.mktemp("base-home")
    subprocess.run(
        [sys.executable, "-m", "sealer", "kubernetes", "base", "--from", str(payload), "-t", "kubernetes:base"],
        env={**os.environ, "SEALER_HOME": str(home)},
        check=True,
        capture_output=True,
        timeout=BUILDING,
    )
    return home


@pytest.fixture(scope="session")
def base_context(payload: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the base image, as somebody would edit them."""
    directory = tmp_path_factory.mktemp("base")
    command = ["kubernetes", "base", "--from", str(payload), "--output-context", str(directory / "context")]
    subprocess.run(
        [sys.executable, "-m", "sealer", *command],
        env={**os.environ, "SEALER_HOME": str(directory / "home")},
        check=True,
        capture_output=True,
        timeout=BUILDING,
    )
    return directory / "context"
