"""Where a cluster's own files lie on this machine."""

from __future__ import annotations

import re
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from sealer.cluster.files import make_private_directory, sync_directory, write_atomically, writing
from sealer.errors import InputError

_FILES = frozenset({"journal.jsonl", "Clusterfile", "Clusterfile.pending", "cluster-id"})
_WRITTEN = tuple(f".{name}." for name in ("state.json", *sorted(_FILES)))  # what a kill leaves of a file being written
_FINGERPRINT_KEY = "fingerprint.key"
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?\Z")


@dataclass(frozen=True)
class ClusterHome:
    """The directory of one cluster below `$SEALER_HOME/clusters`."""

    directory: Path

    @classmethod
    def of(cls, clusters: Path, name: str) -> ClusterHome:
        """The one of the cluster `name`.

        :raises InputError: the name is no name of a cluster.
        """
        if not _NAME.match(name):
            raise InputError(
                f"'{name}' cannot be the name of a cluster",
                why="use lower-case letters, digits, '-' and '.', at most 63; begin and end with a letter or digit",
            )
        return cls(clusters / name)

    @property
    def name(self) -> str:
        """The cluster's name."""
        return self.directory.name

    @property
    def exists(self) -> bool:
        """Whether anything is recorded of the cluster."""
        return self.state.exists()

    @property
    def state(self) -> Path:
        """Hosts and status."""
        return self.directory / "state.json"

    @property
    def cluster_id(self) -> Path:
        """The cluster's id once more: a host is lost without it, where the state is damaged."""
        return self.directory / "cluster-id"

    @property
    def clusterfile(self) -> Path:
        """What was applied last, without secrets."""
        return self.directory / "Clusterfile"

    @property
    def pending_clusterfile(self) -> Path:
        """What an unfinished operation is about, without secrets."""
        return self.directory / "Clusterfile.pending"

    @property
    def journal(self) -> Path:
        """What was done in the last operation."""
        return self.directory / "journal.jsonl"

    @property
    def lock(self) -> Path:
        """Held by the sealer that works on the cluster."""
        return self.directory / "lock"

    @property
    def credentials(self) -> Path:
        """Keys of the cluster; never in events, logs or the journal."""
        return self.directory / "credentials"

    def run(self, identifier: str) -> Path:
        """The directory of one run, made."""
        return make_private_directory(self.directory / "runs" / identifier)

    def fingerprint_key(self) -> bytes:
        """The cluster's own key, made when first asked for."""
        path = make_private_directory(self.credentials) / _FINGERPRINT_KEY
        if not path.exists():
            write_atomically(path, secrets.token_hex(32).encode())
        return path.read_bytes()

    def set_credentials_aside(self) -> Path | None:
        """Move away keys that lie there though nothing is recorded: they are not of a cluster that is made now.

        :returns: where they are; None: there are none.
        """
        try:
            found = any(path.name != _FINGERPRINT_KEY for path in self.credentials.iterdir())
        except FileNotFoundError:
            return None
        if not found:
            return None
        number = 1
        while (aside := self.directory / f"credentials.unknown-{number}").exists():
            number += 1
        with writing(aside):
            self.credentials.rename(aside)
        return aside

    def discard(self) -> None:
        """Forget a cluster of which nothing came; what its runs said stays, and so do keys that hosts may know.

        The state goes first: without it the rest is only litter.
        """
        if not self.directory.is_dir():
            return
        with writing(self.directory):
            self.state.unlink(missing_ok=True)
            sync_directory(self.directory)
            for path in self.directory.iterdir():
                if path.name.startswith(_WRITTEN) or path.name in _FILES:
                    path.unlink()
            if self.credentials.is_dir() and {path.name for path in self.credentials.iterdir()} <= {_FINGERPRINT_KEY}:
                shutil.rmtree(self.credentials)

    def remove(self) -> None:
        """Forget the cluster. The state goes first: without it the rest is only litter."""
        self.state.unlink(missing_ok=True)
        sync_directory(self.directory)
        shutil.rmtree(self.directory, ignore_errors=True)
