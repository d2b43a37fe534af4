"""Commands that installed packages add, through the entry-point group `sealer.commands`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import click

from sealer.errors import PluginError

GROUP = "sealer.commands"


@cache
def names() -> Mapping[str, str]:
    """Their names, sorted, and the package each comes from.

    Reads the installed packages' entry points from the disk itself: `importlib.metadata` would cost `sealer --help`
    80 ms to import, and it parses every package's to answer for one group.
    """
    found: dict[str, str] = {}
    for package, file in _entry_point_files():
        text = file.read_text(encoding="utf-8", errors="replace")
        for name in _names_in(text):
            found.setdefault(name, package)
    return dict(sorted(found.items()))


def _names_in(text: str) -> Iterator[str]:
    """The names of our group: lines `name = module:object` (packaging.python.org/specifications/entry-points)."""
    ours = False
    for line in text.splitlines():
        if line.startswith("["):
            ours = line.strip() == f"[{GROUP}]"
        elif ours and "=" in line and not line.lstrip().startswith(("#", ";")):
            yield line.partition("=")[0].strip()


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

    package = names().get(name, "")
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
