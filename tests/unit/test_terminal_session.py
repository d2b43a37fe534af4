"""The README's picture of a terminal session: it loads nothing, and its commands are ones that sealer takes."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import click
import pytest

from sealer.cli.app import App
from sealer.cli.root import root

ROOT = Path(__file__).resolve().parents[2]
TEXT = "{http://www.w3.org/2000/svg}text"


def _tool() -> ModuleType:
    specification = importlib.util.spec_from_file_location("terminal_session", ROOT / "tools" / "terminal_session.py")
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


tool = _tool()
PICTURE = (ROOT / "docs" / "session.svg").read_text()


def lines(picture: str) -> list[str]:
    """The lines of text in a picture."""
    return [element.text or "" for element in ElementTree.fromstring(picture).iter(TEXT)]


def test_the_picture_is_of_the_commands_of_the_script_and_loads_nothing() -> None:
    assert [line[2:] for line in lines(PICTURE) if line.startswith("$ ")] == list(tool.COMMANDS)
    assert re.findall(r"https?://[^\s\"]+", PICTURE) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"<script|<image|<foreignObject|@import|url\(|href", PICTURE)
    assert max(map(len, lines(PICTURE))) <= tool.COLUMNS
    assert "docs/session.svg" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("command", tool.COMMANDS)
def test_a_command_of_the_picture_is_there(command: str) -> None:
    with click.Context(root, obj=App()) as context:
        assert root.get_command(context, command.split()[1]) is not None


def test_what_was_printed_is_drawn_whole_and_as_text() -> None:
    said = "<b>&\n" + "x" * 200
    drawn = lines(tool.drawn([("sealer status", said)]))
    assert drawn[:2] == ["$ sealer status", "<b>&"]
    assert "".join(drawn[2:]) == "x" * 200
