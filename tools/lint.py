"""ruff, its formatter and mypy over the whole tree; all run, also after one failed. `lint.py mypy`: that one alone."""

from __future__ import annotations

import os
import subprocess
import sys

from install_all import ROOT, distributions

SCRIPTS = ("tools", "conftest.py", "docs/conf.py")


def main() -> int:
    """Run all of them; the status is 0 when none complains."""
    plugins = [path / "src" for path in distributions() if path != ROOT]
    packages = [str(package) for source in plugins for package in source.iterdir() if (package / "py.typed").exists()]
    search = os.pathsep.join(["core", *map(str, plugins), "tools", "tests/benchmarks", "tests/lab", "tests/peers"])
    python = sys.executable
    checks = [
        [python, "-m", "ruff", "check", "."],
        [python, "-m", "ruff", "format", "--check", "."],
        [python, "-m", "mypy", "core/sealer", *packages, *SCRIPTS],
        [python, "-m", "mypy", "tests"],
    ]
    if sys.argv[1:]:
        checks = [check for check in checks if check[2] in sys.argv[1:]]
    environment = os.environ | {"MYPYPATH": search}
    failed = [check for check in checks if subprocess.run(check, cwd=ROOT, env=environment, check=False).returncode]
    for check in failed:
        print("failed:", *check[2:5], file=sys.stderr)  # noqa: T201  # a script for people
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
