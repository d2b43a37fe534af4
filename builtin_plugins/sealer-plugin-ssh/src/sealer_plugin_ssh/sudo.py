"""Finding out how to become root on a host, once per connection."""

from __future__ import annotations

from sealer.errors import HostError
from sealer.extension.tail import Tail
from sealer.hosts import Host
from sealer.redaction import redactor
from sealer_plugin_ssh.connection import SshConnection
from sealer_plugin_ssh.privileges import Privileges

PROBE_TIMEOUT = 30.0
_ALREADY_ROOT, _NO_SUDO, _BY_SUDO = 100, 101, 102

# A status of its own shows that sudo ran this, and as root. -k: an earlier password, still remembered by sudo, must not
# make it look as if none were needed.
_AS_ROOT = f"""-- /bin/sh -c 'test "$(id -u)" = 0 && exit {_BY_SUDO}'"""
_PROBE = (
    f'test "$(id -u)" != 0 || exit {_ALREADY_ROOT}; command -v sudo >/dev/null 2>&1 || exit {_NO_SUDO}; '
    f"LC_ALL=C exec sudo -k -n {_AS_ROOT}"
)
_WITH_PASSWORD = f"LC_ALL=C exec sudo -k -S -p '' {_AS_ROOT}"  # a command, not a password


def find_privileges(connection: SshConnection, host: Host) -> Privileges:
    """How commands become root's for the user who logged in.

    :param connection: without privileges yet.
    :raises HostError: in no way; says what to change.
    """
    status, said = _try(connection, _PROBE)
    if status == _ALREADY_ROOT:
        return Privileges()
    if status == _BY_SUDO:
        return Privileges(sudo=True)
    if status == _NO_SUDO:
        raise _refused(host, "sudo is not installed", "log in as root, or install sudo and allow the user to use it")
    if host.ssh.password:  # whatever it said: sudo-rs, Ubuntu's since 25.10, speaks of authentication instead
        first = host.ssh.password.reveal().encode() + b"\n"
        status, said = _try(connection, _WITH_PASSWORD, first)
        if status == _BY_SUDO:
            return Privileges(sudo=True, password=host.ssh.password)
    raise _explained(host, said)


def _try(connection: SshConnection, command: str, *stdin: bytes) -> tuple[int, str]:
    said = Tail()
    end = connection.execute(command, stdin=stdin or None, stdout=said.feed, stderr=said.feed, timeout=PROBE_TIMEOUT)
    return end.status, said.text


def _explained(host: Host, said: str) -> HostError:
    user = host.ssh.user
    if "must have a tty" in said:
        return _refused(
            host, "its sudo wants a terminal", f"add 'Defaults:{user} !requiretty' to the host's sudoers file", said
        )
    if "not in the sudoers" in said or "not allowed" in said or "may not run" in said:
        return _refused(
            host, "the user may not use sudo", f"allow {user} to run all commands in the sudoers file", said
        )
    if any(words in said for words in ("incorrect password", "incorrect authentication", "try again")):
        return _refused(host, "sudo refused the password", f"check the password of {user}: sudo asks for it", said)
    if "password" in said or "interactive authentication" in said:
        return _refused(
            host,
            "sudo asks for a password and none was given",
            f"give the password of {user}, or allow it sudo without one (NOPASSWD)",
            said,
        )
    return _refused(host, "sudo failed", "try 'sudo -n true' on the host", said)


def _refused(host: Host, why: str, remedy: str, said: str = "") -> HostError:
    # Here and not before: with a password that is a word of sudo's own, what it says would not be understood.
    return HostError(
        f"user {host.ssh.user} cannot become root",
        where=host.address,
        why=why,
        remedy=remedy,
        output=redactor.lines(said.splitlines()[-5:]),
    )
