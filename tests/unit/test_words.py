"""Messages, help pages and documents use the glossary's words: what its table bans stands in none of them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GLOSSARY = ROOT / "docs" / "glossary.md"
TABLE = GLOSSARY.read_text().partition("## Words that are not used")[2]
BANNED = [row.strip() for row in re.findall(r"^\| (.+?) \| .+ \|$", TABLE, flags=re.M) if row.strip() != "Not"]
NO_SENTENCE = re.compile(r"[\w./:@=+-]*")  # a name, a key, a path
COMMENT = re.compile(r"^\s*#.*$", re.M)


def banned(texts: Iterator[tuple[Path, int, str]]) -> list[str]:
    """Where a banned term stands, as `file:line: term`."""
    terms = "|".join(re.escape(term).replace(r"\ ", r"\s+") for term in sorted(BANNED, key=len, reverse=True))
    pattern = re.compile(rf"(?<!\w)(?:{terms})(?!\w)", re.I)
    found: dict[str, None] = {}
    for path, first, text in texts:
        for match in pattern.finditer(text):
            line = first + text.count("\n", 0, match.start())
            found[f"{path.relative_to(ROOT)}:{line}: {' '.join(match[0].split()).lower()}"] = None
    return list(found)


def python_texts(path: Path) -> Iterator[tuple[Path, int, str]]:
    """String constants that read as sentences; docstrings only where they are a command's help."""
    tree = ast.parse(path.read_text())
    left_out = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            decorators = node.decorator_list if isinstance(node, ast.FunctionDef) else []
            is_help = any("command" in ast.unparse(decorator) for decorator in decorators)
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and not is_help:
                left_out.add(id(first.value))
        if isinstance(node, ast.JoinedStr):
            yield path, node.lineno, "".join(_part(value) for value in node.values)
            left_out.update(id(value) for value in node.values)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in left_out:
            continue
        if not NO_SENTENCE.fullmatch(node.value):
            yield path, node.lineno, COMMENT.sub("", node.value)  # the comments of files and scripts in it


def _part(value: ast.expr) -> str:
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else "{}"


def shell_texts(path: Path) -> Iterator[tuple[Path, int, str]]:
    """What stands in quotes, in lines that are no comment."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.lstrip().startswith("#"):
            for quoted in re.findall(r"\"([^\"]*)\"|'([^']*)'", line):
                yield path, number, " ".join(quoted)


def sources(suffix: str) -> list[Path]:
    """Files that are installed, and the examples."""
    trees = [ROOT / "core", *ROOT.glob("builtin_plugins/*/src"), *ROOT.glob("plugins/*/src"), ROOT / "docs"]
    return sorted(path for tree in trees for path in tree.rglob(f"*{suffix}") if "_build" not in path.parts)


def pages() -> list[Path]:
    """All documents but the glossary, which names the terms."""
    found = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "changelog.d").glob("*.md"), *sources(".md")]
    return sorted(path for path in found if path != GLOSSARY)


def test_the_glossary_has_a_table_of_banned_terms() -> None:
    assert "mended" in BANNED
    assert len(BANNED) == len(set(BANNED))


def test_messages_use_the_glossary_s_words() -> None:
    texts = [text for path in sources(".py") for text in python_texts(path)]
    assert len(texts) > 1000
    assert not (found := banned(iter(texts))), "\n".join(found)


def test_scripts_use_the_glossary_s_words() -> None:
    found = banned(text for path in sources(".sh") for text in shell_texts(path))
    assert not found, "\n".join(found)


def test_documents_use_the_glossary_s_words() -> None:
    found = banned((path, 1, path.read_text()) for path in pages())
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "source",
    [
        'raise Error("mend the cause")',
        'raise Error(f"{host}: mend {cause}")',
        'raise Error("see the log, and "\n    "mend it")',
        '@click.command()\ndef check() -> None:\n    """Mend the cluster."""',
    ],
)
def test_a_banned_term_is_found_with_its_place(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "message.py").write_text(source)
    [place] = banned(python_texts(tmp_path / "message.py"))
    assert re.fullmatch(r"message\.py:\d: mend", place)


def test_names_and_comments_are_not_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "names.py").write_text('"""Mend."""\nmend = state["mend"]  # whoever reads it\n')
    (tmp_path / "names.sh").write_text("# mend it\nmend_it\n")
    assert not banned(python_texts(tmp_path / "names.py"))
    assert not banned(shell_texts(tmp_path / "names.sh"))
