"""How a command becomes root's: directly, or by sudo with or without a password."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from sealer.redaction import Secret

Blocks = Iterable[bytes | memoryview]

# A login shell may be fish or csh. Single quotes mean the same to all of them, except around these characters.
_TROUBLE = re.compile(r"[\\\n!]")
_DECODE = """'eval "set --; $(printf %b "$1")"'"""


def shell_line(command: str) -> str:
    """The words that make any login shell run `command` by `/bin/sh -c`, to be put after `exec` or `sudo`."""
    if not _TROUBLE.search(command):
        return f"/bin/sh -c {shlex.quote(command)}"
    encoded = re.sub(r"[\\\n!']", lambda match: f"\\0{ord(match[0]):03o}", command)
    return f"/bin/sh -c {_DECODE} sh '{encoded}'"


@dataclass(frozen=True)
class Privileges:
    """Who runs commands.

    :param sudo: whether sudo is needed.
    :param password: what sudo asks for; None: it does not ask.
    """

    sudo: bool = False
    password: Secret | None = None

    def wrap(self, command: str, stdin: Blocks | None) -> tuple[str, Blocks | None]:
        """The line for the login shell, and the input that goes with it.

        The password is the first line of the input: sudo reads it byte by byte and leaves the rest to the command.
        """
        if not self.sudo:
            return f"exec {shell_line(command)}", stdin
        if self.password is None:
            return f"exec sudo -n -- {shell_line(command)}", stdin
        first = self.password.reveal().encode() + b"\n"
        return f"exec sudo -k -S -p '' -- {shell_line(command)}", itertools.chain((first,), stdin or ())
