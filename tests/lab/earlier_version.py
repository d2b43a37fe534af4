"""The version of sealer before this one, in an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EARLIER = "97d22c8"  # the last commit of 0.1
PATIENCE = 600  # seconds, of one command


@dataclass(frozen=True)
class EarlierVersion:
    """An environment with that version.

    :param program: its `sealer`.
    """

    program: Path

    def sealer(self, home: Path, *words: str) -> str:
        """Run it to its end, as a user of it does."""
        done = subprocess.run(
            [self.program, *words],
            env={**_environment(), "SEALER_HOME": str(home), "KUBECONFIG": str(home / "kubeconfig")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, f"sealer {' '.join(words)} of {EARLIER}: {done.returncode}\n{done.stdout}"
        return done.stdout


def installed(directory: Path) -> EarlierVersion:
    """Installed as its developers did, editable: its wheels lack scripts.

    :param directory: an empty one, that its tree and its environment come to.
    """
    tree, environment = _source(directory), directory / "environment"
    python, uv = environment / "bin/python", (sys.executable, "-m", "uv")

    def install(*words: str) -> None:
        head = [*uv, "pip", "install", "-q", "--python", str(python), "-c", str(tree / "constraints.txt")]
        subprocess.run([*head, *words], check=True, timeout=600, env=_environment())

    make = [*uv, "venv", "-q", "--python", sys.executable, str(environment)]
    subprocess.run(make, check=True, timeout=300, env=_environment())
    install("setuptools")
    packages = [tree, *sorted(path.parent for path in tree.glob("builtin_plugins/*/setup.cfg"))]
    install("--no-build-isolation", *(word for path in packages for word in ("-e", str(path))))
    return EarlierVersion(environment / "bin/sealer")


def _source(directory: Path) -> Path:
    """The tree of that version, from this repository's history."""
    if not (ROOT / ".git").exists():
        pytest.skip(f"this machine has no history of sealer: {ROOT} is no repository")
    known = ["git", "-C", str(ROOT), "cat-file", "-e", f"{EARLIER}^{{commit}}"]
    if subprocess.run(known, check=False, capture_output=True).returncode:
        pytest.skip(f"{ROOT} has not the commit {EARLIER}: fetch the whole history (git fetch --unshallow)")
    tree = directory / "tree"
    tree.mkdir()
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", EARLIER], check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", str(tree)], input=archive, check=True)
    return tree


def _environment() -> dict[str, str]:
    """Without what would make it import this version."""
    return {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
