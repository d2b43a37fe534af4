"""Where a password may come from: the command line, a file, a question, the environment."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import click

from sealer.errors import InputError
from sealer.events import EventStream
from sealer.redaction import Secret

_LARGEST = 4096  # bytes of a password file; a larger one is another file given by mistake

_REMEDY = "--passwd-file takes a file with one line, the password; - is standard input"


def password(typed: str | None, file: str | None, ask: bool, events: EventStream) -> Secret | None:
    """The SSH password. One of the options; if none is given, `SEALER_PASSWD`; else None.

    :param typed: value of `--passwd`.
    :param file: value of `--passwd-file`; `-` is stdin.
    :raises InputError: several are given, the file cannot be read, or there is nobody to ask.
    """
    given = [
        name
        for name, value in (("--passwd", typed), ("--passwd-file", file), ("--ask-passwd", ask))
        if value not in (None, False)
    ]
    if len(given) > 1:
        raise InputError(f"{' and '.join(given)} exclude each other", remedy="Give the password in one way.")
    if file is not None:
        return Secret(_from_file(file, events))
    if ask:
        return Secret(_asked("SSH password"))
    return Secret(typed) if typed else from_environment("SEALER_PASSWD")


def from_environment(name: str) -> Secret | None:
    """The secret in a variable, which is removed so that no program we start inherits it."""
    text = os.environ.pop(name, "")
    return Secret(text) if text else None


def _asked(what: str) -> str:
    if not sys.stdin.isatty():
        raise InputError("no terminal to prompt for the password", remedy="Use --passwd-file or SEALER_PASSWD.")
    return str(click.prompt(what, hide_input=True, err=True))


def _from_file(name: str, events: EventStream) -> str:
    where = "standard input" if name == "-" else name
    try:
        if name == "-":
            content = sys.stdin.buffer.read(_LARGEST + 1)
        else:
            with expanded(name).open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                content = file.read(_LARGEST + 1)
            if stat.S_ISREG(mode) and mode & (stat.S_IRGRP | stat.S_IROTH):
                events.warn(f"others can read the password in {name}; 'chmod 600 {name}' prevents that")
        text = content.decode("utf-8")
    except OSError as error:
        raise InputError(
            "the password file cannot be read", where=where, why=error.strerror or str(error), remedy=_REMEDY
        ) from None
    except UnicodeDecodeError:
        raise InputError("the password file is not UTF-8 text", where=where, remedy=_REMEDY) from None
    # An editor ends the line; a password with a line break in it cannot be typed anywhere.
    line = text.removesuffix("\n").removesuffix("\r")
    if len(content) > _LARGEST or "\n" in line or not line:
        raise InputError("the password file has not exactly one line", where=where, remedy=_REMEDY)
    return line


def expanded(name: str) -> Path:
    """The path that is meant by what was typed, `~` being this user's home.

    :raises InputError: it begins with the home of a user whom nobody knows.
    """
    try:
        return Path(name).expanduser()
    except RuntimeError as error:
        raise InputError("there is no such file", where=name, why=str(error), remedy="write the path out") from None
