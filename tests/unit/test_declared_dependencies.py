"""A distribution declares what it imports: an installation has nothing else."""

from __future__ import annotations

import ast
import configparser
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DISTRIBUTIONS = [ROOT, *sorted(path.parent for path in ROOT.glob("*plugins/*/setup.cfg"))]
# Import name: distribution, where they differ. Python has `compression` itself since 3.14.
PACKAGES = {"yaml": "pyyaml", "isal": "isal", "backports": "backports.zstd", "compression": "backports.zstd"}


def declared(distribution: Path) -> set[str]:
    metadata = configparser.ConfigParser()
    metadata.read(distribution / "setup.cfg")
    requirements = metadata["options"].get("install_requires", "")
    extras = "\n".join(metadata["options.extras_require"].values()) if "options.extras_require" in metadata else ""
    lines = [line.strip() for line in f"{requirements}\n{extras}".splitlines() if line.strip()]
    return {line.split(">")[0].split("=")[0].split("<")[0].split("[")[0].strip().lower() for line in lines}


def imported(source: Path) -> dict[str, str]:
    """Top-level names of everything that is imported, with one file each."""
    found: dict[str, str] = {}
    for path in source.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            found |= {name.split(".")[0]: str(path.relative_to(source)) for name in names}
    return found


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=lambda path: path.name if path != ROOT else "sealer")
def test_imports_are_declared(distribution: Path) -> None:
    source = ROOT / "core" if distribution == ROOT else distribution / "src"
    own = {path.name for path in source.iterdir()}
    wanted = {
        PACKAGES.get(name, name).replace("_", "-").lower(): place
        for name, place in imported(source).items()
        if name not in sys.stdlib_module_names
        and name not in own
        and name != "_typeshed"  # known to type checkers alone
    }
    missing = {name: place for name, place in wanted.items() if name not in declared(distribution)}
    assert not missing
