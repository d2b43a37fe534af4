"""Where secrets of a cluster must not be: in what `ps` shows while sealer works, and in files that are not for them."""

from __future__ import annotations

import base64
import re
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from sealer.hosts import Host
from sealer_plugin_nspawn.testing import on_host

_TOKEN = r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b"  # kubeadm's
_MARK = b"PRIVATE KEY"
_OFTEN = 0.05  # seconds between two looks
_YOUNG = 3.0  # seconds for which a process is looked at: what it does to its title it does first


def _in_base64(text: bytes) -> list[str]:
    """The three ways in which a text stands in base64, by what is before it."""
    return [
        base64.b64encode(b"-" * before + text).decode()[-(-8 * before // 6) : 8 * (before + len(text)) // 6]
        for before in range(3)
    ]


SECRET = "|".join([_TOKEN, _MARK.decode(), *_in_base64(_MARK)])  # for grep -E, and for re


class CommandLines:
    """Looks, while it is entered, at the command lines of sealer and what it starts, and of all processes on the hosts.

    The hosts are containers: this machine sees what runs on them.

    :param home: of the sealer that is meant.
    """

    def __init__(self, home: Path, hosts: Sequence[Host]) -> None:
        self._mark = f"SEALER_HOME={home}".encode()
        self._namespaces = {on_host(host, "readlink /proc/self/ns/pid") for host in hosts}
        self._born: dict[str, float] = {}
        self._seen: dict[tuple[str, str], float] = {}  # by process and line: its greatest age when it had that line
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)

    def __enter__(self) -> CommandLines:
        self._look()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def showing(self, pattern: str, age: float = 0.0) -> list[str]:
        """The command lines in which something was seen.

        :param age: seconds; of a process only what it still showed when it was so old.
        """
        return [line for (_, line), seen in self._seen.items() if seen >= age and re.search(pattern, line)]

    def _look_on(self) -> None:
        while not self._stop.wait(_OFTEN):
            self._look()

    def _look(self) -> None:
        now = time.monotonic()
        found = {path.name for path in Path("/proc").iterdir() if path.name.isdigit()}
        for gone in self._born.keys() - found:
            del self._born[gone]
        for process in found:
            age = now - self._born.setdefault(process, now)
            if age <= _YOUNG:
                self._look_at(process, age)

    def _look_at(self, process: str, age: float) -> None:
        directory = Path("/proc", process)
        try:
            ours = self._mark in (directory / "environ").read_bytes().split(b"\0")
            if not ours and str((directory / "ns/pid").readlink()) not in self._namespaces:
                return
            line = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:  # it has ended
            return
        self._seen[process, line] = age


def secrets_below(directory: Path, *without: str) -> list[str]:
    """The files below a directory with a token or a private key in them.

    :param without: directories in it that are the place for such.
    """
    return [
        f"{path}: {found[0]}"
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.relative_to(directory).parts[0] not in without
        if (found := re.search(SECRET, path.read_bytes().decode("latin-1")))
    ]


def secrets_on(host: Host) -> list[str]:
    """The text files on a host with a token or a private key in them, but for its own and for those of /etc/kubernetes;
    and the lines of its journal."""
    return on_host(
        host,
        f"""
        grep -rIlE '{SECRET}' /var/lib/sealer /var/log /root /home /tmp /opt /srv 2>/dev/null | grep -v '^/root/.ssh/'
        find /etc -xdev \\( -path /etc/kubernetes -o -path /etc/ssh -o -path /etc/ssl \\) -prune -o -type f \\
            -exec grep -IlE '{SECRET}' {{}} +
        journalctl --no-pager --output=cat | grep -E '{SECRET}'
        true""",
    ).splitlines()
