"""Every command and every option is described, on its help page and in the reference."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import click
import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "commands.md"


def _reference() -> ModuleType:
    specification = importlib.util.spec_from_file_location("command_reference", ROOT / "tools" / "command_reference.py")
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


reference = _reference()
COMMANDS: dict[str, click.Command] = dict(reference.commands())


def sections() -> dict[str, str]:
    """The reference page's text of each command."""
    found = re.split(r"^## sealer (.+)$", PAGE.read_text(), flags=re.MULTILINE)
    return dict(zip(found[1::2], found[2::2], strict=True))


def test_the_page_has_the_commands_that_there_are() -> None:
    assert list(sections()) == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_and_its_options_are_described(name: str) -> None:
    command, text = COMMANDS[name], sections()[name]
    assert command.help, f"'sealer {name}' has no help text"
    if "The same as" in text:
        return
    for option in reference.shown(command):
        assert option.help, f"'sealer {name}' does not say what {option.opts[-1]} is"
        for word in option.opts:
            assert f"`{word}`" in text, f"{PAGE.name} lacks {word} of 'sealer {name}'; run tools/command_reference.py"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == reference.page(), "run: python tools/command_reference.py"


def test_every_variable_is_described() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "core" / "sealer").rglob("*.py"))
    read = set(re.findall(r"(?<![\w$])SEALER_[A-Z]+(?:_[A-Z]+)*(?![\w])", sources)) - {"SEALER_CONTRACT_VARIABLE"}
    assert read == set(re.findall(r"`(SEALER_\w+)`", PAGE.read_text()))
