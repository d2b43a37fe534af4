"""What each host was given of the registry's settings that keep it safe, as the operator's machine remembers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sealer_plugin_registry.certificates import keep
from sealer_plugin_registry.trusting import Login

PULLS_ONLY = "pulls only"  # the form of the service; the first one, of which there are no notes, took pushes
LOCAL = "spec.registry.localRegistry"
EXTERNAL = "spec.registry.externalRegistry"
FIELDS = frozenset({LOCAL, *(f"{where}.{name}" for where in (LOCAL, EXTERNAL) for name in ("username", "password"))})


@dataclass(frozen=True)
class Logins:
    """How hosts sign in to the private registry and to an external one."""

    local: Login
    external: Login


@dataclass(frozen=True)
class Protection:
    """Compares what hosts were given with what an operation wants them to have.

    A note is written after a host was set up, so that a run that ended between two hosts goes on with the others.

    :param directory: of the registry's credentials, below which the notes lie.
    :param wanted: by the operation.
    :param before: what hosts without a note were given, when their cluster was made.
    """

    directory: Path
    wanted: Logins
    before: Logins

    def serves(self, address: str) -> bool:
        """Whether the registry on a host runs as it should."""
        return self._read("served", address) == _served(self.wanted)

    def told(self, address: str) -> bool:
        """Whether a host signs in as it should."""
        return (self._read("told", address) or _told(self.before)) == _told(self.wanted)

    def note_served(self, address: str) -> None:
        """Remember that the registry on a host was set up."""
        self._write("served", address, _served(self.wanted))

    def note_told(self, address: str) -> None:
        """Remember that a host was told how to sign in."""
        self._write("told", address, _told(self.wanted))

    def note_before(self, addresses: Iterable[str]) -> None:
        """Remember what hosts have that were set up before there were notes; to be called before that is forgotten."""
        for address in addresses:
            if not self._read("told", address):
                self._write("told", address, _told(self.before))

    def differing(self, seats: Iterable[str], members: Iterable[str]) -> frozenset[str]:
        """The Clusterfile's fields by which hosts differ from what is wanted.

        :param seats: addresses of the hosts that the registry runs on.
        :param members: addresses of all hosts.
        """
        found = set()
        if not all(self.told(address) for address in members):
            where, one, other = LOCAL, self.before.local, self.wanted.local
            if one == other:
                where, one, other = EXTERNAL, self.before.external, self.wanted.external
            found.add(f"{where}.{'password' if one.username == other.username else 'username'}")
        elif not all(self.serves(address) for address in seats):
            found.add(LOCAL)
        return frozenset(found)

    def _read(self, kind: str, address: str) -> str:
        try:
            return self._path(kind, address).read_text()
        except FileNotFoundError:
            return ""

    def _write(self, kind: str, address: str, content: str) -> None:
        keep(self._path(kind, address), content.encode())

    def _path(self, kind: str, address: str) -> Path:
        return self.directory / kind / address


def _served(logins: Logins) -> str:
    return f"{PULLS_ONLY} {_digest(logins.local)}"


def _told(logins: Logins) -> str:
    return f"{_digest(logins.local)} {_digest(logins.external)}"


def _digest(login: Login) -> str:
    return hashlib.sha256(login.header.encode()).hexdigest()
