"""Manifests as people write them: every image is found, and nothing else is.

`tests/data/discovery/expected.txt` says what the files of `corpus/` mention. It is written by people, from the files.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from sealer.image.discovery.discover import discover
from sealer.image.discovery.documents import decoded
from sealer.image.discovery.files import DirectoryFiles
from sealer.image.discovery.model import Discovery
from sealer.image.discovery.readers import Readers

DATA = Path(__file__).parents[3] / "data" / "discovery"
CORPUS = DATA / "corpus"
FILES = sorted(str(path.relative_to(CORPUS)) for path in CORPUS.rglob("*") if path.is_file())
FEWEST_SHAPES = 40


def expected() -> dict[str, set[str]]:
    """For each file its images, and `? LINE` for what cannot be resolved."""
    found: dict[str, set[str]] = defaultdict(set)
    for line in (DATA / "expected.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            path, _, what = line.partition(" ")
            found[path].add(what)
    return found


@pytest.fixture(scope="module")
def discovery() -> Discovery:
    return discover(DirectoryFiles(CORPUS), Readers().read)


@pytest.fixture(scope="module")
def found(discovery: Discovery) -> dict[str, set[str]]:
    by_file: dict[str, set[str]] = defaultdict(set)
    for one in discovery.images:
        for place in one.found:
            by_file[place.file].add(one.image)
    for unresolved in discovery.unresolved:
        by_file[unresolved.place.file].add(f"? {unresolved.place.line}")
    return by_file


def test_the_corpus_is_large_enough() -> None:
    assert len(FILES) >= FEWEST_SHAPES
    assert set(expected()) <= set(FILES)


def test_recall_is_complete_and_nothing_is_found_falsely(found: dict[str, set[str]]) -> None:
    wanted = {(path, what) for path, all_of_it in expected().items() for what in all_of_it}
    got = {(path, what) for path, all_of_it in found.items() for what in all_of_it}
    missed = [f"missed: {path}: {what}" for path, what in sorted(wanted - got)]
    false = [f"false: {path}: {what}" for path, what in sorted(got - wanted)]
    recall = 1 - len(missed) / len(wanted)
    assert not missed + false, "\n".join([f"recall {recall:.1%}, {len(false)} false positives", *missed, *false])


def test_places_lead_to_the_line(discovery: Discovery) -> None:
    """The line that is named has the image's name in it, or the tag it was put together from, or a variable."""
    wrong = []
    for one in discovery.images:
        name, _, tag = one.image.partition("@")[0].rpartition("/")[2].partition(":")
        for place in one.found:
            line = decoded((CORPUS / place.file).read_bytes()).splitlines()[place.line - 1]
            encoded = place.file.endswith("configmap-embedded.yaml") and "YXBpVmVyc2lvb" in line
            if (
                not any(word in line for word in (name, tag or name, "{{", "$("))
                and place.rule != "hub-tag"
                and not encoded
            ):
                wrong.append(f"{place}: {one.image}: {line.strip()[:80]}")
    assert not wrong, "\n".join(wrong)
