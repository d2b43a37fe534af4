"""RUN: a command that works on the rootfs, and what it changed.

On Linux as root it is contained (:mod:`sealer.image.containment`): the rootfs is the lower directory of an overlay, and
so is the machine around it, so that what the command does to the machine is thrown away. Where the store's file system
takes no overlay, as in many containers, the command works on a copy of the rootfs and both trees are compared, and what
it does to the machine is kept in memory until then. Elsewhere it gets a copy, on the machine as it is; as root only
where that was allowed, for nothing would protect the machine.
"""

from __future__ import annotations

import contextlib
import enum
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sealer.errors import BuildError
from sealer.image.changes import layer_entries, overlay_changes, tree_changes
from sealer.image.contained import Report
from sealer.image.layer import Entry
from sealer.image.private_files import private_directories, rewritten_files
from sealer.image.storage import full_disk_remedy, remove_tree, storage_errors
from sealer.redaction import Secret, redactor

if TYPE_CHECKING:
    from sealer.image.containment import Request

LAST_LINES = 20
LONGEST_LINE = 16 * 1024
TOP = Path("/rootfs")  # where a contained command finds the rootfs
_ENDING_SECONDS = 10
_REMEDY = "build as root on a Linux machine, or in a container that may mount (CAP_SYS_ADMIN)"


class _Way(enum.Enum):
    """How a command is run."""

    OVERLAY = enum.auto()  # contained, over an overlay of the rootfs
    COPY = enum.auto()  # contained, on a copy of the rootfs
    UNCONTAINED = enum.auto()  # on a copy of the rootfs and the machine as it is


_WAYS = tuple(_Way)


@dataclass(frozen=True)
class Command:
    """What is to be run.

    :param environment: all of it but HOME; the rootfs's `bin` is put before its PATH.
    :param secrets: by the absolute path where the command finds them.
    :param network: False for a network of its own, with nothing in it.
    :param timeout: seconds; None for no end.
    """

    text: str
    environment: Mapping[str, str]
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    network: bool = True
    timeout: float | None = None


class Runner:
    """Runs the commands of one build.

    :param directory: of the build; it holds `rootfs`.
    :param warn: gets what a user must know about the way the commands are run, once.
    :param overlay: False to work on a copy in any case; None to find out.
    :param private: directories that the commands must not see, beside those that are nobody else's business anyway.
    :param allow_uncontained: root's commands may run uncontained, where nothing else can be done.
    """

    def __init__(
        self,
        directory: Path,
        warn: Callable[[str], None],
        overlay: bool | None = None,
        private: Iterable[Path] = (),
        *,
        allow_uncontained: bool = False,
    ) -> None:
        self._directory = directory
        self._warn = warn
        # How a command may be run, the best first; what this machine cannot do is not tried again.
        self._ways = [_Way.UNCONTAINED] if overlay is False else list(_WAYS)
        self._why_not = ""
        self._warned = overlay is False
        self._may_be_uncontained = allow_uncontained or overlay is False or os.geteuid() != 0
        self._rootfs = directory / "rootfs"
        self._private = private_directories([*private, Path.home()])

    def run(self, command: Command, line: Callable[[str], None]) -> list[Entry]:
        """Run a command; what it changed is returned, in the order of a layer.

        The files that the entries are read from stay until the next command runs.

        :param line: gets each line that the command prints.
        :raises BuildError: it failed, with the last lines it printed; or it cannot be run as it should be.
        """
        last: deque[str] = deque(maxlen=LAST_LINES)

        def show(text: str) -> None:
            last.append(text)
            line(text)

        try:
            while self._ways[0] is not _Way.UNCONTAINED:
                status = self._run_contained(command, show)
                if status is not None:
                    break
                self._ways.pop(0)
            else:
                status = self._run_uncontained(command, show)
        except TimeoutError:
            raise BuildError(
                f"the command was ended after {command.timeout:g} seconds",
                output=redactor.lines(last),
                remedy="give it more time with --run-timeout",
            ) from None
        if status:
            raise BuildError(
                f"the command {_ending(status)}",
                output=redactor.lines(last),
                remedy=full_disk_remedy(self._directory) or "fix the command in the Kubefile and build again",
            )
        rootfs, upper, copy = self._rootfs, self._directory / "upper", self._directory / "copy"
        if self._ways[0] is _Way.OVERLAY:
            return layer_entries(rootfs, upper, overlay_changes(rootfs, upper), TOP)
        return layer_entries(rootfs, copy, tree_changes(rootfs, copy), TOP if self._ways[0] is _Way.COPY else copy)

    def _run_contained(self, command: Command, show: Callable[[str], None]) -> int | None:
        """Its status, as a process's return code; None where this machine cannot do it."""
        if sys.platform != "linux" or os.geteuid() != 0:
            self._why_not = "that needs root on Linux"
            return None
        copied = self._ways[0] is _Way.COPY
        self._prepare("upper", "work", "machine", "world")
        if copied:
            self._copy()
        request: Request = {
            "directory": str(self._directory),
            "copied": copied,
            "top": str(TOP),
            "command": command.text,
            "environment": _environment(command, TOP, "/root"),
            "secrets": {
                path: secret.reveal().encode("utf-8", "surrogateescape").decode("latin-1")
                for path, secret in command.secrets.items()
            },
            "private": self._private,
            "rewritten": rewritten_files(),
            "network": command.network,
            "shown": None,
        }
        with Report() as report:
            try:
                process = _start(report.arguments, {}, Path("/"), subprocess.PIPE, report.end)
            finally:
                report.hand_over()
            with process:
                assert process.stdin is not None
                with contextlib.suppress(BrokenPipeError), process.stdin:
                    process.stdin.write(json.dumps(request).encode())
                _watch(process, show, command.timeout, gently=True)
            status, why = report.outcome()
        if status is None:
            self._why_not = why or f"its first process ended with status {process.returncode}"
        return status

    def _run_uncontained(self, command: Command, show: Callable[[str], None]) -> int:
        if command.secrets or not command.network:
            what = "get a secret" if command.secrets else "be kept from the network"
            raise BuildError(f"the command cannot {what} on this machine", why=self._why_not, remedy=_REMEDY)
        if not self._may_be_uncontained:
            raise BuildError(
                "RUN cannot be contained on this machine",
                why=f"{self._why_not}; uncontained, root's RUN could change this machine's files and processes",
                remedy=f"{_REMEDY}, or accept the risk with --allow-uncontained-run",
            )
        if not self._warned:
            self._warned = True
            self._warn(
                f"RUN is not contained ({self._why_not}): it works on a copy of the rootfs, but sees and can change "
                "this machine's files, processes and network"
            )
        copy = self._copy()
        arguments = ["/bin/sh", "-c", command.text]
        if sys.platform == "linux" and (setpriv := shutil.which("setpriv")):
            arguments = [setpriv, "--pdeathsig", "KILL", "--", *arguments]
        environment = _environment(command, copy, os.environ.get("HOME") or "/")
        with _start(arguments, environment, copy, subprocess.DEVNULL) as process:
            _watch(process, show, command.timeout)
        return process.returncode

    def _copy(self) -> Path:
        copy = self._directory / "copy"
        with storage_errors("the rootfs could not be copied", copy):
            remove_tree(copy)
            shutil.copytree(self._rootfs, copy, symlinks=True)
        return copy

    def _prepare(self, *names: str) -> None:
        with storage_errors("the rootfs could not be prepared", self._directory):
            for name in names:
                remove_tree(self._directory / name)
                (self._directory / name).mkdir(mode=0o755)


def _environment(command: Command, top: Path, home: str) -> dict[str, str]:
    path = command.environment.get("PATH") or os.defpath
    return {"HOME": home, **command.environment, "PATH": f"{top}/bin:{path}"}


def _start(
    arguments: list[str], environment: dict[str, str], directory: Path, stdin: int, passed: int | None = None
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            arguments,
            cwd=directory,
            env=environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=() if passed is None else (passed,),
            start_new_session=True,
            umask=0o022,
        )
    except OSError as error:
        raise BuildError("the command could not be started", why=error.strerror or str(error)) from error


def _ending(status: int) -> str:
    return f"ended with status {status}" if status > 0 else f"was ended by signal {-status}"


def _end(process: subprocess.Popen[bytes], *, gently: bool) -> None:
    """End what the command left behind: its session is the build's own."""
    if gently and not _has_ended(process):
        process.terminate()  # a world's program takes the first process, and waits until all of them are gone
        with _end_of(process) as ended, selectors.DefaultSelector() as selector:
            selector.register(ended, selectors.EVENT_READ)
            selector.select(_ENDING_SECONDS)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Without reaping it: its number stays its own until its session was killed."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None


def _watch(
    process: subprocess.Popen[bytes], show: Callable[[str], None], timeout: float | None, *, gently: bool = False
) -> None:
    """Pass on lines until the command ends; a daemon of its that holds the pipe open does not keep us."""
    try:
        if not _pass_on(process, _Lines(show), timeout):
            raise TimeoutError
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    finally:
        _end(process, gently=gently)


@contextlib.contextmanager
def _end_of(process: subprocess.Popen[bytes]) -> Iterator[int]:
    """A descriptor that becomes readable when the process ends; -1 where there is no such thing."""
    descriptor = os.pidfd_open(process.pid) if hasattr(os, "pidfd_open") else -1
    try:
        yield descriptor
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _pass_on(process: subprocess.Popen[bytes], lines: _Lines, timeout: float | None) -> bool:
    """Whether it ended in time."""
    assert process.stdout is not None
    until = None if timeout is None else time.monotonic() + timeout
    with _end_of(process) as ended, selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if ended >= 0:
            selector.register(ended, selectors.EVENT_READ)
        in_time = True
        while selector.get_map():
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                in_time = False
                break
            ready = {key.fd for key, _ in selector.select(left)}
            if process.stdout.fileno() in ready:
                if data := os.read(process.stdout.fileno(), 65536):
                    lines.feed(data)
                else:
                    selector.unregister(process.stdout)
            elif ended in ready:
                break
    lines.end()
    return in_time


class _Lines:
    """Cuts output into lines; of a progress bar's many states in one line the last counts."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._rest = b""

    def feed(self, data: bytes) -> None:
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            self._emit(line)
        self._rest = redactor.cut(self._rest, LONGEST_LINE, self._emit)

    def end(self) -> None:
        if self._rest:
            self._emit(self._rest)

    def _emit(self, line: bytes) -> None:
        shown = line.rstrip(b"\r").rpartition(b"\r")[2]
        self._show(shown.decode("utf-8", "replace"))
