"""A real SSH server for the tests, and a user to log in to it."""

import os
import pwd
import re
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sealer.events import EventStream, Json
from sealer.extension import Connection
from sealer.hosts import Host
from sealer.settings import Settings
from sealer.testing.sshd import LoopbackSshd, why_not
from sealer_plugin_ssh.transport import SshTransport

Connect = Callable[..., Connection]
PASSWORD = f"Wal-Nuss 7'\"$x{secrets.token_hex(8)}"  # nobody can log in to what a killed run leaves


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither keys, nor known hosts, nor the agent of whoever runs the tests."""
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


@pytest.fixture(scope="session")
def needs_sshd() -> None:
    if reason := why_not():
        pytest.skip(reason)


@pytest.fixture(scope="module")
def sshd(needs_sshd: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackSshd]:
    with LoopbackSshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def start_sshd(needs_sshd: None, tmp_path: Path) -> Iterator[Callable[..., LoopbackSshd]]:
    """Start a server with further lines of configuration."""
    servers: list[LoopbackSshd] = []

    def start(*settings: str, **more: object) -> LoopbackSshd:
        directory = tmp_path / f"sshd{len(servers)}"
        directory.mkdir()
        server = LoopbackSshd(directory, *settings, **more)  # type: ignore[arg-type]
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Connect]:
    """Connect to a host with fields of the driver; closed at the end."""
    connections = []

    def connect(host: Host, **options: Json) -> Connection:
        transport = SshTransport(Settings(home=tmp_path / "sealer"), EventStream(), options)
        connections.append(transport.connect(host))
        return connections[-1]

    yield connect
    for connection in connections:
        connection.close()


@pytest.fixture(scope="session")
def user(needs_sshd: None) -> Iterator[str]:
    """A user of this machine with a password, and no right to anything."""
    for entry in pwd.getpwall():
        made_by = re.fullmatch(r"sealer(\d+)", entry.pw_name)
        if made_by and not Path("/proc", made_by[1]).exists():  # a run that was killed
            remove_user(entry.pw_name)
    name = f"sealer{os.getpid()}"
    subprocess.run(("useradd", "-M", "-d", "/", "-s", "/bin/sh", name), check=True)
    try:
        subprocess.run(("chpasswd",), input=f"{name}:{PASSWORD}\n", text=True, check=True)
        yield name
    finally:
        remove_user(name)


def remove_user(name: str) -> None:
    sudoers_file(name).unlink(missing_ok=True)
    # -f: a command given up by a test may still hold a session of the user.
    subprocess.run(("userdel", "-f", name), check=True, capture_output=True)


def sudoers_file(user: str) -> Path:
    return Path("/etc/sudoers.d") / user


@pytest.fixture
def sudoers(user: str) -> Iterator[Callable[..., None]]:
    """Write a sudoers file for the user."""
    if not shutil.which("sudo"):
        pytest.skip("sudo is not installed (apt-get install sudo)")
    file = sudoers_file(user)

    def write(*lines: str) -> None:
        file.write_text("".join(f"{line}\n" for line in lines))
        file.chmod(0o440)

    yield write
    file.unlink(missing_ok=True)


def output_of(connection: Connection, command: str, **more: object) -> str:
    output = bytearray()
    connection.execute(command, stdout=output.extend, stderr=output.extend, timeout=60, **more)  # type: ignore[arg-type]
    return output.decode()


@pytest.fixture(name="output_of")
def _output_of() -> Callable[..., str]:
    """Run a command; everything that it printed."""
    return output_of


@pytest.fixture
def password() -> str:
    return PASSWORD
