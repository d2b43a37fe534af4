"""Becoming root by sudo: every way it can go wrong has its own message."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sealer.errors import HostError
from sealer.extension import Connection
from sealer.hosts import Host, Ssh
from sealer.redaction import Secret
from sealer.testing.sshd import LoopbackSshd

Connect = Callable[..., Connection]
Sudoers = Callable[..., None]


@pytest.fixture
def host(sshd: LoopbackSshd, user: str) -> Host:
    return replace(sshd.host, ssh=Ssh(user=user, private_key=str(sshd.key), port=sshd.port))


def with_password(host: Host, password: str) -> Host:
    return replace(host, ssh=replace(host.ssh, password=Secret(password)))


def test_the_password_is_asked_for_and_not_given(host: Host, user: str, sudoers: Sudoers, connect: Connect) -> None:
    sudoers(f"{user} ALL=(ALL) ALL")
    with pytest.raises(HostError, match="cannot become root: sudo asks for a password and none was given") as caught:
        connect(host)
    assert "NOPASSWD" in caught.value.remedy


def test_the_password_is_wrong(host: Host, user: str, sudoers: Sudoers, connect: Connect) -> None:
    sudoers(f"Defaults:{user} passwd_tries=1", f"{user} ALL=(ALL) ALL")
    with pytest.raises(HostError, match="sudo refused the password"):
        connect(with_password(host, "wrong horse"))


# sudo as ever, but for what it says: that is sudo-rs's.
RUST = """#!/bin/sh
said=$(mktemp)
/usr/bin/sudo "$@" 2>"$said"
status=$?
sed -e 's/a password is required/interactive authentication is required/' \\
    -e 's/.*incorrect password attempts*/sudo: Maximum 3 incorrect authentication attempts/' "$said" >&2
rm "$said"
exit $status
"""


def test_sudo_in_other_words(
    start_sshd: Callable[..., LoopbackSshd],
    user: str,
    password: str,
    sudoers: Sudoers,
    connect: Connect,
) -> None:
    """Ubuntu's sudo is another program since 25.10."""
    with tempfile.TemporaryDirectory() as directory:  # which the user may look into
        program = Path(directory) / "sudo"
        program.write_text(RUST)
        for path in (program, program.parent):
            path.chmod(0o755)
        server = start_sshd(f"SetEnv SHLVL=2 PATH={directory}:/usr/bin:/bin")
        host = replace(server.host, ssh=Ssh(user=user, private_key=str(server.key), port=server.port))
        sudoers(f"Defaults:{user} passwd_tries=1", f"{user} ALL=(ALL) ALL")
        with pytest.raises(HostError, match="sudo asks for a password and none was given"):
            connect(host)
        with pytest.raises(HostError, match="sudo refused the password"):
            connect(with_password(host, "wrong horse"))
        output = bytearray()
        connect(with_password(host, password)).execute("id -un; cat", stdin=[b"input\n"], stdout=output.extend)
        assert output == b"root\ninput\n"


def test_the_user_may_not(host: Host, user: str, password: str, sudoers: Sudoers, connect: Connect) -> None:
    sudoers("# nobody")
    with pytest.raises(HostError, match="the user may not use sudo") as caught:
        connect(with_password(host, password))
    assert user in caught.value.remedy


def test_a_terminal_is_wanted(host: Host, user: str, sudoers: Sudoers, connect: Connect) -> None:
    sudoers(f"Defaults:{user} requiretty", f"{user} ALL=(ALL) NOPASSWD: ALL")
    with pytest.raises(HostError, match="its sudo wants a terminal") as caught:
        connect(host)
    assert f"Defaults:{user} !requiretty" in caught.value.remedy


def test_a_remembered_password_does_not_count(
    host: Host, user: str, password: str, sudoers: Sudoers, connect: Connect
) -> None:
    """Otherwise the run would fail minutes later, when sudo has forgotten it."""
    sudoers(f"Defaults:{user} timestamp_type=global", f"{user} ALL=(ALL) ALL")
    connection = connect(with_password(host, password))
    remember = f"su {user} -c 'sudo -S -p \"\" -v && sudo -n true'"
    assert connection.execute(remember, stdin=[f"{password}\n".encode()]).status == 0
    with pytest.raises(HostError, match="none was given"):
        connect(host)


def test_the_password_is_on_no_command_line(
    host: Host, user: str, password: str, sudoers: Sudoers, connect: Connect
) -> None:
    sudoers(f"{user} ALL=(ALL) ALL")
    output = bytearray()
    connect(with_password(host, password)).execute("cat /proc/[0-9]*/cmdline 2>/dev/null; cat", stdout=output.extend)
    assert b"sudo" in output
    assert password.encode() not in output


@pytest.mark.parametrize("options", [{}, {"passwd_tries": 3}])
def test_the_first_line_of_input_is_the_command_s(
    host: Host, user: str, password: str, sudoers: Sudoers, connect: Connect, options: dict[str, int]
) -> None:
    sudoers(*(f"Defaults:{user} {name}={value}" for name, value in options.items()), f"{user} ALL=(ALL) ALL")
    output = bytearray()
    connect(with_password(host, password)).execute("cat", stdin=[b"first\n", b"second\n"], stdout=output.extend)
    assert output == b"first\nsecond\n"
