"""The reference page has every kind and field, and its examples are right."""

import re
from pathlib import Path

import pytest

from sealer.clusterfile.environment import RESERVED
from sealer.clusterfile.kubeadm import KINDS
from sealer.clusterfile.reading import read
from sealer.clusterfile.shapes import ListOf, OneOf, Record, Shape
from sealer.clusterfile.tables import API_VERSIONS, DOCUMENTS
from sealer.phases import Phase

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "clusterfile.md"
TEXT = PAGE.read_text()
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)


def fields(shape: Shape) -> set[str]:
    """Every field below a shape."""
    if isinstance(shape, Record):
        return set(shape.fields).union(*(fields(field.shape) for field in shape.fields.values()))
    if isinstance(shape, ListOf):
        return fields(shape.item)
    return set().union(*map(fields, shape.shapes)) if isinstance(shape, OneOf) else set()


def section(kind: str) -> str:
    found = re.search(rf"^## {kind}\n(.*?)(?=^## |\Z)", TEXT, flags=re.MULTILINE | re.DOTALL)
    assert found, f"{PAGE.name} has no section about {kind}"
    return found[1]


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_every_field_is_described(kind: str) -> None:
    spec = DOCUMENTS[kind].fields["spec"].shape
    described = set(re.findall(r"`([\w.]+)(?:\[\])?`", section(kind)))
    described |= {part for name in described for part in name.split(".")}
    shared = fields(DOCUMENTS["Cluster"].fields["spec"].shape) if kind == "Infra" else set()
    missing = fields(spec) - described - (shared - set(getattr(spec, "fields", ())))
    assert not missing, f"{PAGE.name}, {kind}: {', '.join(sorted(missing))}"


@pytest.mark.parametrize(
    "word", [*API_VERSIONS, *Phase, *sorted(RESERVED), *(kind for kinds in KINDS.values() for kind in kinds)]
)
def test_every_word_is_named(word: str) -> None:
    assert f"`{word}`" in TEXT


def test_the_page_has_an_example_of_each_kind() -> None:
    assert {kind for text in EXAMPLES for kind in re.findall("^kind: (.*)$", text, flags=re.MULTILINE)} >= set(
        DOCUMENTS
    )


@pytest.mark.parametrize("text", EXAMPLES)
def test_the_examples_are_right(text: str) -> None:
    assert read(text).warnings == ()
