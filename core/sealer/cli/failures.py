"""What an error looks like: a message on stderr for a person, and with `--output json` an object on stdout too."""

from __future__ import annotations

import errno
import os
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress

import click

from sealer.cli.app import App
from sealer.cli.terminal import style
from sealer.errors import InputError, InterruptedRunError, OperationFailedError, SealerError, StepFailure
from sealer.events import Json
from sealer.redaction import redactor

LINES_SHOWN = 20
# What this machine refuses: no permission, no space, a disk that cannot be read or written. No bug of ours.
_MACHINES_OWN = frozenset({
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO),
    *(errno.EMFILE, errno.ENFILE, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ESTALE),
})  # fmt: skip
_REPORT = "this is a bug in sealer; please report it with the lines above"


def report(error: BaseException, app: App) -> int:
    """Show an error: a message if it is one that a user can meet, a traceback if it is a bug.

    :returns: the exit status.
    """
    match error:
        case SealerError():
            return _report_known(error, app)
        case KeyboardInterrupt() | click.Abort():
            return _report_known(InterruptedRunError("interrupted"), app)
        case click.ClickException():
            return _report_known(SealerError(error.format_message()), app)
        case OSError() if error.errno in _MACHINES_OWN:
            return _report_known(_of_this_machine(error), app)
        case Exception():
            return _report_bug(error, app)
        case _:  # SystemExit, and what else is not for us to judge
            raise error


def _report_known(error: SealerError, app: App) -> int:
    app.tell(redactor("\n".join(_text(error))))
    if app.options.debug:
        app.tell(redactor("".join(traceback.format_exception(error))))
    _show_object(error_record(error), app)
    return error.exit_status


def report_usage(error: click.UsageError, app: App, arguments: Sequence[str]) -> int:
    """Show what is wrong with the command line."""
    _look_ahead(app, arguments)
    path = error.ctx.command_path if error.ctx else "sealer"
    app.tell(f"{_error()} {error.format_message()}\n{_mend()} see '{path} --help'")
    _show_object({"type": "UsageError", "what": error.format_message(), "exitStatus": error.exit_code}, app)
    return error.exit_code


def _of_this_machine(error: OSError) -> SealerError:
    """An error of the operating system that nobody has put into better words."""
    if error.filename is None:
        return SealerError(
            "something cannot be written or read",
            why=error.strerror or str(error),
            remedy="check the free space where the output goes, and below SEALER_HOME",
        )
    return SealerError(
        "it cannot be used",
        where=os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else str(error.filename),
        why=error.strerror or str(error),
        remedy="check the permissions and the free space there, or point SEALER_HOME to a directory of yours",
    )


def _report_bug(error: Exception, app: App) -> int:
    # format_exception shows source lines, never the values of variables.
    app.tell(redactor("".join(traceback.format_exception(error))) + f"{_error()} {_REPORT}")
    _show_object({"type": "Bug", "what": redactor(f"{type(error).__name__}: {error}"), "exitStatus": 1}, app)
    return 1


def _show_object(record: Mapping[str, Json], app: App) -> None:
    if app.output == "json":
        with suppress(OSError):  # the error is on stderr too, and the exit status tells
            app.show({"error": dict(record)}, "")


def _look_ahead(app: App, arguments: Sequence[str]) -> None:
    """A command line that could not be parsed may still ask for JSON, behind the mistake."""
    pairs = zip(arguments, (*arguments[1:], ""), strict=True)
    if "--output=json" in arguments or ("--output", "json") in pairs:
        app.options.output = "json"


def _error() -> str:
    return style("sealer: error:", "red", "bold")


def _mend() -> str:
    return style("what to do:", "bold")


def _text(error: SealerError) -> list[str]:
    if isinstance(error, InputError) and error.problems:
        lines = [str(problem) for problem in error.problems]
        return [*lines, *_remedy(error)]
    lines = [f"{_error()} {error}"]
    if isinstance(error, OperationFailedError):
        for hosts, failure in _grouped(error.failures):
            lines += _block(hosts, failure)
        lines += [""] if error.failures and error.remedy else []
    return [*lines, *_output(error, "  "), *_remedy(error), *([f"log: {error.log}"] if error.log else [])]


def _grouped(failures: Sequence[StepFailure]) -> list[tuple[list[str], StepFailure]]:
    """Failures that read alike are told once, with all their hosts: a wrong password fails on 200 of them."""
    groups: dict[tuple[str, str, str, tuple[str, ...]], tuple[list[str], StepFailure]] = {}
    for failure in failures:
        error = failure.error
        key = (failure.step, error.what, error.why, error.output)
        groups.setdefault(key, ([], failure))[0].append(failure.host)
    return list(groups.values())


def _block(hosts: Sequence[str], failure: StepFailure) -> list[str]:
    error = failure.error
    why = f"{error.what}: {error.why}" if error.why else error.what
    head = ["", f"{', '.join(hosts)}: {failure.title}", f"  {why}", *_output(error, "  ")]
    return [*head, *_diagnosis(error, failure.host, "  "), *_remedy(error, "  ")]


def _diagnosis(error: SealerError, host: str, indent: str) -> list[str]:
    """What the logs of one of the hosts say: that of others that failed alike is in the run's log."""
    if not error.diagnosis:
        return []
    return [f"{indent}logs on {error.where or host}:", *(f"{indent}| {line}" for line in error.diagnosis)]


def _output(error: SealerError, indent: str) -> list[str]:
    return [f"{indent}| {line}" for line in error.output[-LINES_SHOWN:]]


def _remedy(error: SealerError, indent: str = "") -> list[str]:
    return [f"{indent}{_mend()} {error.remedy}"] if error.remedy else []


def error_record(error: SealerError) -> dict[str, Json]:
    """An error as a program reads it."""
    record: dict[str, Json] = {
        "type": type(error).__name__,
        "what": redactor(error.what),
        "where": redactor(error.where),
        "why": redactor(error.why),
        "remedy": redactor(error.remedy),
        "output": list(redactor.lines(error.output[-LINES_SHOWN:])),
        "diagnosis": list(redactor.lines(error.diagnosis)),
        "log": error.log,
        "exitStatus": error.exit_status,
    }
    if isinstance(error, InputError):
        record["problems"] = [
            {
                "file": problem.position.file,
                "line": problem.position.line,
                "column": problem.position.column,
                "path": problem.path,
                "message": redactor(problem.message),
            }
            for problem in error.problems
        ]
    if isinstance(error, OperationFailedError):
        record["failures"] = [
            {"step": failure.step, "title": failure.title, "host": failure.host, "error": error_record(failure.error)}
            for failure in error.failures
        ]
    return record
