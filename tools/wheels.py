"""Builds the wheels of this tree and installs them into the environment that runs this: what users get, to be tested.

`wheels.py DIRECTORY [DISTRIBUTION...]`: the wheels are kept in the directory, and built again when a file of one
changed; all are installed, or those of the named directories. `wheels.py --offline DIRECTORY` puts the wheels of
others beside ours and installs them as on a site without internet, from the directory alone, into its `installed/`.

Everything is built from a copy: a build leaves directories that leak deleted modules into the next wheel.
"""

from __future__ import annotations

import configparser
import fcntl
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from install_all import CONSTRAINTS, ROOT, STAMP, distributions

DECLARATIONS = ("LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "setup.cfg")
LITTER = ("__pycache__", "*.py[co]", "*.egg-info", ".*_cache")
_BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_{}(sys.argv[1]))"


def run(*words: str | Path) -> None:
    """Run a module of this Python; it must succeed."""
    subprocess.run([sys.executable, "-m", *map(str, words)], check=True)


def package_directory(distribution: Path) -> Path:
    """Where the package of a distribution lies: `core` or `src` of it."""
    metadata = configparser.ConfigParser()
    metadata.read(distribution / "setup.cfg")
    return distribution / metadata["options"]["package_dir"].partition("=")[2].strip()


def copy(distributions: Iterable[Path], target: Path) -> list[Path]:
    """Copy what distributions are built from; gives their directories below `target`."""
    copies = []
    for distribution in distributions:
        made = target / distribution.relative_to(ROOT)
        source = package_directory(distribution)
        shutil.copytree(source, made / source.name, ignore=shutil.ignore_patterns(*LITTER))
        for name in DECLARATIONS:
            shutil.copy2(distribution / name, made / name)
        copies.append(made)
    return copies


def fingerprint(distributions: Iterable[Path]) -> str:
    """Changes with every file that distributions are built from, and with its mode."""
    digest = hashlib.sha256(sys.version.encode())
    with tempfile.TemporaryDirectory() as scratch:
        copy(distributions, Path(scratch))
        for path in sorted(path for path in Path(scratch).rglob("*") if path.is_file()):
            digest.update(f"{path.relative_to(scratch)}\0{path.stat().st_mode:o}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


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


def kept(directory: Path) -> tuple[dict[Path, Path], str]:
    """The wheel of every distribution of this tree, in its directory, and what changes with any of them.

    They are built when the directory has none, or those of other files; two who ask at once build them once.
    """
    everything = distributions()
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        current = fingerprint(everything)
        target = directory / current[:16]
        if not target.exists():
            draft = directory / "draft"
            for old in (path for path in directory.iterdir() if path.is_dir()):
                shutil.rmtree(old)
            with tempfile.TemporaryDirectory() as scratch:
                build_all("wheel", copy(everything, Path(scratch)), draft)
            draft.rename(target)
        wheels = {path.name.partition("-")[0].replace("_", "-"): path for path in target.glob("*.whl")}
    return {path: wheels["sealer" if path == ROOT else path.name] for path in everything}, current


def install(directory: Path, chosen: list[Path]) -> None:
    """Install the wheels of the chosen distributions, unless they are installed as they stand."""
    wheels, current = kept(directory)
    wanted = " ".join(["wheels", current, *(path.name for path in chosen)])
    if STAMP.exists() and STAMP.read_text() == wanted:
        return
    STAMP.unlink(missing_ok=True)
    again = [word for path in chosen for word in ("--reinstall-package", wheels[path].name.partition("-")[0])]
    files = [wheels[path] for path in chosen]
    run("uv", "pip", "install", "-q", "--python", sys.executable, "-c", CONSTRAINTS, *again, *files)
    STAMP.write_text(wanted)


def install_offline(target: Path) -> None:
    """Put wheels of all that sealer needs into a directory, and install from there alone."""
    shutil.rmtree(target, ignore_errors=True)
    with tempfile.TemporaryDirectory() as scratch:
        copies = copy(distributions(), Path(scratch))
        run("pip", "wheel", "-q", "--no-build-isolation", "-c", CONSTRAINTS, "--wheel-dir", target, *copies)
    names = [path.name for path in distributions() if path != ROOT]
    python = target / "installed"
    run("uv", "venv", "-q", "--python", sys.executable, python)
    offline = ("--no-index", "--find-links", target)
    run("uv", "pip", "install", "-q", "--python", python, *offline, "sealer[all]", *names)


def main() -> None:
    """See the module's documentation."""
    if sys.argv[1] == "--offline":
        install_offline(Path(sys.argv[2]))
    else:
        install(Path(sys.argv[1]), [(ROOT / name).resolve() for name in sys.argv[2:]] or distributions())


if __name__ == "__main__":
    main()
