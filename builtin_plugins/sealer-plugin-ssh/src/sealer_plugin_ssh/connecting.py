"""The steps from a host's address to a connection that commands can run on."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import paramiko  # noqa: TID253  # this module is imported by the first connection only

from sealer.errors import HostError, HostUnreachableError, InterruptedRunError
from sealer.events import Json
from sealer.hosts import Host, Ssh
from sealer.settings import Settings
from sealer_plugin_ssh import limits, ssh_config
from sealer_plugin_ssh.authentication import Login, credentials
from sealer_plugin_ssh.connection import REFUSED_FOR, SshConnection
from sealer_plugin_ssh.dial import DroppedError, HostSocket, dial, spoken
from sealer_plugin_ssh.forwarding import tunnel
from sealer_plugin_ssh.known_hosts import SYSTEM_FILE, USABLE, HostKey, KnownHosts, RecordedKeyError
from sealer_plugin_ssh.multiplexer import Multiplexer
from sealer_plugin_ssh.routes import Hop, effective, route
from sealer_plugin_ssh.ssh_config import HostConfig, SshConfig
from sealer_plugin_ssh.sudo import find_privileges
from sealer_plugin_ssh.watch import TICK, Watch

T = TypeVar("T")
ATTEMPTS = 6
FIRST_PAUSE = 0.2  # seconds; doubled with each attempt, and scattered, so that a crowd does not come back as a crowd
HANDSHAKE_TIMEOUT = 20.0


@dataclass(frozen=True)
class Options:
    """What the driver's fields say.

    :param own_hosts: the file of host keys that is written.
    :param accept_new: whether a host that no file knows is believed, once.
    :param cancelled: set when nobody wants a connection any more.
    :param host_key: fingerprint that is recorded of the host; empty: none is.
    :param warn: what to do with a word about the login that is no error.
    """

    own_hosts: Path
    accept_new: bool = True
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
        return cls(
            Path(str(options.get("knownHosts") or settings.home / "known_hosts")).expanduser(),
            options.get("strictHostKeyChecking", "accept-new") != "yes",
            int(str(options.get("maxSessions", 6))),
            float(str(options.get("connectTimeout", 10))),
            cluster_key,
            cancelled or threading.Event(),
        )

    def known_hosts(self, config: HostConfig | None = None) -> KnownHosts:
        """What is known of the keys of hosts.

        :param config: what ssh's configuration says of the host; None: nothing.
        """
        users = (Path.home() / ".ssh" / "known_hosts",)
        if config is None:
            return KnownHosts(self.own_hosts, (*users, SYSTEM_FILE), accept_new=self.accept_new)
        others = users if config.known_hosts is None else config.known_hosts
        names = dict.fromkeys(filter(None, (config.name, config.host_name, config.host_key_alias)))
        strict = config.strict or not self.accept_new
        return KnownHosts(self.own_hosts, (*others, SYSTEM_FILE), accept_new=not strict, names=tuple(names))


@dataclass(frozen=True)
class _Attempt:
    """A host to log in to, or one on the way to it.

    :param host: with user and port; on the way its address may be a name.
    :param way: the last connection before it; None: from this machine.
    """

    host: Host
    config: HostConfig
    login: Login
    known: KnownHosts
    recorded: str = ""
    way: SshConnection | None = None


class Connector:
    """Makes connections with one set of options."""

    def __init__(self, options: Options) -> None:
        self._options = options

    def connect(self, host: Host) -> SshConnection:
        """Connect, know the host, log in, become root; over the hosts that ssh's configuration puts on the way.

        :raises HostError: of the kind that tells where it went wrong.
        :raises InputError: ssh's configuration cannot be understood.
        :raises InterruptedRunError: it is not wanted any more.
        """
        config = ssh_config.load(host.ssh.config)
        here = config.lookup(ssh_config.name_of(host))
        self._warn_of(config, here)
        host = effective(host, here, recorded=bool(self._options.host_key))
        way: list[SshConnection] = []
        try:
            for hop in route(config, here):
                way.append(self._hop(hop, host, way))
            with credentials(host, self._options.cluster_key, here) as found:
                login = Login(host, found)
                known, last = self._options.known_hosts(here), way[-1] if way else None
                attempt = _Attempt(host, here, login, known, self._options.host_key, last)
                transport, key = _again(host, lambda: self._log_in(attempt), self._options.cancelled)
        except BaseException:
            for connection in reversed(way):
                connection.close()
            raise
        for error in login.missed:
            self._options.warn(f"not used for the login: {error.what}{f': {error.why}' if error.why else ''}")
        connection = SshConnection(
            host.address, transport, key.fingerprint, limits.ChannelPlaces(self._options.max_sessions), way
        )
        connection.user = host.ssh.user
        try:
            if host.ssh.user != "root":
                connection.privileges = find_privileges(connection, host)
        except BaseException:
            connection.close()
            raise
        return connection

    def _hop(self, hop: Hop, target: Host, way: Sequence[SshConnection]) -> SshConnection:
        """The connection to a host on the way: with a login and a known key of its own."""
        host = Host(hop.config.host_name, ssh=Ssh(user=hop.user, port=hop.port))
        self._warn_of(None, hop.config)
        try:
            with credentials(host, None, hop.config) as found:
                known, last = self._options.known_hosts(hop.config), way[-1] if way else None
                attempt = _Attempt(host, hop.config, Login(host, found), known, way=last)
                transport, key = _again(host, lambda: self._log_in(attempt), self._options.cancelled)
        except HostError as error:
            error.what = f"jump host {hop.config.name}: {error.what}"
            error.where = target.address
            raise
        return SshConnection(host.address, transport, key.fingerprint, limits.ChannelPlaces(1))

    def _warn_of(self, config: SshConfig | None, found: HostConfig) -> None:
        for name in found.not_honoured:
            self._options.warn(f"ssh's configuration sets {name}, which has no effect in sealer")
        for section in config.ignored_sections if config else ():
            self._options.warn(f"ssh's configuration: the section has no effect in sealer: {section}")

    def _log_in(self, attempt: _Attempt) -> tuple[Multiplexer, HostKey]:
        """Log in, where the host shows a key that is known, or is new.

        Where several kinds of key could be shown, and no file says which one it was, the recorded one is looked for.
        """
        host = attempt.host
        try:
            return self._log_in_with(attempt, attempt.known.types(host.address, host.ssh.port))
        except RecordedKeyError as error:
            for kind in USABLE:
                with contextlib.suppress(RecordedKeyError):
                    return self._log_in_with(attempt, [kind])
            raise error

    def _log_in_with(self, attempt: _Attempt, types: list[str]) -> tuple[Multiplexer, HostKey]:
        host, timeout = attempt.host, self._options.connect_timeout
        address, port = host.address, host.ssh.port
        watch = Watch(address, None, self._options.cancelled)
        with limits.unauthenticated(address, port):
            watch.check()
            if attempt.way:
                socket = spoken(self._through(attempt.way, address, port), address, port, timeout, watch.check)
            else:
                socket = dial(address, port, timeout, watch.check)
            with limits.HANDSHAKES:
                transport = Multiplexer(socket, types)
                transport.auth_timeout = max(transport.auth_timeout, timeout)
                try:
                    key = _handshake(transport, host, max(HANDSHAKE_TIMEOUT, timeout), watch.check)
                    attempt.known.check(address, port, key, attempt.recorded)
                    attempt.login.attempt(transport)
                except BaseException:
                    transport.close()
                    socket.close()
                    raise
        return transport, key

    def _through(self, way: SshConnection, address: str, port: int) -> HostSocket:
        """A socket that leads to a host from the last one on the way to it."""
        watch = Watch(address, max(self._options.connect_timeout, REFUSED_FOR), self._options.cancelled)
        try:
            carried = tunnel(lambda details: way.open_tunnel(details, watch), address, port)
        except InterruptedRunError:
            raise
        except HostError as error:
            raise HostUnreachableError(
                f"no connection to port {port} from the jump host {way.address}",
                where=address,
                why=error.what,
                remedy="check that the host is up, that the jump host has a route to it, and AllowTcpForwarding in the "
                "jump host's /etc/ssh/sshd_config",
            ) from error
        return HostSocket(fileno=carried.detach())


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
        raise DroppedError(f"the SSH handshake failed: {error or 'the host closed the connection'}") from error
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
