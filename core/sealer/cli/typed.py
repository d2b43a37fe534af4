"""Checks of what was typed, as callbacks of options: what cannot be meant is refused where it is written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar, cast

import click

T = TypeVar("T")
_EMPTY = "it is empty; name something, or leave the option out"


def as_text(_: click.Context, parameter: click.Parameter, value: T) -> T:
    """Refuse what is not UTF-8: it goes to the hosts, into documents and into the journal.

    :raises click.BadParameter: it is not.
    """
    for word in _words(value):
        if any("\ud800" <= character <= "\udfff" for character in word):
            raise click.BadParameter("it is not UTF-8 text", param=parameter)
    return value


def filled(context: click.Context, parameter: click.Parameter, value: T) -> T:
    """Refuse an empty text too, as it comes from a shell's variable that is not set.

    It must not be taken for an option left out: then the only cluster there is would be meant, or this very machine.

    :raises click.BadParameter: it is empty, or not UTF-8.
    """
    if _given(context, parameter) and not all(word.strip(" ,") for word in _words(value)):
        raise click.BadParameter(_EMPTY, param=parameter)
    return as_text(context, parameter, value)


def named(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Refuse an empty name of a file; a name that is not UTF-8 is one all the same.

    :raises click.BadParameter: it is empty.
    """
    if _given(context, parameter) and not value:
        raise click.BadParameter(_EMPTY, param=parameter)
    return value


def _given(context: click.Context, parameter: click.Parameter) -> bool:
    default = click.core.ParameterSource.DEFAULT
    return parameter.name is not None and context.get_parameter_source(parameter.name) is not default


def _words(value: object) -> Iterable[str]:
    return [value] if isinstance(value, str) else cast(tuple[str, ...], value or ())
