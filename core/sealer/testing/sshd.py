"""A real OpenSSH server on this machine's loopback, for as long as a test takes."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from sealer.hosts import Host, Ssh

ADDRESS = "127.0.0.1"
START_TIMEOUT = 20  # seconds
# bash reads ~/.bashrc for every command over SSH, unless it believes that it was started by another shell.
_NO_BASHRC = "SetEnv SHLVL=2"


def why_not() -> str:
    """Why no server can be started here; empty if it can."""
    if os.geteuid() != 0:
        return "an SSH server that lets root in must be started by root"
    if not _program():
        return "OpenSSH's server is not installed (apt-get install openssh-server)"
    return ""


class LoopbackSshd:
    """An `sshd` with its own host key, port and configuration, which lets root in by one key.

    :param directory: where its files go; must exist.
    :param settings: further lines of sshd_config; each comes before the defaults, so it wins.
    :param host_keys: types of the host keys to make.
    :param namespace: the network namespace to run in; empty: that of the caller.
    """

    def __init__(
        self, directory: Path, *settings: str, host_keys: Sequence[str] = ("ed25519",), namespace: str = ""
    ) -> None:
        self.directory = directory
        self.key = directory / "id_ed25519"
        self.log: list[str] = []
        self.port = _free_port()
        self._settings = settings
        self._host_keys = host_keys
        self._namespace = namespace
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    @property
    def host(self) -> Host:
        """The host to connect to: root, by the key."""
        return Host(ADDRESS, ssh=Ssh(user="root", private_key=str(self.key), port=self.port))

    def host_key(self, kind: str = "ed25519") -> Path:
        """The private host key of a type; `.pub` beside it."""
        return self.directory / f"host_{kind}"

    def start(self) -> None:
        """Start it (again), and return when it listens."""
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        for kind in self._host_keys:
            make_key(self.host_key(kind), kind)
        make_key(self.key)
        authorized = self.directory / "authorized_keys"
        if not authorized.exists():
            authorized.write_text(self.key.with_suffix(".pub").read_text())
        configuration = self.directory / "sshd_config"
        configuration.write_text("\n".join((*self._settings, *self._defaults(authorized))) + "\n")
        program = _program()
        assert program, why_not()
        # Ends with whoever started it, also when that one is killed.
        tied = ("setpriv", "--pdeathsig", "TERM") if shutil.which("setpriv") else ()
        inside = ("ip", "netns", "exec", self._namespace) if self._namespace else ()
        self._process = subprocess.Popen(
            (*tied, *inside, program, "-D", "-e", "-f", configuration),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        listening = threading.Event()
        self._reader = threading.Thread(target=self._read_log, args=(listening,), daemon=True)
        self._reader.start()
        if not listening.wait(START_TIMEOUT) or self._process.poll() is not None:
            self.stop()
            raise RuntimeError("sshd did not start: " + "".join(self.log))

    def stop(self) -> None:
        """End it; connections that are open live on, as with any sshd."""
        if self._process is None or self._reader is None:
            return
        self._process.terminate()
        self._process.wait()
        self._process = None

    def __enter__(self) -> LoopbackSshd:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _defaults(self, authorized: Path) -> list[str]:
        return [
            f"Port {self.port}",
            f"ListenAddress {ADDRESS}",
            *(f"HostKey {self.host_key(kind)}" for kind in self._host_keys),
            "AuthorizedKeysFile none",  # it would be read as the user, who may not look into this directory
            f"AuthorizedKeysCommand /bin/cat {authorized}",
            "AuthorizedKeysCommandUser root",
            "PidFile none",
            "StrictModes no",  # the files lie in a temporary directory
            "UsePAM no",
            "PermitRootLogin yes",
            _NO_BASHRC,
        ]

    def _read_log(self, listening: threading.Event) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        awaited = 1 + sum(line.startswith("ListenAddress") for line in self._settings)
        with self._process.stderr as stream:
            for line in stream:
                self.log.append(line)
                awaited -= "Server listening" in line
                if not awaited:
                    listening.set()
        listening.set()  # it ended: nobody need wait


def make_key(path: Path, kind: str = "ed25519", passphrase: str = "", form: str = "RFC4716") -> None:
    """Make a private key with ssh-keygen, unless it is there.

    :param form: `RFC4716` (OpenSSH's own), `PEM` or `PKCS8`.
    """
    if not path.exists():
        subprocess.run(("ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-m", form, "-f", path), check=True)


def _program() -> str | None:
    return shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def _free_port() -> int:
    with socket.create_server((ADDRESS, 0)) as server:
        return int(server.getsockname()[1])
