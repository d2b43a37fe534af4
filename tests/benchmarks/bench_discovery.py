"""How long `sealer discover` takes, the whole process: on 2,000 manifests, and on 5 MB of definitions of resources."""

# ruff: noqa: T201  # figures are its purpose

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

CORPUS = Path(__file__).parents[1] / "data" / "discovery" / "corpus"
ROUNDS = 5
FIELD = "          field{}:\n            description: {}\n            type: string\n"
DEFINITION = (
    "---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nspec:\n  versions:\n  - name: v1\n"
    "    schema:\n      openAPIV3Schema:\n        properties:\n"
)


def two_thousand(root: Path) -> None:
    manifests = [path.read_bytes() for path in sorted(CORPUS.rglob("*.yaml"))]
    for number in range(2000):
        directory = root / f"{number // 50}"
        directory.mkdir(exist_ok=True)
        (directory / f"{number}.yaml").write_bytes(manifests[number % len(manifests)])


def definitions(root: Path) -> None:
    one = DEFINITION + "".join(FIELD.format(number, "words about an image " * 4) for number in range(400))
    (root / "crds.yaml").write_text(one * (5_000_000 // len(one) + 1))


def items(root: Path) -> None:
    """The same as items of one List, so that it has to be parsed."""
    definitions(root)
    text = (root / "crds.yaml").read_text().replace("---\n", "  -\n").splitlines()
    indented = "\n".join(line if line == "  -" else f"    {line}" for line in text)
    (root / "crds.yaml").write_text(f"apiVersion: v1\nkind: List\nitems:\n{indented}\n")


@pytest.mark.parametrize("make", [two_thousand, definitions, items])
def test_discover(tmp_path: Path, make: object) -> None:
    assert callable(make)
    make(tmp_path)
    command = [sys.executable, "-m", "sealer", "discover", "--no-helm", str(tmp_path)]
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - begun)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files) / 1e6
    print(f"\ndiscover, {len(files)} files, {size:.1f} MB: {statistics.median(times):.2f} s (median of {ROUNDS})")
