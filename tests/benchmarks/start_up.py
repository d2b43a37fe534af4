"""How long sealer takes to start: the time of whole processes, of the command that is installed beside this Python.

Run: python tests/benchmarks/start_up.py [--runs N]. The targets: `sealer version` within 0.12 s, `sealer --help` within
0.25 s.
"""

# ruff: noqa: T201  # a table is its purpose

from __future__ import annotations

import argparse
import sys

from measuring import SEALER, machine, median, run

TARGETS = {"version": 0.12, "--help": 0.25}
BESIDE = ("run --help", "images", "plugin list")  # no target, but a person waits for them


def main() -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=15, help="of each command; the median counts")
    runs = parser.parse_args().runs
    print(f"{'':<24}{'median':>10}{'slowest':>10}{'target':>10}")
    for words in (*TARGETS, *BESIDE):
        each = [run([SEALER, *words.split()]) for _ in range(runs + 1)][1:]  # the first one may compile modules
        target = f"{TARGETS[words]:.2f} s" if words in TARGETS else ""
        print(f"{'sealer ' + words:<24}{median(each):>8.3f} s{max(one.seconds for one in each):>8.3f} s{target:>10}")
    print(machine())
    return 0


if __name__ == "__main__":
    sys.exit(main())
