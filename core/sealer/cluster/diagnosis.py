"""What a host's own logs say of a step that failed there."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from sealer.cluster.context import HostContext, ReceiptDiffersError
from sealer.cluster.plan import PlannedStep
from sealer.errors import (
    AuthenticationError,
    ConnectionLostError,
    HostError,
    HostKeyError,
    HostUnreachableError,
    SealerError,
)
from sealer.extension.operation import Operation
from sealer.extension.steps import Effect
from sealer.hosts import Host
from sealer.redaction import HIDDEN, redactor

SECONDS = 20.0  # that a diagnosis may take: the failure is shown after it
MOST_LINES = 40
LONGEST_LINE = 400  # characters
# After these the host cannot be asked, or has nothing to say.
_NOT_OF_THE_HOST = (
    *(HostUnreachableError, ConnectionLostError, AuthenticationError, HostKeyError),
    ReceiptDiffersError,
)
# Secrets that sealer does not know: programs write them into their logs in these forms.
_UNKNOWN_SECRET = re.compile(r"(?i)((?:pass(?:word|wd|phrase)|token|secret)=|\bbearer +)[^\s&,;]+")


def diagnose(
    error: HostError,
    planned: PlannedStep,
    host: Host,
    operation: Operation,
    context_of: Callable[[PlannedStep, Host, str], HostContext],
) -> None:
    """Run the diagnosis of a step that failed, and keep its last lines with the error.

    A diagnosis that fails itself changes nothing: the step's error is what the user has to see.

    :param host: where the step ran.
    :param context_of: gives the context of a step on a host, by the name of its attempt.
    """
    step = planned.step
    if not step.diagnosis or isinstance(error, _NOT_OF_THE_HOST):
        return
    everyone = (*operation.hosts, *operation.removed)
    there = next((it for it in everyone if error.where in (it.id, it.address)), host)
    if not there.address:
        return
    asking = replace(planned, step=replace(step, effect=Effect.QUERY, timeout=SECONDS, gives=frozenset()))
    try:
        printed = context_of(asking, there, "").query(step.diagnosis, check=False).stdout
    except SealerError:
        return
    lines = (line.rstrip() for line in redactor(printed).splitlines()[-MOST_LINES:])
    error.diagnosis = tuple(_UNKNOWN_SECRET.sub(rf"\1{HIDDEN}", line)[:LONGEST_LINE] for line in lines if line)
