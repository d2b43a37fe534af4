"""The secrets of hosts that a provider made, for as long as an operation may need them.

The journal is kept with the runs, so it has no secret. Until the cluster's own key is let in on a new host, only the
provider's login opens it, and a run that was killed before needs it again: it lies in a file among the cluster's
credentials, and goes when the operation is completed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sealer.cluster.files import make_private_directory, sync_directory, write_atomically, writing
from sealer.clusterfile.secrets import is_key_itself, is_secret
from sealer.documents import DocumentError, load_json
from sealer.extension.drivers import HOSTS_MADE
from sealer.hosts import Host, Ssh
from sealer.redaction import Secret


@dataclass(frozen=True)
class MadeHosts:
    """The file with these secrets.

    :param path: of the file; it need not exist.
    """

    path: Path

    def recordable(self, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        """Facts of a step as the journal may have them; what is left out is in the file, on disk, when this returns.

        :raises SealerError: it cannot be written.
        """
        made = facts.get(HOSTS_MADE.name)
        if not isinstance(made, dict):
            return facts
        kept = self._read()
        clean: dict[str, Any] = {}
        for name, host in made.items():
            if not isinstance(host, dict):
                clean[name] = host
                continue
            secret = {key: value for key, value in host.items() if _is_secret(key, value)}
            clean[name] = {key: value for key, value in host.items() if key not in secret}
            kept[name] = {"address": host.get("address"), "secrets": secret}
        if any(entry["secrets"] for entry in kept.values()):
            make_private_directory(self.path.parent)
            write_atomically(self.path, json.dumps(kept).encode())
        return {**facts, HOSTS_MADE.name: clean}

    def complete(self, made: Mapping[str, Any]) -> dict[str, Any]:
        """What a provider said of its hosts, with the secrets that a record of it lacks."""
        kept = self._read()
        found = dict(made)
        for name, host in made.items():
            entry = kept.get(name)
            if isinstance(host, dict) and entry and entry["address"] == host.get("address"):
                found[name] = {**entry["secrets"], **host}
        return found

    def with_logins(self, hosts: Sequence[Host]) -> tuple[Host, ...]:
        """The hosts of a record, each that an operation has left unfinished with the password that opens it."""
        kept = self._read()

        def filled(host: Host) -> Host:
            entry = kept.get(host.placeholder) if host.placeholder and host.address else None
            password = entry["secrets"].get("password") if entry and entry["address"] == host.address else None
            return replace(host, ssh=host.ssh.filled_from(Ssh(password=Secret(str(password))))) if password else host

        return tuple(map(filled, hosts))

    def forget(self) -> None:
        """The operation is completed: nothing needs them any more."""
        with writing(self.path):
            if self.path.exists():
                self.path.unlink()
                sync_directory(self.path.parent)

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            content = load_json(self.path.read_bytes())
        except (OSError, DocumentError):
            return {}
        entries = content.items() if isinstance(content, dict) else ()
        return {
            name: entry
            for name, entry in entries
            if isinstance(entry, dict) and isinstance(entry.get("secrets"), dict) and "address" in entry
        }


def _is_secret(key: str, value: object) -> bool:
    if key == "private_key":  # the path of one is none
        return isinstance(value, str) and is_key_itself(value)
    return is_secret(key)
