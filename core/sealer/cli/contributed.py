"""Commands that installed packages add, through the entry-point group `sealer.commands`."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import click

from sealer.errors import PluginError
from sealer.settings import Settings

GROUP = "sealer.commands"
_PLUGINS = "sealer.plugins"


@dataclass(frozen=True)
class _Command:
    package: str
    target: str
    plugins: tuple[str, ...]


def names(settings: Settings) -> Mapping[str, str]:
    """Their names, sorted, and the package each comes from; what `settings` disable is left out."""
    return {
        name: found.package
        for name, found in _found().items()
        if not settings.leaves_out(name, found.package, found.target, found.plugins)
    }


@cache
def _found() -> Mapping[str, _Command]:
    """All of them.

    Reads the installed packages' entry points from the disk itself: `importlib.metadata` would cost `sealer --help`
    80 ms to import, and it parses every package's to answer for one group.
    """
    found: dict[str, _Command] = {}
    for package, file in _entry_point_files():
        text = file.read_text(encoding="utf-8", errors="replace")
        plugins = tuple(name for name, _ in _points_in(text, _PLUGINS))
        for name, target in _points_in(text, GROUP):
            found.setdefault(name, _Command(package, target, plugins))
    return dict(sorted(found.items()))


@cache
def lines() -> Mapping[str, str]:
    """What each of them does, in one line, where its source says so: nothing of a plugin runs for `sealer --help`."""
    found = {name: _line(command.target) for name, command in _found().items()}
    return {name: line for name, line in found.items() if line}


def _line(target: str) -> str:
    """The first sentence of a command's help: the docstring of the function that becomes it."""
    module, _, name = target.partition(":")
    path = Path(*module.split("."))
    for directory in _package_directories(path.parts[0]):
        for file in (directory / path.with_suffix(".py"), directory / path / "__init__.py"):
            try:
                tree = ast.parse(file.read_bytes())
            except (OSError, SyntaxError, ValueError, RecursionError):
                continue
            functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name.strip()]
            text = next((ast.get_docstring(node) for node in functions), None) or ""
            return " ".join(text.partition("\n\n")[0].split())
    return ""


def _package_directories(package: str) -> Iterator[Path]:
    """Where a package may lie: below a directory of the search path, or where an editable install says."""
    for directory in sys.path:
        yield Path(directory or ".")
    try:
        found = importlib.util.find_spec(package)
    except (ImportError, ValueError, AttributeError):
        return
    for location in (found.submodule_search_locations or ()) if found else ():
        yield Path(location).parent


def _points_in(text: str, group: str) -> Iterator[tuple[str, str]]:
    """Names and targets of a group: lines `name = module:object` (packaging.python.org/specifications/entry-points)."""
    ours = False
    for line in text.splitlines():
        if line.startswith("["):
            ours = line.strip() == f"[{group}]"
        elif ours and "=" in line and not line.lstrip().startswith(("#", ";")):
            name, _, target = line.partition("=")
            yield name.strip(), target.strip()


def _entry_point_files() -> Iterator[tuple[str, Path]]:
    for directory in sys.path:
        try:
            children = sorted(Path(directory or ".").iterdir())
        except OSError:
            continue
        for child in children:
            if child.suffix in (".dist-info", ".egg-info") and (file := child / "entry_points.txt").is_file():
                yield child.stem.split("-")[0].replace("_", "-"), file


def load(name: str) -> click.Command:
    """Import one of them.

    :raises PluginError: it cannot be imported, or is no click command; the message names the package.
    """
    from importlib.metadata import entry_points  # noqa: PLC0415

    command = _found().get(name)
    package = command.package if command else ""
    try:
        loaded = next(iter(entry_points(group=GROUP, name=name))).load()
    except (
        Exception,
        SystemExit,
    ) as error:  # what a stranger's import raises is its author's to mend
        raise _broken(name, package, f"{type(error).__name__}: {error}") from error
    if not isinstance(loaded, click.Command):
        raise _broken(name, package, f"the entry point is a {type(loaded).__name__}, not a click command")
    return loaded


def _broken(name: str, package: str, why: str) -> PluginError:
    return PluginError(
        f"the command '{name}' cannot be loaded",
        where=package,
        why=why,
        remedy=f"update or uninstall {package}, or tell its authors",
    )
