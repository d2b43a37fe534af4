"""Flags with a value, as the original's users write them: `--no-cache=true`, `--insecure=false` (Go's package flag)."""

from __future__ import annotations

from collections.abc import Sequence

import click

_TRUE = frozenset({"true", "1", "t"})
_FALSE = frozenset({"false", "0", "f"})


def without_values(command: click.Command, args: Sequence[str]) -> list[str]:
    """`args` with each such flag of `command` written as click wants it: there, or not there.

    :param args: what follows the command's name; nothing behind a `--` is a flag.
    """
    flags = {
        name for option in command.params if isinstance(option, click.Option) and option.is_flag for name in option.opts
    }
    end = args.index("--") if "--" in args else len(args)
    found = []
    for word in args[:end]:
        name, equals, value = word.partition("=")
        if not equals or name not in flags or value.lower() not in _TRUE | _FALSE:
            found.append(word)
        elif value.lower() in _TRUE:
            found.append(name)
    return [*found, *args[end:]]
