"""How long `sealer discover` takes, the whole process: on 2,000 manifests, and on 5 MB of definitions of resources.

Run: python tests/benchmarks/image_discovery.py
"""

# ruff: noqa: T201  # figures are its purpose

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from measuring import SEALER, machine, median, run

CORPUS = Path(__file__).parents[1] / "data" / "discovery" / "corpus"
ROUNDS = 5
FIELD = "          field{}:\n            description: {}\n            type: string\n"
DEFINITION = (
    "---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nspec:\n  versions:\n  - name: v1\n"
    "    schema:\n      openAPIV3Schema:\n        properties:\n"
)


def two_thousand(root: Path) -> None:
    """As many manifests."""
    manifests = [path.read_bytes() for path in sorted(CORPUS.rglob("*.yaml"))]
    for number in range(2000):
        directory = root / f"{number // 50}"
        directory.mkdir(exist_ok=True)
        (directory / f"{number}.yaml").write_bytes(manifests[number % len(manifests)])


def definitions(root: Path) -> None:
    """5 MB of documents that mention no image."""
    one = DEFINITION + "".join(FIELD.format(number, "words about an image " * 4) for number in range(400))
    (root / "crds.yaml").write_text(one * (5_000_000 // len(one) + 1))


def items(root: Path) -> None:
    """The same as items of one List, so that it has to be parsed."""
    definitions(root)
    text = (root / "crds.yaml").read_text().replace("---\n", "  -\n").splitlines()
    indented = "\n".join(line if line == "  -" else f"    {line}" for line in text)
    (root / "crds.yaml").write_text(f"apiVersion: v1\nkind: List\nitems:\n{indented}\n")


def measure(make: Callable[[Path], None], root: Path) -> None:
    """Print the time that one tree takes."""
    make(root)
    runs = [run([SEALER, "discover", "--no-helm", root]) for _ in range(ROUNDS + 1)][
        1:
    ]  # the first may compile modules
    files = [path for path in root.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files) / 1e6
    name = make.__name__.replace("_", " ")
    print(f"discover, {name}, {len(files)} files, {size:.1f} MB: {median(runs):.2f} s (median of {ROUNDS})")


def main() -> None:
    """Measure each tree."""
    for make in (two_thousand, definitions, items):
        with tempfile.TemporaryDirectory() as root:
            measure(make, Path(root))
    print(machine())


if __name__ == "__main__":
    main()
