"""Running the machine's own programs, with errors that a user can read."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence

from sealer.errors import SealerError
from sealer_plugin_nspawn.locks import held

LINES_SHOWN = 20


def run(
    command: Sequence[str],
    *,
    stdin: str = "",
    timeout: float = 60.0,
    environment: Mapping[str, str] | None = None,
    doing: str = "",
    accept: Sequence[int] = (0,),
) -> str:
    """Run a program to its end and return what it wrote to stdout.

    :param stdin: all it can read; where secrets go, never into `command`.
    :param timeout: seconds.
    :param environment: added to this process's own.
    :param doing: what it is for, as in "making the bridge".
    :param accept: exit statuses that are no failure.
    :raises SealerError: it is missing, takes too long, or ends with another status.
    """
    what = doing or f"running {command[0]}"
    try:
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
            pass_fds=held(),
            umask=0o022,  # what is made in a host's files must not depend on who makes it
            env={**os.environ, "LC_ALL": "C.UTF-8", **(environment or {})},
        )
    except FileNotFoundError:
        raise SealerError(f"{what} failed", why=f"the program {command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise SealerError(f"{what} failed", why=f"{command[0]} did not end within {timeout:g} s") from None
    if done.returncode not in accept:
        lines = (done.stdout + done.stderr).splitlines()[-LINES_SHOWN:]
        raise SealerError(f"{what} failed", why=f"{command[0]} ended with status {done.returncode}", output=lines)
    return done.stdout
