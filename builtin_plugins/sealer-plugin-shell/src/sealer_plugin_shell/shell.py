"""The type SHELL."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from sealer.clusterfile.model import PluginDocument
from sealer.errors import InputError, Problem
from sealer.extension import Addresses, Effect, Operation, PluginType, Step, StepContext, select
from sealer.phases import Phase

TIMEOUT = 3600.0  # seconds: a script may install packages over a slow line
_CLEANING = frozenset({Phase.PRE_CLEAN, Phase.POST_CLEAN})

# Runs a script, given on stdin, by the interpreter that its first line names. The file is readable by root alone; the
# script itself gets no stdin, as under /bin/sh.
_BY_INTERPRETER = """\
script=$(mktemp) || exit
trap 'rm -f "$script"' EXIT
cat >"$script" || exit
{interpreter} "$script" </dev/null
"""
_SHELL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Shell(PluginType[str]):
    """A script that runs on hosts, once in each of its phases."""

    type = "SHELL"

    def parse(self, document: PluginDocument) -> str:
        """The script.

        :raises InputError: there is none, or it is no text.
        """
        if not isinstance(document.data, str):
            raise _wrong(
                document.problem(f"a script is expected, not {_kind(document.data)}; did you forget 'data: |'?")
            )
        if not document.data.strip():
            raise _wrong(document.problem("the script is empty"))
        if "\0" in document.data:
            raise _wrong(document.problem("the script has a zero byte", document.data.split("\0")[0].count("\n") + 1))
        return document.data

    def steps(self, operation: Operation, phase: Phase, document: PluginDocument, parsed: str) -> Sequence[Step]:
        """One step, on the hosts of `spec.on`; none where no host of this phase is named."""
        try:
            targets = select(document.on, phase, operation)
        except ValueError as error:
            where = f"Plugin {document.name}: spec.on"
            raise _wrong(Problem(document.position, where, str(error))) from None
        if isinstance(targets, Addresses) and not targets.addresses:
            return []
        cleaning = phase in _CLEANING

        def run(context: StepContext) -> None:
            run_script(context, parsed, cleaning=cleaning)

        return [
            Step(
                "script",
                f"Run the script of plugin {document.name}",
                targets,
                run,
                inputs={"script": parsed, "on": document.on},
                effect=Effect.ONCE,
                unreachable="skip" if cleaning else "fail",
                timeout=TIMEOUT,
            )
        ]


def run_script(context: StepContext, script: str, *, cleaning: bool) -> None:
    """Run a script in the rootfs on the host.

    :param cleaning: the rootfs may be gone, or was never there; then nothing is to be cleaned.
    :raises CommandError: its status is not 0.
    """
    rootfs = context.operation.paths.rootfs
    if cleaning and not context.query(f"test -d {shlex.quote(rootfs)}", check=False).ok:
        context.log(f"{rootfs} is not there: the script has nothing to clean")
        return
    interpreter = _interpreter(script)
    if interpreter:
        # The /bin/sh in between may drop what is no name to it, as dash does.
        dropped = [f"{name}={value}" for name, value in context.environment.items() if not _SHELL_NAME.fullmatch(name)]
        if dropped:
            interpreter = f"env {shlex.join(dropped)} {interpreter}"
        context.sh(_BY_INTERPRETER.format(interpreter=interpreter), stdin=script.encode(), cwd=rootfs)
    else:
        context.sh(script, cwd=rootfs)


def _interpreter(script: str) -> str:
    """What the first line asks for, quoted for a shell; empty where that is /bin/sh."""
    first = script.lstrip("\n").split("\n", 1)[0].strip()
    if not first.startswith("#!"):
        return ""
    # The kernel takes all that follows the program's path as one argument.
    words = first[2:].strip().split(None, 1)
    return "" if not words or words == ["/bin/sh"] else shlex.join(words)


def _kind(data: object) -> str:
    if data is None:
        return "nothing"
    if isinstance(data, dict):
        return "a mapping"
    return "a list" if isinstance(data, list) else f"'{data}'"


def _wrong(problem: Problem) -> InputError:
    return InputError("the SHELL plugin is not right", problems=[problem])
