"""The steps from a host's address to a connection that commands can run on."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import paramiko  # noqa: TID253  # this module is imported by the first connection only

from sealer.errors import HostUnreachableError
from sealer.events import Json
from sealer.hosts import Host
from sealer.settings import Settings
from sealer_plugin_ssh import limits
from sealer_plugin_ssh.authentication import Login, credentials
from sealer_plugin_ssh.connection import SshConnection
from sealer_plugin_ssh.dial import DroppedError, dial
from sealer_plugin_ssh.known_hosts import SYSTEM_FILE, USABLE, HostKey, KnownHosts, RecordedKeyError
from sealer_plugin_ssh.multiplexer import Multiplexer
from sealer_plugin_ssh.sudo import find_privileges
from sealer_plugin_ssh.watch import TICK, Watch

T = TypeVar("T")
ATTEMPTS = 6
FIRST_PAUSE = 0.2  # seconds; doubled with each attempt, and scattered, so that a crowd does not come back as a crowd
HANDSHAKE_TIMEOUT = 20.0
DEFAULT_PORT = 22


@dataclass(frozen=True)
class Options:
    """What the driver's fields say.

    :param cancelled: set when nobody wants a connection any more.
    :param host_key: fingerprint that is recorded of the host; empty: none is.
    :param warn: what to do with a word about the login that is no error.
    """

    known_hosts: KnownHosts
    max_sessions: int = 6
    connect_timeout: float = 10.0
    cluster_key: Path | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)
    host_key: str = ""
    warn: Callable[[str], None] = lambda message: None

    @classmethod
    def from_driver(
        cls,
        options: Mapping[str, Json],
        settings: Settings,
        cluster_key: Path | None = None,
        cancelled: threading.Event | None = None,
    ) -> Options:
        """Read the fields; they have been checked against the schema."""
        own = Path(str(options.get("knownHosts") or settings.home / "known_hosts")).expanduser()
        accept_new = options.get("strictHostKeyChecking", "accept-new") != "yes"
        others = (Path.home() / ".ssh" / "known_hosts", SYSTEM_FILE)
        return cls(
            KnownHosts(own, others, accept_new=accept_new),
            int(str(options.get("maxSessions", 6))),
            float(str(options.get("connectTimeout", 10))),
            cluster_key,
            cancelled or threading.Event(),
        )


class Connector:
    """Makes connections with one set of options."""

    def __init__(self, options: Options) -> None:
        self._options = options

    def connect(self, host: Host) -> SshConnection:
        """Connect, know the host, log in, become root.

        :raises HostError: of the kind that tells where it went wrong.
        :raises InterruptedRunError: it is not wanted any more.
        """
        host = replace(host, ssh=replace(host.ssh, user=host.ssh.user or "root", port=host.ssh.port or DEFAULT_PORT))
        with credentials(host, self._options.cluster_key) as found:
            login = Login(host, found)
            transport, key = _again(host, lambda: self._log_in(host, login), self._options.cancelled)
        for error in login.missed:
            self._options.warn(f"not used for the login: {error.what}{f': {error.why}' if error.why else ''}")
        connection = SshConnection(
            host.address, transport, key.fingerprint, limits.ChannelPlaces(self._options.max_sessions)
        )
        try:
            if host.ssh.user != "root":
                connection.privileges = find_privileges(connection, host)
        except BaseException:
            connection.close()
            raise
        return connection

    def _log_in(self, host: Host, login: Login) -> tuple[Multiplexer, HostKey]:
        """Log in, where the host shows a key that is known, or is new.

        Where several kinds of key could be shown, and no file says which one it was, the recorded one is looked for.
        """
        try:
            return self._log_in_with(host, login, self._options.known_hosts.types(host.address, host.ssh.port))
        except RecordedKeyError as error:
            for kind in USABLE:
                with contextlib.suppress(RecordedKeyError):
                    return self._log_in_with(host, login, [kind])
            raise error

    def _log_in_with(self, host: Host, login: Login, types: list[str]) -> tuple[Multiplexer, HostKey]:
        address, port = host.address, host.ssh.port
        known = self._options.known_hosts
        check = Watch(address, None, self._options.cancelled).check
        with limits.unauthenticated(address, port):
            check()
            socket = dial(address, port, self._options.connect_timeout, check)
            with limits.HANDSHAKES:
                transport = Multiplexer(socket, types)
                transport.auth_timeout = max(transport.auth_timeout, self._options.connect_timeout)
                try:
                    key = _handshake(transport, host, max(HANDSHAKE_TIMEOUT, self._options.connect_timeout), check)
                    known.check(address, port, key, self._options.host_key)
                    login.attempt(transport)
                except BaseException:
                    transport.close()
                    socket.close()
                    raise
        return transport, key


def _handshake(transport: Multiplexer, host: Host, timeout: float, check: Callable[[], None]) -> HostKey:
    over = threading.Event()
    deadline = time.monotonic() + timeout
    try:
        transport.start_client(event=over)
        while not over.wait(TICK) and transport.is_active() and time.monotonic() < deadline:
            check()
        if not transport.is_active():
            raise transport.get_exception() or paramiko.SSHException("negotiation failed")
        key = transport.get_remote_server_key()
    except paramiko.ssh_exception.IncompatiblePeer as error:
        remedy = "bring the host's sshd up to date, or remove its restrictions"
        if "host key" in str(error):
            remedy = (
                "the host signs with SHA-1 (ssh-rsa, ssh-dss) alone, as OpenSSH before 7.2 does with RSA keys: make "
                "other host keys there (`ssh-keygen -A`), see that HostKeyAlgorithms and the HostKey lines of its "
                "sshd_config allow ssh-ed25519, ecdsa-sha2-nistp256 or rsa-sha2-512, and restart sshd"
            )
        raise HostUnreachableError(
            "the SSH server and sealer have no algorithm in common",
            where=host.address,
            why=str(error),
            remedy=remedy,
        ) from error
    except (EOFError, OSError, paramiko.SSHException) as error:
        raise DroppedError(f"the SSH handshake failed: {error or 'the host hung up'}") from error
    return HostKey(key.get_name(), key.asbytes())


def _again(host: Host, connect: Callable[[], T], cancelled: threading.Event) -> T:
    """Connect again, a bounded number of times, when the server hung up early."""
    pause = FIRST_PAUSE
    for left in reversed(range(ATTEMPTS)):
        try:
            return connect()
        except DroppedError as error:
            if not left:
                raise HostUnreachableError(
                    "the SSH server hangs up before the login",
                    where=host.address,
                    why=str(error),
                    remedy="its MaxStartups or a blocking service (fail2ban) may turn us away: see sshd's log there",
                ) from error
        cancelled.wait(pause * random.uniform(0.5, 1.5))  # noqa: S311  # it spreads load, it hides nothing
        pause *= 2
    raise AssertionError  # the last attempt returns or raises
