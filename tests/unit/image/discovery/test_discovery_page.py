"""docs/reference/discovery.md has every rule, and the corpus and the charts have an example of each."""

from __future__ import annotations

import re
from pathlib import Path

from sealer.image.discovery.discover import discover
from sealer.image.discovery.files import DirectoryFiles
from sealer.image.discovery.readers import Readers

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs" / "reference" / "discovery.md").read_text()
TABLE = PAGE.partition("## Rules")[2].partition("## Variables")[0]
# Seen in tests of their own: with a helm, with lists on the command line, with a file of 16 MiB.
ELSEWHERE = {"helm", "given", "too-large"}


def documented() -> set[str]:
    rows = [line.split("|")[1] for line in TABLE.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall("`([^`]+)`", row)}


def test_every_rule_is_documented_and_has_an_example() -> None:
    found = discover(DirectoryFiles(ROOT / "tests" / "data" / "discovery"), Readers().read)
    seen = {place.rule for one in found.images for place in one.found} | {one.place.rule for one in found.unresolved}
    assert seen == documented() - ELSEWHERE
