"""How `sealer build` compares with buildah, on this machine, right now.

Run as root: python tests/benchmarks/image_build.py [--rounds N] [--megabytes N] [--directory DIR] [--json FILE]

Both build the same Kubefile, a COPY of programs and libraries of this machine, from scratch; then sealer builds it
again with nothing changed, and with the small file of the last line changed. The targets: at most 0.5 of buildah's
time; again in at most 0.6 seconds for the whole process; at most 64 MiB of memory more than `sealer version` needs.
"""

# ruff: noqa: T201  # a table is its purpose

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

SOURCES = (Path("/usr/bin"), Path("/usr/lib"))
SMALLEST = 100_000
KUBEFILE = "FROM scratch\nCOPY files /data\nCOPY last /last\n"
MEMORY = """
import sys
from pathlib import Path
from sealer.cli.entry import run
status = run(sys.argv[1:])
lines = Path("/proc/self/status").read_text().splitlines()
print(next(line.split()[1] for line in lines if line.startswith("VmHWM:")), file=sys.stderr)
sys.exit(status)
"""


def main() -> int:
    """Measure, print a table, and JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of all in turns; the median counts")
    parser.add_argument("--megabytes", type=int, default=216, help="what is copied")
    parser.add_argument("--directory", type=Path, help="where to work; default: the system's temporary directory")
    parser.add_argument("--json", type=Path, help="write the figures there; default: print them after the table")
    arguments = parser.parse_args()
    if os.geteuid() != 0 or not shutil.which("buildah"):
        print("this needs root, and buildah", file=sys.stderr)
        return 1
    print(f"{platform.platform()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} at the start")
    with tempfile.TemporaryDirectory(dir=arguments.directory) as directory:
        figures = measure(Path(directory), arguments.rounds, arguments.megabytes * 1_000_000)
    print_table(figures)
    print(f"load {os.getloadavg()[0]:.1f} at the end")
    text = json.dumps(figures, indent=2)
    if arguments.json:
        arguments.json.write_text(text + "\n")
    else:
        print(text)
    return 0


def measure(directory: Path, rounds: int, size: int) -> dict[str, float]:
    """All figures; times in seconds, sizes in bytes."""
    context = make_context(directory / "context", size)
    times: dict[str, list[float]] = {"buildah": [], "sealer": [], "again": [], "last line": []}
    for number in range(rounds):
        times["buildah"].append(timed(lambda: buildah(directory, context)))
        shutil.rmtree(directory / "home", ignore_errors=True)
        times["sealer"].append(timed(lambda: sealer(directory, context)))
        times["again"].append(timed(lambda: sealer(directory, context)))
        (context / "last").write_text(f"{number}")
        times["last line"].append(timed(lambda: sealer(directory, context)))
    medians = {name: statistics.median(values) for name, values in times.items()}
    ratios = [ours / theirs for ours, theirs in zip(times["sealer"], times["buildah"], strict=True)]
    idle = memory(directory, "version")
    shutil.rmtree(directory / "home")
    return {
        **{f"{name.replace(' ', '_')}_seconds": round(value, 3) for name, value in medians.items()},
        "again_seconds_worst": round(max(times["again"]), 3),
        "ratio_to_buildah": round(medians["sealer"] / medians["buildah"], 3),
        "ratio_to_buildah_worst": round(max(ratios), 3),
        "memory_mib_idle": round(idle, 1),
        "memory_mib_above_idle": round(memory(directory, "build", "-t", "app", str(context)) - idle, 1),
        "memory_mib_above_idle_again": round(memory(directory, "build", "-t", "app", str(context)) - idle, 1),
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


def timed(action: Callable[[], object]) -> float:
    """Seconds that an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def sealer(directory: Path, context: Path) -> None:
    """Build the context as a user does."""
    environment = {**os.environ, "SEALER_HOME": str(directory / "home")}
    command = [sys.executable, "-m", "sealer", "build", "-t", "app", str(context)]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)


def buildah(directory: Path, context: Path) -> None:
    """The same by buildah."""
    store = ["--root", str(directory / "buildah"), "--runroot", str(directory / "buildah-run")]
    command = ["buildah", *store, "bud", "--isolation", "chroot", "--no-cache", "--layers=false", "-t", "app"]
    subprocess.run([*command, "-f", str(context / "Kubefile"), str(context)], check=True, capture_output=True)


def memory(directory: Path, *arguments: str) -> float:
    """The most that sealer has in memory during a command, in MiB."""
    environment = {**os.environ, "SEALER_HOME": str(directory / "home")}
    command = [sys.executable, "-c", MEMORY, *arguments]
    result = subprocess.run(command, check=True, env=environment, capture_output=True, text=True)
    return int(result.stderr.split()[-1]) / 1024


def print_table(figures: dict[str, float]) -> None:
    """For people."""
    width = shutil.get_terminal_size().columns
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):<42}{value:>12,.3f}"[:width])


if __name__ == "__main__":
    sys.exit(main())
