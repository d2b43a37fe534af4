"""How `sealer build` compares with buildah, on this machine, right now.

Run as root: python tests/benchmarks/image_build.py [--rounds N] [--megabytes N] [--directory DIR] [--json FILE]

Both build the same Kubefile, a COPY of programs and libraries of this machine, from scratch; then sealer builds it
again with nothing changed, and with the small file of the last line changed. The targets: at most 0.5 of buildah's
time; again in at most 0.6 seconds for the whole process; at most 120 MB of memory.
"""

# ruff: noqa: T201  # a table is its purpose

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from measuring import SEALER, Run, keep, machine, median, ratio, run, show

SOURCES = (Path("/usr/bin"), Path("/usr/lib"))
SMALLEST = 100_000
KUBEFILE = "FROM scratch\nCOPY files /data\nCOPY last /last\n"


def main() -> int:
    """Measure, print a table, and JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of all in turns; the median counts")
    parser.add_argument("--megabytes", type=int, default=216, help="what is copied")
    parser.add_argument("--directory", type=Path, help="where to work; default: the system's temporary directory")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    arguments = parser.parse_args()
    if os.geteuid() != 0 or not shutil.which("buildah"):
        print("this needs root, and buildah", file=sys.stderr)
        return 1
    print(machine())
    with tempfile.TemporaryDirectory(dir=arguments.directory) as directory:
        figures = measure(Path(directory), arguments.rounds, arguments.megabytes * 1_000_000)
    show(figures)
    print(machine())
    keep(figures, arguments.json)
    return 0


def measure(directory: Path, rounds: int, size: int) -> dict[str, float]:
    """All figures: seconds, and megabytes of memory."""
    context = make_context(directory / "context", size)
    runs: dict[str, list[Run]] = {"buildah": [], "sealer": [], "again": [], "last line": []}
    for number in range(rounds):
        runs["buildah"].append(buildah(directory, context))
        shutil.rmtree(directory / "home", ignore_errors=True)
        runs["sealer"].append(sealer(directory, context))
        runs["again"].append(sealer(directory, context))
        (context / "last").write_text(f"{number}")
        runs["last line"].append(sealer(directory, context))
    idle = run([SEALER, "version"]).megabytes
    return {
        **{f"{name}: s": median(each) for name, each in runs.items()},
        "again, worst round: s": max(one.seconds for one in runs["again"]),
        "of buildah's time": ratio(runs["sealer"], runs["buildah"]),
        "of buildah's time, worst round": max(
            ours.seconds / theirs.seconds for ours, theirs in zip(runs["sealer"], runs["buildah"], strict=True)
        ),
        "version: MB of memory": idle,
        **{f"{name}: MB of memory": max(one.megabytes for one in each) for name, each in runs.items()},
    }


def make_context(context: Path, size: int) -> Path:
    """A build context with so many bytes of this machine's programs and libraries."""
    (context / "files").mkdir(parents=True)
    (context / "Kubefile").write_text(KUBEFILE)
    (context / "last").write_text("")
    left = size
    for number, file in enumerate(programs()):
        content = file.read_bytes()[:left]
        target = context / "files" / f"{number:05}-{file.name}"
        target.write_bytes(content)
        target.chmod(0o755)
        left -= len(content)
        if not left:
            return context
    raise RuntimeError(f"this machine has no {size} bytes of programs")


def programs() -> Iterator[Path]:
    """Regular files below :data:`SOURCES` that are worth it, sorted."""
    for source in SOURCES:
        for file in sorted(source.rglob("*")):
            if file.is_file() and not file.is_symlink() and file.stat().st_size >= SMALLEST:
                yield file


def sealer(directory: Path, context: Path) -> Run:
    """Build the context as a user does."""
    return run([SEALER, "build", "-t", "app", context], {"SEALER_HOME": str(directory / "home")})


def buildah(directory: Path, context: Path) -> Run:
    """The same by buildah."""
    store: list[str | Path] = ["--root", directory / "buildah", "--runroot", directory / "buildah-run"]
    command = ["buildah", *store, "bud", "--isolation", "chroot", "--no-cache", "--layers=false", "-t", "app"]
    return run([*command, "-f", context / "Kubefile", context])


if __name__ == "__main__":
    sys.exit(main())
