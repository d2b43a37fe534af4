"""`sealer version`, answered without importing click: scripts ask it often."""

from __future__ import annotations

from collections.abc import Sequence

from sealer import __version__

# The version of what sealer leaves on hosts and on disk: receipts, state files, journals.
PROTOCOL = 1
API_VERSION = "sealer.io/cli/v1"

_TEXT = f"sealer {__version__}"


def answer(arguments: Sequence[str]) -> str | None:
    """What to print, if `arguments` ask for the version in one of the usual ways; None: the slow way decides."""
    match list(arguments):
        case ["version"] | ["--version"]:
            return _TEXT
        case ["version", "--short"]:
            return __version__
        case ["version", "--output", "json"] | ["version", "--output=json"] | ["--output", "json", "version"]:
            return details()
        case _:
            return None


def text(short: bool) -> str:
    """The version for a person."""
    return __version__ if short else _TEXT


def record() -> dict[str, str | int]:
    """The version for a program."""
    import os  # noqa: PLC0415
    import sys  # noqa: PLC0415

    return {
        "version": __version__,
        "python": ".".join(map(str, sys.version_info[:3])),
        "platform": f"{sys.platform}/{os.uname().machine}",
        "protocol": PROTOCOL,
    }


def details() -> str:
    """:func:`record` as `--output json` prints it."""
    import json  # noqa: PLC0415

    return json.dumps({"apiVersion": API_VERSION, **record()})
