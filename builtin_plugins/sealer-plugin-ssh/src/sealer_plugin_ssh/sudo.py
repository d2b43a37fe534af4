"""Finding out how to become root on a host, once per connection."""

from __future__ import annotations

from sealer.errors import HostError
from sealer.hosts import Host
from sealer.redaction import redactor
from sealer_plugin_ssh.connection import SshConnection
from sealer_plugin_ssh.privileges import Privileges, shell_line

PROBE_TIMEOUT = 30.0
_ALREADY_ROOT, _NO_SUDO = 100, 101

# -k: an earlier password, still remembered by sudo, must not make it look as if none were needed.
_PROBE = (
    f'test "$(id -u)" != 0 || exit {_ALREADY_ROOT}; command -v sudo >/dev/null 2>&1 || exit {_NO_SUDO}; '
    "LC_ALL=C exec sudo -k -n -- /bin/sh -c :"
)
_WITH_PASSWORD = "LC_ALL=C exec sudo -k -S -p '' -- /bin/sh -c :"  # noqa: S105  # a command, not a password


def find_privileges(connection: SshConnection, host: Host) -> Privileges:
    """How commands become root's for the user who logged in.

    :raises HostError: in no way; says what to change.
    """
    status, said = _try(connection, _PROBE)
    if status == _ALREADY_ROOT:
        return Privileges()
    if status == 0:
        return Privileges(sudo=True)
    if status == _NO_SUDO:
        raise _refused(host, "sudo is not installed", "log in as root, or install sudo and allow the user to use it")
    if host.ssh.password:  # whatever it said: sudo-rs, Ubuntu's since 25.10, speaks of authentication instead
        first = host.ssh.password.reveal().encode() + b"\n"
        status, said = _try(connection, _WITH_PASSWORD, first)
        if status == 0:
            return Privileges(sudo=True, password=host.ssh.password)
    raise _explained(host, said)


def _try(connection: SshConnection, command: str, stdin: bytes = b"") -> tuple[int, str]:
    said = bytearray()
    end = connection.execute_as_login(
        f"exec {shell_line(command)}",
        stdin=(stdin,),
        stdout=said.extend,
        stderr=said.extend,
        timeout=PROBE_TIMEOUT,
    )
    return end.status, redactor(said.decode(errors="replace"))


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
    return HostError(
        f"user {host.ssh.user} cannot become root",
        where=host.address,
        why=why,
        remedy=remedy,
        output=said.splitlines()[-5:],
    )
