"""Whom to log in as, and over which hosts, by what ssh's configuration says."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from dataclasses import dataclass, replace

from sealer.errors import InputError
from sealer.hosts import DEFAULT_USER, Host, Ssh
from sealer_plugin_ssh.ssh_config import HostConfig, SshConfig, parse_jump

DEFAULT_PORT = 22


@dataclass(frozen=True)
class Hop:
    """A host on the way to another; nothing but ssh's configuration says how to log in to it."""

    config: HostConfig
    user: str
    port: int


def effective(host: Host, config: HostConfig, *, recorded: bool) -> Host:
    """The host with user and port: as given, else as ssh's configuration says, else root and 22.

    :param recorded: it has been logged in to: then its user is recorded, and empty means root.
    """
    given = host.ssh.filled_from(Ssh(user="" if recorded else config.user, port=config.port))
    return replace(host, ssh=given.filled_from(Ssh(user=DEFAULT_USER, port=DEFAULT_PORT)))


def route(config: SshConfig, target: HostConfig) -> list[Hop]:
    """The hosts on the way, the nearest first; none: it is reached from here.

    :raises InputError: the way is not one that can be gone.
    """
    if target.proxy_command and not target.proxy_jump:
        raise InputError(
            f"ssh's configuration reaches {target.name} with ProxyCommand, which sealer does not run",
            why=target.proxy_command,
            remedy="use ProxyJump, or another configuration: --ssh-config FILE, or `--ssh-config none`",
        )
    return list(_hops(config, target, frozenset({target.name})))


def _hops(config: SshConfig, target: HostConfig, seen: frozenset[str]) -> Iterator[Hop]:
    for number, jump in enumerate(target.proxy_jump):
        try:
            user, name, port = parse_jump(jump)
        except ValueError as error:
            raise InputError(
                f"ssh's configuration for {target.name} cannot be understood",
                why=str(error),
                remedy="ProxyJump is [USER@]HOST[:PORT], several with commas",
            ) from error
        if name in seen:  # a section for all hosts is for the one on the way, too
            continue
        found = config.lookup(name)
        if number == 0:
            yield from _hops(config, found, seen | {name})
        yield Hop(found, user or found.user or getpass.getuser(), port or found.port or DEFAULT_PORT)
