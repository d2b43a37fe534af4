"""`python -m sealer_plugin_nspawn`: the command of :mod:`sealer_plugin_nspawn.command`."""

import sys
from os import getcwd

if __name__ == "__main__":
    # -m looks for modules in the working directory first; whatever lies there is no part of sealer, and must not run.
    # Nothing but built-in modules may be imported before.
    try:
        here = getcwd()  # noqa: PTH109  # pathlib would be looked for there
    except OSError:
        here = ""  # it is gone, and Python has left it out
    if not sys.flags.safe_path and sys.path[0] in ("", here):
        del sys.path[0]

    from sealer_plugin_nspawn.command import main

    sys.exit(main())
