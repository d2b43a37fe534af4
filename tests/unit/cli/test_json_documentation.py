from __future__ import annotations

from pathlib import Path

import pytest

from sealer.cli.root import COMMANDS
from sealer.errors import Position, Problem
from sealer.events import Event, State

REFERENCE = Path(__file__).resolve().parents[3] / "docs" / "reference"
SAME = {"join": "scale-up"}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_json_of_every_command_is_described(name: str) -> None:
    headings = [line for line in (REFERENCE / "json-output.md").read_text().splitlines() if line.startswith("## ")]
    words = {word.strip("`,") for line in headings for word in line.split()}
    assert SAME.get(name, name) in words


def test_every_field_and_state_of_an_event_is_described() -> None:
    page = (REFERENCE / "events.md").read_text()
    rows = [line.split("|")[1].strip() for line in page.splitlines() if line.startswith("| `")]
    described = {word.strip("` ") for row in rows for word in row.split(",")}
    assert set(Event(State.INFO).as_json()) <= described
    assert {state.value for state in State} <= described


def test_a_problem_reads_as_the_page_says() -> None:
    page = (REFERENCE / "exit-status.md").read_text()
    problem = Problem(
        Position("Clusterfile", 12, 9),
        "spec.hosts[1].roles",
        "a host is a master or a node, not 'nodee'; did you mean 'node'?",
    )
    assert f"    {problem}\n" in page
