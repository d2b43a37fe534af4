"""RUN: a command of the build host that works on the rootfs, and what it changed.

On Linux as root the rootfs is the lower directory of an overlay, mounted in a mount namespace that only the command
lives in, so that nothing stays mounted whatever kills sealer; with a process namespace, so that nothing stays running.
Elsewhere the command gets a copy of the rootfs, and both trees are compared.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from sealer.errors import BuildError
from sealer.image.changes import layer_entries, overlay_changes, tree_changes
from sealer.image.layer import Entry
from sealer.image.storage import remove_tree, storage_errors
from sealer.redaction import redactor

LAST_LINES = 20
LONGEST_LINE = 16 * 1024
_TOOLS = ("mount", "unshare", "setpriv")
# Relative names: a comma or a colon in the store's path would mean something to mount.
_OPTIONS = "lowerdir=rootfs,upperdir=upper,workdir=work,index=off,metacopy=off,redirect_dir=off"
_OVERLAY = f'"$1" -t overlay -o {_OPTIONS} sealer merged'
_MOUNTED = f'{_OVERLAY} && cd merged && exec /bin/sh -c "$2"'


class Runner:
    """Runs the commands of one build.

    :param directory: of the build; it holds `rootfs`.
    :param overlay: False to work on a copy in any case; None to find out.
    """

    def __init__(self, directory: Path, overlay: bool | None = None) -> None:
        self._directory = directory
        self._overlay = overlay
        self._rootfs = directory / "rootfs"
        self._top = directory / "merged"  # the rootfs's name for the command

    def run(self, command: str, environment: Mapping[str, str], line: Callable[[str], None]) -> list[Entry]:
        """Run a command; what it changed is returned, in the order of a layer.

        The files that the entries are read from stay until the next command runs.

        :param environment: in addition to PATH and HOME.
        :param line: gets each line that the command prints.
        :raises BuildError: it failed; with the last lines it printed.
        """
        self._prepare()
        if self._overlay is None:
            self._overlay = self._can_overlay()
            self._prepare()
        if not self._overlay:
            with storage_errors("the rootfs could not be copied", self._top):
                self._top.rmdir()
                shutil.copytree(self._rootfs, self._top, symlinks=True)
        status, output = self._execute(command, self._environment(environment), line)
        if status:
            raise BuildError(
                f"the command ended with status {status}"
                if status > 0
                else f"the command was ended by signal {-status}",
                output=redactor.lines(output),
                remedy="mend the command in the Kubefile and build again",
            )
        if self._overlay:
            upper = self._directory / "upper"
            return layer_entries(self._rootfs, upper, overlay_changes(self._rootfs, upper), self._top)
        return layer_entries(self._rootfs, self._top, tree_changes(self._rootfs, self._top), self._top)

    def _prepare(self) -> None:
        with storage_errors("the rootfs could not be prepared", self._directory):
            for name in ("upper", "work", "merged"):
                remove_tree(self._directory / name)
                (self._directory / name).mkdir(mode=0o755)

    def _environment(self, given: Mapping[str, str]) -> dict[str, str]:
        path = given.get("PATH") or os.environ.get("PATH") or os.defpath
        home = os.environ.get("HOME") or "/"
        return {"HOME": home, **given, "PATH": f"{self._top}/bin:{path}"}

    def _can_overlay(self) -> bool:
        if sys.platform != "linux" or os.geteuid() != 0 or not all(map(shutil.which, _TOOLS)):
            return False
        probe = self._arguments(": > probe")
        return subprocess.run(probe, cwd=self._directory, capture_output=True, check=False).returncode == 0

    def _arguments(self, command: str) -> list[str]:
        mount, unshare, setpriv = (str(shutil.which(tool)) for tool in _TOOLS)
        namespaces = [unshare, "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        return [
            setpriv,
            "--pdeathsig",
            "KILL",
            "--",
            *namespaces,
            "--",
            "/bin/sh",
            "-c",
            _MOUNTED,
            "sh",
            mount,
            command,
        ]

    def _execute(self, command: str, environment: dict[str, str], line: Callable[[str], None]) -> tuple[int, list[str]]:
        last: deque[str] = deque(maxlen=LAST_LINES)

        def show(text: str) -> None:
            last.append(text)
            line(text)

        arguments, directory = self._arguments(command), self._directory
        if not self._overlay:
            arguments, directory = ["/bin/sh", "-c", command], self._top
            if sys.platform == "linux" and (setpriv := shutil.which("setpriv")):
                arguments = [setpriv, "--pdeathsig", "KILL", "--", *arguments]
        try:
            process = subprocess.Popen(
                arguments,
                cwd=directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=0o022,
            )
        except OSError as error:
            raise BuildError("the command could not be started", why=error.strerror or str(error)) from error
        with process:
            try:
                _watch(process, show)
                os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # its number stays its own until the kill
            finally:
                _kill_group(process)
            return process.wait(), list(last)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End what the command left behind: its session is the build's own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _watch(process: subprocess.Popen[bytes], show: Callable[[str], None]) -> None:
    """Pass on lines until the command ends; a daemon of its that holds the pipe open does not keep us."""
    assert process.stdout is not None
    lines = _Lines(show)
    ended = os.pidfd_open(process.pid) if hasattr(os, "pidfd_open") else -1
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            if ended >= 0:
                selector.register(ended, selectors.EVENT_READ)
            while True:
                ready = {key.fd for key, _ in selector.select()}
                if process.stdout.fileno() in ready:
                    data = os.read(process.stdout.fileno(), 65536)
                    if not data:
                        break
                    lines.feed(data)
                elif ended in ready:
                    break
    finally:
        if ended >= 0:
            os.close(ended)
    lines.end()


class _Lines:
    """Cuts output into lines; of a progress bar's many states in one line the last counts."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._rest = b""

    def feed(self, data: bytes) -> None:
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            self._emit(line)
        while len(self._rest) > LONGEST_LINE:
            self._emit(self._rest[:LONGEST_LINE])
            self._rest = self._rest[LONGEST_LINE:]

    def end(self) -> None:
        if self._rest:
            self._emit(self._rest)

    def _emit(self, line: bytes) -> None:
        shown = line.rstrip(b"\r").rpartition(b"\r")[2]
        self._show(shown.decode("utf-8", "replace"))
