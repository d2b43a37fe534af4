"""What the documentation shows is right: its commands exist, its Clusterfiles are read, its Python compiles."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from sealer.cli.app import App
from sealer.cli.options import GLOBAL_OPTIONS
from sealer.cli.root import root
from sealer.clusterfile.reading import read
from sealer.kubefile import parse
from sealer.kubefile.instructions import OF_DOCKERFILES, READERS

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*plugins/*/README.md"))]


@dataclass(frozen=True)
class Block:
    """A block of code on a page; `line` is the one of its first line."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks() -> Iterator[Block]:
    for path in PAGES:
        page = str(path.relative_to(ROOT))
        text = path.read_text()
        fenced = list(re.finditer(r"^```(\w*)[^\n]*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
        for match in fenced:
            yield Block(page, text.count("\n", 0, match.start(2)) + 1, match[1], match[2])
        outside = re.sub(r"^```.*?^```$", lambda match: re.sub(r"[^\n]", "", match[0]), text, flags=re.M | re.S)
        for match in re.finditer(r"(?<=\n\n)(?: {4}[^\n]*\n)+", outside):
            yield Block(page, outside.count("\n", 0, match.start()) + 1, "", re.sub("^    ", "", match[0], flags=re.M))


BLOCKS = list(blocks())
COMMAND = re.compile(r"^(?:[#$] )?(sealer [^\n]*(?:\\\n[^\n]*)*)", re.MULTILINE)
COMMAND_LINES = [
    pytest.param(match[1].replace("\\\n", " "), id=f"{block}:{match[1].split(chr(10))[0][:40]}")
    for block in BLOCKS
    if block.language in ("", "sh", "console", "bash", "text")
    for match in COMMAND.finditer(block.text)
]
KIND = re.compile(r"^kind: (Cluster|Config|Plugin|Infra)$", re.MULTILINE)
CLUSTERFILES = [block for block in BLOCKS if block.language == "yaml" and KIND.search(block.text)]
KUBEFILES = [block for block in BLOCKS if block.language == "dockerfile"]
_NAMES = re.compile(r"`([A-Z]+) ")
SOURCES = [block for block in BLOCKS if block.language == "python" and ">>>" not in block.text]


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_a_command_line_names_a_command_and_its_options(line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    with click.Context(root, info_name="sealer", obj=App()) as context:
        command: click.Command = root
        while isinstance(command, click.Group) and words and not words[0].startswith("-"):
            name = words.pop(0)
            if name in ("COMMAND", "...") or name.startswith("["):
                return
            found = command.get_command(context, name)
            assert found, f"there is no command '{name}'"
            command = found
    known = {word for option in command.params for word in (*option.opts, *option.secondary_opts)}
    known |= {word for option in GLOBAL_OPTIONS for word in option.opts} | {"-h", "--help"}
    before_arguments = words[: words.index("--")] if "--" in words else words
    for word in before_arguments:
        if word.startswith("-") and word != "-":
            assert word.split("=")[0] in known, f"'{word}' is no option of '{command.name}'"


@pytest.mark.parametrize("block", CLUSTERFILES, ids=str)
def test_a_clusterfile_is_read_without_a_mistake(block: Block) -> None:
    understood = read(block.text, file=str(block), plugin_types=App().plugins.plugin_types())
    assert understood.cluster or understood.plugins or understood.configs


@pytest.mark.parametrize("block", KUBEFILES, ids=str)
def test_a_kubefile_is_read_without_a_mistake(block: Block) -> None:
    assert not parse(block.text, str(block)).warnings


def test_every_instruction_has_its_row_in_the_reference() -> None:
    text = (ROOT / "docs" / "reference" / "kubefile.md").read_text()
    described = {match[1] for row in re.findall(r"^\| (`.*)$", text, re.MULTILINE) for match in _NAMES.finditer(row)}
    assert set(READERS) <= described
    assert not described & set(OF_DOCKERFILES)


def test_python_compiles() -> None:
    for block in SOURCES:
        compile(block.text, str(block), "exec", ast.PyCF_ONLY_AST)


def test_the_pages_have_examples() -> None:
    assert len(COMMAND_LINES) > 3
    assert CLUSTERFILES
    assert len(KUBEFILES) > 3


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_files_of_this_tree_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), target


def test_the_tutorial_has_every_part_of_the_demo_in_its_order() -> None:
    demo = (ROOT / "docs" / "examples" / "etcd" / "demo.py").read_text()
    parts = re.findall(r'self\.part\("(.+)"\)', demo)
    headings = re.findall("^## (.+)$", (ROOT / "docs" / "tutorial" / "first-cluster.md").read_text(), re.MULTILINE)
    assert len(parts) > 5
    assert [heading for heading in headings if heading in parts] == parts
