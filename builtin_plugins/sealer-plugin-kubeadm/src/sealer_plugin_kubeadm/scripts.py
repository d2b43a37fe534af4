"""The scripts that steps run on hosts; they lie beside this module, in `host/`."""

from __future__ import annotations

from functools import cache
from importlib import resources


@cache
def script(*names: str) -> str:
    """The text of `host/NAME.sh`; of several, one after the other."""
    files = resources.files(__package__).joinpath("host")
    return "".join(files.joinpath(f"{name}.sh").read_text("utf-8") for name in names)
