"""What tests of the command line share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CLUSTERFILE = """\
apiVersion: sealer.io/v2
kind: Cluster
metadata: {{name: here}}
spec:
  image: demo:1
  dataRoot: {data}
  hosts: [{{ips: [127.0.0.1], roles: [master]}}]
"""


class Here:
    """A cluster named `here` that is this machine; its init.sh and check.sh fail while there is a file `broken`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.broken = directory / "broken"
        self.data = directory / "data"
        scripts = directory / "context/scripts"
        scripts.mkdir(parents=True)
        for name in ("init", "check"):
            (scripts / f"{name}.sh").write_text(f"#!/bin/sh\n[ ! -e {self.broken} ] || {{ echo broken; exit 3; }}\n")
        (directory / "Kubefile").write_text("FROM scratch\nCOPY . .\nCMD true\n")
        (directory / "Clusterfile").write_text(CLUSTERFILE.format(data=self.data))
        self("build", "-t", "demo:1", "-f", str(directory / "Kubefile"), str(directory / "context"))

    def __call__(self, *words: str, status: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "sealer", *words],
            env={**os.environ, "SEALER_HOME": str(self.directory / "home"), "COLUMNS": "140", **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done

    def json(self, *words: str, status: int = 0) -> dict[str, Any]:
        lines = self(*words, "--output", "json", status=status).stdout.splitlines()
        found: dict[str, Any] = json.loads(lines[0])
        return found

    def apply(self, status: int = 0) -> None:
        self("apply", "-f", str(self.directory / "Clusterfile"), status=status)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Here]:
    if os.geteuid() != 0:
        pytest.skip("commands run as root, so the test must too")
    made = Here(tmp_path)
    yield made
    made.broken.unlink(missing_ok=True)
    if (tmp_path / "home/clusters/here").exists():
        made("delete", "--all", "--name", "here", "--yes", "--force")
