"""Builds every distribution, and installs them as on a site without internet: from a directory of wheels alone.

The tree is copied first: a build in place would leave directories that leak deleted modules into the next wheel.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from install_all import ROOT, distributions

LITTER = shutil.ignore_patterns(
    "build", "dist", "*.egg-info", ".tox", ".venv", ".git", "__pycache__", ".*_cache", "_build"
)
_BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_{}(sys.argv[1]))"


def run(*words: str | Path) -> None:
    """Run a module of this Python; it must succeed."""
    subprocess.run([sys.executable, "-m", *map(str, words)], check=True)


def build(kind: str, source: Path, target: Path) -> Path:
    """Build a distribution with the setuptools of this Python; what that leaves in `source` is the caller's.

    :param kind: `wheel` or `sdist`.
    :param source: the distribution's directory.
    :param target: directory that takes the built file.
    :raises SystemExit: the build failed, with its output.
    """
    target.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", _BUILD.format(kind), str(target.resolve())]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the {kind} of {source} cannot be built:\n{done.stdout}{done.stderr}")
    return target / done.stdout.splitlines()[-1]


def build_all(kind: str, sources: Iterable[Path], target: Path) -> list[Path]:
    """Build several distributions, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda source: build(kind, source, target), sources))


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
