"""Logging in: which credentials are tried, in which order, and what is said when none is accepted."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import paramiko  # noqa: TID253  # this module is imported by a running connection only

from sealer.errors import AuthenticationError
from sealer.hosts import Host
from sealer.redaction import Secret
from sealer_plugin_ssh import keys
from sealer_plugin_ssh.dial import DroppedError
from sealer_plugin_ssh.multiplexer import Multiplexer
from sealer_plugin_ssh.questions import Conversation, UnansweredError
from sealer_plugin_ssh.ssh_config import HostConfig

CLUSTER_KEY = "the cluster's key"


@dataclass(frozen=True)
class Credential:
    """One thing to try.

    :param name: what messages call it.
    :param methods: SSH methods that it suits; the first one that the host offers is used.
    :param use: makes the attempt by that method.
    """

    name: str
    methods: tuple[str, ...]
    use: Callable[[Multiplexer, str], object]


@dataclass(frozen=True)
class Found:
    """All there is to try for a host.

    :param unusable: why a key that was named cannot be used; the others are tried without it.
    :param locked: the same of keys that ssh's configuration names, which are the agent's, perhaps.
    """

    credentials: Sequence[Credential]
    unusable: Sequence[AuthenticationError] = ()
    locked: Sequence[AuthenticationError] = ()


@contextlib.contextmanager
def credentials(host: Host, cluster_key: Path | None = None, config: HostConfig | None = None) -> Iterator[Found]:
    """The cluster's key, the host's own, those of ssh's configuration, the agent's, the default keys, the password.

    :param cluster_key: file of the key that sealer has put on the cluster's hosts, if it has.
    :param config: what ssh's configuration says of the host.
    """
    config = config or HostConfig(host.address, host.address)
    user = host.ssh.user
    found: list[Credential] = []
    unusable: list[AuthenticationError] = []
    locked: list[AuthenticationError] = []

    def add(given: str, passphrase: Secret | None, called: str = "") -> None:
        try:
            loaded = keys.load(given, passphrase, host.address)
        except AuthenticationError as error:
            unusable.append(error)
        else:
            found.extend(_by_key(user, called or name, key) for name, key in loaded)

    if cluster_key is not None and cluster_key.exists():
        add(str(cluster_key), None, CLUSTER_KEY)
    if host.ssh.private_key:
        add(host.ssh.private_key, host.ssh.private_key_password)
    for file in config.identity_files:
        try:
            found.extend(_by_key(user, name, key) for name, key in keys.load(file, None, host.address))
        except AuthenticationError as error:  # the agent may have it
            locked.append(error)
    only = keys.public_halves([host.ssh.private_key, *config.identity_files]) if config.identities_only else None
    with contextlib.closing(_agent(config.identity_agent)) as agent:
        with contextlib.suppress(paramiko.SSHException, OSError):
            found.extend(_by_key(user, name, key) for name, key in keys.of_agent(agent, only))
        if not config.identity_files:
            found.extend(_by_key(user, name, key) for name, key in keys.load_defaults())
        if host.ssh.password:
            found.append(_by_password(user, host.ssh.password))
        yield Found(found, unusable, locked)


class Login:
    """The attempts to log in to one host, over as many connections as it takes.

    sshd hangs up after a few wrong credentials (MaxAuthTries): then the next connection goes on where this one ended.
    """

    def __init__(self, host: Host, found: Found) -> None:
        self._host = host
        self._waiting = list(found.credentials)
        self._unusable = found.unusable
        self._locked = found.locked
        self._tried: list[str] = []
        self._offered: Sequence[str] = ()
        self._unanswered = ""

    @property
    def missed(self) -> Sequence[AuthenticationError]:
        """The keys that could not be used, where the login needed more than the cluster's own key."""
        return () if self._tried == [CLUSTER_KEY] else self._unusable

    def attempt(self, transport: Multiplexer) -> None:
        """Log in.

        :raises AuthenticationError: nothing was accepted.
        :raises DroppedError: the host closed the connection, with credentials left to try.
        """
        offered = self._ask(transport)
        while not transport.is_authenticated() and (choice := self._next(offered)):
            credential, method = choice
            self._waiting.remove(credential)  # what does not suit now may, once this one was accepted
            self._tried.append(credential.name)
            offered = self._use(transport, credential, method) or offered
        if not transport.is_authenticated():
            raise self._refused()

    def _next(self, offered: Sequence[str]) -> tuple[Credential, str] | None:
        """The first one left that the host takes, and by which method."""
        suiting = ((one, name) for one in self._waiting for name in one.methods if name in offered)
        return next(suiting, None)

    def _ask(self, transport: Multiplexer) -> Sequence[str]:
        """The methods that the host offers."""
        try:
            transport.auth_none(self._host.ssh.user)
        except paramiko.BadAuthenticationType as error:
            self._offered = error.allowed_types
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise DroppedError("it closed the connection during login") from error
        return self._offered

    def _use(self, transport: Multiplexer, credential: Credential, method: str) -> Sequence[str]:
        """Try one; what may follow if it was accepted, but is not enough alone."""
        try:
            more = credential.use(transport, method)
        except paramiko.BadAuthenticationType as error:
            return error.allowed_types
        except UnansweredError as error:
            if error.expired:
                raise self._expired(error) from error
            self._unanswered = str(error)
            if self._waiting:
                raise DroppedError(self._unanswered) from error
            raise self._refused() from error
        except (paramiko.SSHException, EOFError, OSError) as error:
            if transport.is_active():
                return ()
            if self._waiting:
                raise DroppedError("it closed the connection during login") from error
            raise self._refused() from error
        return [str(name) for name in more] if isinstance(more, list) else ()

    def _refused(self) -> AuthenticationError:
        tried = ", ".join(self._tried) or "nothing: no usable key, agent or password"
        unusable = [
            f"{error.what}{f' ({error.why})' if error.why else ''}" for error in (*self._unusable, *self._locked)
        ]
        why = [
            f"tried: {tried}",
            *unusable,
            self._unanswered,
            f"the host accepts: {', '.join(self._offered) or 'unknown'}",
        ]
        return AuthenticationError(
            f"login as {self._host.ssh.user} was refused",
            where=self._host.address,
            why="; ".join(filter(None, why)),
            remedy="; ".join(
                [
                    *(error.remedy for error in self._unusable if error.remedy),
                    "check user, key and password (--user, --pk, --passwd, or ssh in the Clusterfile)",
                    f"'{self._command}' must work",
                    "sshd's log on the host says more",
                ]
            ),
        )

    def _expired(self, error: UnansweredError) -> AuthenticationError:
        return AuthenticationError(
            f"the password of {self._host.ssh.user} has expired and must be changed",
            where=self._host.address,
            why=str(error),
            remedy=f"log in with '{self._command}' and change it, then run the same command again with the new one",
        )

    @property
    def _command(self) -> str:
        ssh = self._host.ssh
        file = f" -F {ssh.config}" if ssh.config else ""
        port = f" -p {ssh.port}" if ssh.port not in (0, 22) else ""
        return f"ssh{file}{port} {ssh.user}@{ssh.alias or self._host.address}"


def _agent(where: str) -> keys.Agent:
    return paramiko.Agent() if not where else keys.AgentAt(where)


def _by_key(user: str, name: str, key: paramiko.PKey) -> Credential:
    return Credential(name, ("publickey",), lambda transport, _: transport.auth_publickey(user, key))


def _by_password(user: str, password: Secret) -> Credential:
    def use(transport: Multiplexer, method: str) -> object:
        if method == "password":
            return transport.auth_password(user, password.reveal(), fallback=False)
        return transport.auth_interactive(user, Conversation(password).answer)

    return Credential("password", ("password", "keyboard-interactive"), use)
