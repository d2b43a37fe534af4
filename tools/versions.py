"""The version of all distributions of this tree: they are released together, and require the same minor version."""

from __future__ import annotations

import re
from pathlib import Path

from install_all import ROOT

VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)((?:a|b|rc)\d+)?")
_DECLARED = re.compile(r'^(__version__ = "|version = )([^"\n]+)', re.MULTILINE)
_REQUIRED = re.compile(r"sealer>=[\d.]+,<[\d.]+")


def files(root: Path = ROOT) -> list[Path]:
    """Every file that has the version, or a range of it that plugins require."""
    cfgs = sorted(path for kind in ("builtin_plugins", "plugins") for path in root.glob(f"{kind}/*/setup.cfg"))
    return [root / "core/sealer/__init__.py", root / "setup.cfg", root / "docs/how-to/write-a-plugin.md", *cfgs]


def declared(root: Path = ROOT) -> dict[Path, str]:
    """The version that each file declares."""
    found = {path: _DECLARED.search(path.read_text()) for path in files(root)}
    return {path: match[2] for path, match in found.items() if match}


def current(root: Path = ROOT) -> str:
    """The version of this tree.

    :raises ValueError: its files do not agree.
    """
    versions = set(declared(root).values())
    if len(versions) != 1:
        raise ValueError(f"the distributions have several versions: {', '.join(sorted(versions))}")
    return versions.pop()


def order(version: str) -> tuple[int, int, int, int, str]:
    """Sorts versions: 0.2.0rc1 is before 0.2.0.

    :raises ValueError: it is no version.
    """
    match = VERSION.fullmatch(version)
    if not match:
        raise ValueError(f"'{version}' is no version: it is to be MAJOR.MINOR.PATCH, and may end in rc1, b1 or a1")
    major, minor, patch = (int(number) for number in match.groups()[:3])
    before = match[4] or ""
    return major, minor, patch, 0 if before else 1, before


def set_version(version: str, root: Path = ROOT) -> list[Path]:
    """Write it wherever it is, and the range of it that plugins require; gives the changed files."""
    major, minor, *_ = order(version)
    wanted = f"sealer>={major}.{minor},<{major}.{minor + 1}"
    changed = []
    for path in files(root):
        text = path.read_text()
        new = _REQUIRED.sub(wanted, _DECLARED.sub(rf"\g<1>{version}", text))
        if new != text:
            path.write_text(new)
            changed.append(path)
    return changed
