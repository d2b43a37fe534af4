"""Builds every distribution, and installs them as on a site without internet: from a directory of wheels alone.

The tree is copied first: a build in place would leave directories that leak deleted modules into the next wheel.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from install_all import ROOT, distributions

LITTER = shutil.ignore_patterns("build", "dist", "*.egg-info", ".tox", ".git", "__pycache__", ".*_cache", "_build")


def run(*words: str | Path) -> None:
    """Run a module of this Python; it must succeed."""
    subprocess.run([sys.executable, "-m", *map(str, words)], check=True)


def main() -> None:
    """Build into the directory that is named, wheels of others beside ours; install into its `installed/`."""
    target = Path(sys.argv[1])
    shutil.rmtree(target, ignore_errors=True)
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "tree"
        shutil.copytree(ROOT, copy, ignore=LITTER, symlinks=True)
        copies = [copy / path.relative_to(ROOT) for path in distributions()]
        run("pip", "wheel", "-q", "--no-build-isolation", "--wheel-dir", target, *copies)
    names = [path.name for path in distributions() if path != ROOT]
    environment = target / "installed"
    run("uv", "venv", "-q", "--python", sys.executable, environment)
    run(
        "uv",
        "pip",
        "install",
        "-q",
        "--python",
        environment,
        "--no-index",
        "--find-links",
        target,
        "sealer[all]",
        *names,
    )


if __name__ == "__main__":
    main()
