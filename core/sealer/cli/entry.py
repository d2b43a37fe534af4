"""Runs one command, and turns whatever it raises into a message and an exit status."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from sealer.cli import failures
from sealer.cli.app import App, abandon
from sealer.cli.interrupts import ended_as_by_ctrl_c
from sealer.cli.root import root
from sealer.cli.terminal import guarded, make_encodable


def run(arguments: Sequence[str], app: App | None = None) -> int:
    """Run `sealer` with `arguments`.

    :returns: the exit status.
    """
    app = app or App()
    try:
        with guarded(lambda: app.options.color), ended_as_by_ctrl_c():
            return _invoke(arguments, app)
    except BrokenPipeError:
        return 1
    finally:
        _let_go()


def _let_go() -> None:
    """Give out what is still buffered; where that cannot be, python must not try again at its end, and complain."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            abandon(stream)


def _invoke(arguments: Sequence[str], app: App) -> int:
    try:
        make_encodable()
        status = root.main(list(arguments), prog_name="sealer", standalone_mode=False, obj=app)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except click.exceptions.NoArgsIsHelpError as error:
        app.tell(error.format_message())
        status = error.exit_code
    except click.UsageError as error:
        status = failures.report_usage(error, app, arguments)
    except BaseException as error:  # the last to see it: everything ends in a message and a status
        status = failures.report(error, app)
    return status if isinstance(status, int) else 0
