"""Where modules, and with them plugins, are looked for."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import sealer


def leave_out_relative() -> None:
    """Take from the search path what relative and empty entries of PYTHONPATH put there.

    Often they are accidents, as in `PYTHONPATH=$PYTHONPATH:/opt/lib`: a package that happens to lie in the working
    directory would be taken for a plugin, and run.
    """
    entries = [Path(entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    try:
        relative = {os.path.normpath(Path.cwd() / entry) for entry in entries if not entry.is_absolute()}
    except OSError:  # the working directory is gone
        relative = set()
    wanted = {os.path.normpath(entry) for entry in entries if entry.is_absolute()}
    wanted.add(str(Path(sealer.__file__).parents[1]))
    sys.path[:] = [entry for entry in sys.path if entry and entry not in relative - wanted]
