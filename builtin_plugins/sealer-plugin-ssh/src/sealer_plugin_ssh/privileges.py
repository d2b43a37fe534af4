"""How a command becomes root's: directly, or by sudo with or without a password."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from sealer.extension.start_marker import CHECK_INPUT, EVAL, FIRST_LINE, Blocks, StartMarker, guarded
from sealer.redaction import Secret

# A login shell may be fish or csh. Single quotes mean the same to all of them, except around these characters.
_TROUBLE = re.compile(r"[\\\n!]")
_DECODE = 'eval "set --;$(printf %b "$1")"'
# Where sudo asks, its password is a line of the input, which nobody before it may take, nor run as a command.
_SUDO = f'{CHECK_INPUT}exec sudo -k -S -p "" -- /bin/sh -c "$@"'


@dataclass(frozen=True)
class Privileges:
    """Who runs commands.

    :param sudo: whether sudo is needed.
    :param password: what sudo asks for; None: it does not ask.
    """

    sudo: bool = False
    password: Secret | None = None

    def wrap(self, command: str, marker: StartMarker, stdin: Blocks | None) -> tuple[str, Blocks | None]:
        """The line for the login shell, and the input that goes with it.

        sudo reads the password byte by byte, and leaves the rest of the input to the command.
        """
        if self.sudo and self.password is not None:
            password = FIRST_LINE + self.password.reveal().encode() + b"\n"
            words = _words(command, marker, reads=True)
            return f"exec /bin/sh -c {shlex.quote(_SUDO)} sh {words}", guarded(stdin or (), password)
        line = f"/bin/sh -c {_words(command, marker, reads=stdin is not None)}"
        return ("exec sudo -n -- " if self.sudo else "exec ") + line, stdin if stdin is None else guarded(stdin)


def _words(command: str, marker: StartMarker, *, reads: bool) -> str:
    """What stands behind `/bin/sh -c` for `command`, such that every login shell takes it for the same words.

    :param reads: whether the input comes through :func:`~sealer.extension.start_marker.guarded`.
    """
    if not _TROUBLE.search(command):
        return f"{shlex.quote(marker.script(EVAL, reads=reads))} sh {shlex.quote(command)}"
    encoded = re.sub(r"[\\\n!']", lambda match: f"\\0{ord(match[0]):03o}", command)
    return f"{shlex.quote(marker.script(_DECODE, reads=reads))} sh '{encoded}'"
