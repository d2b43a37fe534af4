"""The driver: makes connections to hosts over SSH.

Only this module is imported when the driver is looked up; paramiko comes in with the first connection.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from sealer.events import EventStream, Json
from sealer.extension import Connection, Operation, Step, Transport
from sealer.hosts import Host
from sealer.settings import Settings
from sealer_plugin_ssh import access


class SshTransport(Transport):
    """Hosts reached over SSH."""

    schema: ClassVar[Mapping[str, Json]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "maxSessions": {
                "type": "integer",
                "minimum": 1,
                "default": 6,
                "description": "Commands at once on one host; a host that allows fewer is given fewer.",
            },
            "connectTimeout": {
                "type": "number",
                "exclusiveMinimum": 0,
                "default": 10,
                "description": "Seconds to wait for a host to accept a connection; more than 30 also for its SSH "
                "banner, more than 20 for the key exchange.",
            },
            "knownHosts": {
                "type": "string",
                "description": "File that new host keys are written to; default known_hosts in sealer's home.",
            },
            "strictHostKeyChecking": {
                "type": "string",
                "enum": ["accept-new", "yes"],
                "default": "accept-new",
                "description": "What happens with a host that no known_hosts file names: believed once, or refused.",
            },
        },
    }

    def __init__(self, settings: Settings, events: EventStream, options: Mapping[str, Json]) -> None:
        super().__init__(settings, events, options)
        self._said: set[str] = set()
        self._lock = threading.Lock()

    def connect(self, host: Host) -> Connection:
        """Open an authenticated connection on which commands run as root."""
        from sealer_plugin_ssh.connecting import Connector, Options  # noqa: PLC0415

        key = self.credentials / access.KEY_FILE if self.credentials else None
        options = Options.from_driver(self.options, self.settings, key, self.cancelled)
        options = replace(options, host_key=self.host_keys.get(host.address, ""), warn=self._warn)
        return Connector(options).connect(host)

    def _warn(self, message: str) -> None:
        """Say it once, of however many hosts."""
        with self._lock:
            new = message not in self._said
            self._said.add(message)
        if new:
            self.events.warn(message)

    def locate(self, name: str, config: str) -> tuple[str, int]:
        """The HostName and the Port of ssh's configuration."""
        from sealer_plugin_ssh import ssh_config  # noqa: PLC0415

        found = ssh_config.load(config).lookup(name)
        return found.host_name, found.port

    def forget(self, host: Host) -> None:
        """Take the host's lines out of sealer's own known_hosts."""
        from sealer_plugin_ssh.connecting import Options  # noqa: PLC0415

        Options.from_driver(self.options, self.settings).known_hosts().forget(host.address, host.ssh.port or 22)

    def authorize(self, operation: Operation) -> Sequence[Step]:
        """Make the cluster's key, and let it in on the hosts that are added."""
        return access.authorize(operation, self.credentials, self._user_of) if self.credentials else ()

    def revoke(self, operation: Operation) -> Sequence[Step]:
        """Take the cluster's key away from the hosts that are removed."""
        return access.revoke(operation, self.credentials, self._user_of) if self.credentials else ()

    def _user_of(self, host: Host) -> str:
        """Who is logged in as."""
        from sealer_plugin_ssh import routes, ssh_config  # noqa: PLC0415

        found = ssh_config.load(host.ssh.config).lookup(ssh_config.name_of(host))
        return routes.effective(host, found, recorded=host.address in self.host_keys).ssh.user
