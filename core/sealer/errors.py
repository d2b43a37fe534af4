"""Every error a user can meet.

SealerError                     1  the work failed
├── InputError                  2  what the user wrote cannot be right; nothing was changed
│   └── UnknownDriverError      2  no installed package offers the named driver
│       └── MissingDriverError  2  one that sealer ships is not installed, or an installed one is disabled
├── RefusedError                3  refused, or stopped where it can be continued
│   ├── LockHeldError           3  another sealer works on the cluster
│   ├── OutcomeUnknownError     3  a step that must not run twice may or may not have run
│   └── InterruptedRunError   130  Ctrl-C
├── PluginError                 1  a plugin broke a promise, or could not be loaded
├── ImageError                  1  the image store, an archive, a layer
│   ├── ImageNotFoundError      1
│   │   └── UnknownImageError   2  no image of that name is in the local store, as of a cluster that is not recorded
│   ├── RegistryError           1  a registry refused, answered wrongly, or could not be reached
│   └── BuildError              1  an instruction of a Kubefile failed
├── HostError                   1  anything about one host
│   ├── HostUnreachableError    1  no connection could be made
│   ├── ConnectionLostError     1  there was one, and it ended
│   ├── AuthenticationError     1  the host refused the credentials
│   │   └── CommandRefusedError 1  it accepted them, and then did not run the command
│   ├── HostKeyError            1  the host is not the one it was
│   ├── CommandError            1  a command ended with a status other than 0
│   └── StepTimeoutError        1  a step took longer than it may
└── OperationFailedError        1  a run failed on one or more hosts (3 where each of them only refused)

The number is the exit status. Errors of libraries are mapped to these where they enter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Position:
    """A place in a text: `file` as the user named it, `line` and `column` counted from 1 (0: unknown)."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        if not self.line:
            return self.file
        return f"{self.file}:{self.line}:{self.column}" if self.column else f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Problem:
    """One thing wrong with an input: where it stands, the field's path (may be empty), what is wrong and the mend."""

    position: Position
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.position}: {self.path}: {self.message}" if self.path else f"{self.position}: {self.message}"


class SealerError(Exception):
    """An error that is shown as a message, never as a traceback.

    :param what: what failed, one line.
    :param where: the host, file:line:column, step or image it is about.
    :param why: the reason, as far as it is known.
    :param remedy: what the user can do next.
    :param output: the last lines that a host or a program printed.
    :ivar diagnosis: what the host's own logs say of the failure, line by line.
    :ivar log: the file with the events of the run that failed; empty: there is none.
    """

    exit_status = 1

    def __init__(
        self, what: str, *, where: str = "", why: str = "", remedy: str = "", output: Sequence[str] = ()
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.why = why
        self.remedy = remedy
        self.output = tuple(output)
        self.diagnosis: tuple[str, ...] = ()
        self.log = ""

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}: {self.why}" if self.why else head


class InputError(SealerError):
    """What the user wrote cannot be right. `problems` lists all of it, in the order of the text."""

    exit_status = 2

    def __init__(self, what: str, *, problems: Sequence[Problem] = (), **more: str) -> None:
        super().__init__(what, **more)
        self.problems = tuple(problems)


class UnknownDriverError(InputError):
    """No installed package offers the named driver."""


class MissingDriverError(UnknownDriverError):
    """The named driver exists, and cannot be had: it is not installed, or disabled. A dry run goes on without it.

    :param package: what to install; empty: that is no remedy.
    """

    def __init__(self, what: str, *, package: str = "", where: str = "", remedy: str = "") -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.package = package


class RefusedError(SealerError):
    """Refused, or stopped where the same command can continue."""

    exit_status = 3


class LockHeldError(RefusedError):
    """Another sealer works on the cluster."""


class OutcomeUnknownError(RefusedError):
    """A step that must not run twice may or may not have run."""


class InterruptedRunError(RefusedError):
    """The user pressed Ctrl-C."""

    exit_status = 130


class PluginError(SealerError):
    """A plugin broke a promise, or could not be loaded."""


class ImageError(SealerError):
    """The image store, an archive or a layer is not as it must be."""


class ImageNotFoundError(ImageError):
    """No image of that name is in the store, or in the registry."""


class UnknownImageError(ImageNotFoundError):
    """No image of the name that the user gave is in the local store; no registry was asked."""

    exit_status = 2


class RegistryError(ImageError):
    """A registry refused, answered wrongly, or could not be reached.

    :ivar status: the HTTP status it answered with; 0: there was none.
    """

    def __init__(self, what: str, *, status: int = 0, where: str = "", why: str = "", remedy: str = "") -> None:
        super().__init__(what, where=where, why=why, remedy=remedy)
        self.status = status


class BuildError(ImageError):
    """An instruction of a Kubefile failed."""


class HostError(SealerError):
    """Anything about one host; `where` is its address."""


class HostUnreachableError(HostError):
    """No connection to the host could be made."""


class ConnectionLostError(HostError):
    """The connection to the host ended, or the host fell silent."""


class AuthenticationError(HostError):
    """The host refused the credentials."""


class CommandRefusedError(AuthenticationError):
    """The host accepted the login, but did not run the command: nothing shows that it started."""


class HostKeyError(HostError):
    """The host does not have the key it had, or is not the machine it was."""


class CommandError(HostError):
    """A command on a host ended with a status other than 0.

    :param status: the exit status; 128 + n for a command ended by signal n.
    """

    def __init__(
        self, what: str, *, status: int, where: str = "", output: Sequence[str] = (), remedy: str = ""
    ) -> None:
        super().__init__(what, where=where, output=output, remedy=remedy)
        self.status = status


class StepTimeoutError(HostError):
    """A step took longer on a host than it may."""


class OperationFailedError(SealerError):
    """A run failed. `failures` has one error for every host and step that failed."""

    def __init__(self, what: str, *, failures: Sequence[StepFailure] = (), remedy: str = "") -> None:
        super().__init__(what, remedy=remedy)
        self.failures = tuple(failures)
        if failures and all(isinstance(failure.error, RefusedError) for failure in failures):
            self.exit_status = RefusedError.exit_status  # nothing failed: sealer needs a person's word to go on


@dataclass(frozen=True)
class StepFailure:
    """One step that failed on one host."""

    step: str
    title: str
    host: str
    error: SealerError
