"""The command line: floor 5. This module is what every start of sealer pays for, so it imports next to nothing."""

from __future__ import annotations

import os
import sys

# Objects that are made before garbage is looked for; Python's own 700 are reached 30 times while a command is imported.
_GARBAGE = 50_000
_INTERRUPTED = 130  # the exit status


def main() -> None:
    """Run the command `sealer` with the arguments of this process, and exit."""
    os.umask(os.umask(0o022) | 0o002)  # whatever it was, nobody else may change what sealer writes
    if not all(entry.startswith("/") for entry in os.environ.get("PYTHONPATH", "/").split(":")):
        from sealer.cli.search_path import leave_out_relative  # noqa: PLC0415  # hardly ever needed

        leave_out_relative()
    from sealer.cli.version import answer  # noqa: PLC0415

    if None in (sys.stdin, sys.stdout, sys.stderr):
        from sealer.cli.streams import replace_closed  # noqa: PLC0415  # hardly ever needed

        replace_closed()
    quick = answer(sys.argv[1:])  # takes no option that could hold a password
    if quick is not None and _printed(quick):
        return
    import gc  # noqa: PLC0415  # built in

    gc.disable()  # nothing that imports make is garbage; to look for it at the start and the end takes 13 of 100 ms
    from sealer.cli.process_title import wipe_secrets  # noqa: PLC0415

    wipe_secrets()  # before anything slow
    from sealer.cli.entry import run  # noqa: PLC0415  # 80 ms, that `sealer version` need not wait for

    gc.freeze()
    gc.set_threshold(_GARBAGE)
    gc.enable()
    status = run(sys.argv[1:])
    if status == _INTERRUPTED:
        os._exit(status)  # a module that was being imported makes Python end as if SIGINT had killed it
    gc.freeze()
    sys.exit(status)


def _printed(line: str) -> bool:
    """Print a line now. False: it cannot be printed, and the slow way knows how to tell that."""
    try:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    except OSError:
        return False
    return True
