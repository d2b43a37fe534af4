"""Checks that the fragments in `changelog.d/` make a changelog: one sentence each, of a known type."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from install_all import ROOT


def mistakes(root: Path = ROOT) -> list[str]:
    """What is wrong with the fragments of a tree."""
    settings = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["towncrier"]
    types = [entry["directory"] for entry in settings["type"]]
    found = []
    for path in sorted((root / "changelog.d").iterdir()):
        if path.name.startswith((".", "README")):
            continue
        if not re.fullmatch(rf"\+?[\w-]+\.({'|'.join(types)})\.md", path.name):
            found.append(f"{path.name}: a fragment is called +NAME.TYPE.md, TYPE being one of {', '.join(types)}")
        elif not path.read_text().strip():
            found.append(f"{path.name}: it is empty")
    return found


def main() -> int:
    """Check the names, then let towncrier make a draft."""
    found = mistakes()
    for mistake in found:
        print(mistake, file=sys.stderr)  # noqa: T201  # a script for people
    draft = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "next", "--date", "today"]
    made = subprocess.run(draft, cwd=ROOT, check=False, capture_output=True, text=True)
    if made.returncode:
        print(made.stdout, made.stderr, file=sys.stderr)  # noqa: T201
    return 1 if found or made.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
