"""The command line: floor 5. This module is what every start of sealer pays for, so it imports next to nothing."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command `sealer` with the arguments of this process, and exit."""
    from sealer.cli.version import answer  # noqa: PLC0415

    quick = answer(sys.argv[1:])  # takes no option that could hold a password
    if quick is not None:
        sys.stdout.write(quick + "\n")
        return
    from sealer.cli.process_title import wipe_secrets  # noqa: PLC0415

    wipe_secrets()  # before anything slow
    from sealer.cli.entry import run  # noqa: PLC0415  # 80 ms, that `sealer version` need not wait for

    sys.exit(run(sys.argv[1:]))
