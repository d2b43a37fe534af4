"""sealer as a user types it, with a home, and with files of docker, of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PASSWORD = "ein langes Geheimnis"


class Shell:
    """Runs sealer with a home, and with files of docker, of its own."""

    def __init__(self, directory: Path) -> None:
        self.home = directory / "home"
        self.docker = directory / "docker"
        self.docker.mkdir()
        self.variables = {
            "SEALER_HOME": str(self.home),
            "DOCKER_CONFIG": str(self.docker),
            "HOME": str(directory),
            "XDG_RUNTIME_DIR": str(directory),
        }

    def __call__(self, *arguments: str, status: int = 0, stdin: str = "") -> str:
        result = subprocess.run(
            [sys.executable, "-m", "sealer", *arguments],
            env={**os.environ, **self.variables},
            check=False,
            capture_output=True,
            text=True,
            input=stdin,
        )
        assert result.returncode == status, result.stdout + result.stderr
        assert "Traceback" not in result.stderr
        assert PASSWORD not in result.stdout + result.stderr
        return result.stdout + result.stderr

    def json(self, *arguments: str, stdin: str = "") -> dict[str, object]:
        value = json.loads(self("--output", "json", *arguments, stdin=stdin).splitlines()[-1])
        assert value["apiVersion"] == "sealer.io/cli/v1"
        assert isinstance(value, dict)
        return value
