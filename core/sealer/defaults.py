"""Defaults of options: from `config.yaml` in sealer's home, over it the environment, over that the command line."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sealer.documents import DocumentError, load_yaml
from sealer.errors import InputError, Position, Problem
from sealer.home_safety import check_home

FILE = "config.yaml"
# What may be set, and the variable that goes over it.
VARIABLES: Mapping[str, str] = {
    "user": "SEALER_USER",
    "key": "SEALER_PK",
    "parallel": "SEALER_PARALLEL",
    "provider": "SEALER_PROVIDER",
    "registry": "SEALER_REGISTRY",
}
_LARGEST = 1 << 16  # bytes


@dataclass(frozen=True)
class Default:
    """What one option is where the command line says nothing.

    :param value: as text; empty: not set anywhere.
    :param source: the variable or the file that says so, or `built in`.
    """

    value: str
    source: str


def defaults(home: Path, environment: Mapping[str, str]) -> dict[str, Default]:
    """The defaults that are set, by name, those of the file and of the environment alone.

    :param home: sealer's home.
    :raises InputError: the file is wrong, with the line of each mistake, or somebody else could have written it.
    """
    path = home / FILE
    found = {name: Default(value, str(path)) for name, value in _read(home, path).items()}
    for name, variable in VARIABLES.items():
        if value := environment.get(variable, ""):
            found[name] = Default(value, variable)
    return found


def _read(home: Path, path: Path) -> dict[str, str]:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read(_LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise InputError("The file cannot be read", where=str(path), why=error.strerror or str(error)) from None
    check_home(home)
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise InputError("Other users may write this file", where=str(path), remedy=f"run `chmod go-w {path}`")
    if len(content) > _LARGEST:
        raise InputError("The file is too large", where=str(path), why=f"at most {_LARGEST} bytes are read")
    try:
        text = content.decode()
        values = load_yaml(text)
    except UnicodeDecodeError:
        raise InputError("The file is not UTF-8", where=str(path)) from None
    except DocumentError as error:
        problem = Problem(Position(str(path), error.line, error.column), "", error.why)
        raise InputError("The file is not YAML", where=str(path), problems=[problem]) from None
    return _checked(values, text, str(path))


def _checked(values: Any, text: str, path: str) -> dict[str, str]:
    if values is None:
        return {}
    if not isinstance(values, dict):
        problem = Problem(Position(path, 1, 1), "", f"a mapping is needed, such as `user: admin`; keys: {_keys()}")
        raise InputError("The file is wrong", where=path, problems=[problem])
    problems = []
    found = {}
    for name, value in values.items():
        message = _wrong(name, value)
        if message:
            problems.append(Problem(Position(path, _line(text, str(name)), 1), str(name), message))
        elif value not in (None, ""):
            found[str(name)] = str(value)
    if problems:
        raise InputError("The file is wrong", where=path, problems=problems)
    return found


def _wrong(name: object, value: object) -> str:
    """What is wrong with one setting; empty: nothing."""
    if name not in VARIABLES:
        return f"unknown key; known keys: {_keys()}"
    if value in (None, ""):
        return ""
    if name == "parallel":
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        return "" if whole else f"a whole number from 1 is needed, not '{value}'"
    if not isinstance(value, str):
        return f"a text is needed, not {value!r}: write it in quotes"
    return "" if value.isprintable() else "control characters are not allowed"


def _line(text: str, name: str) -> int:
    """The line of a key, from 1."""
    lines = text.splitlines()
    return next((number for number, line in enumerate(lines, 1) if line.strip().strip("'\"{").startswith(name)), 1)


def _keys() -> str:
    return ", ".join(VARIABLES)
