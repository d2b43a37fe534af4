"""The driver: makes connections to hosts over SSH.

Only this module is imported when the driver is looked up; paramiko comes in with the first connection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from sealer.events import Json
from sealer.extension import Connection, Operation, Step, Transport
from sealer.hosts import Host
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
                "description": "Seconds to wait for a host to accept a connection.",
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

    def connect(self, host: Host) -> Connection:
        """Open an authenticated connection on which commands run as root."""
        from sealer_plugin_ssh.connecting import Connector, Options  # noqa: PLC0415

        key = self.credentials / access.KEY_FILE if self.credentials else None
        options = Options.from_driver(self.options, self.settings, key, self.cancelled)
        return Connector(replace(options, host_key=self.host_keys.get(host.address, ""))).connect(host)

    def forget(self, host: Host) -> None:
        """Take the host's lines out of sealer's own known_hosts."""
        from sealer_plugin_ssh.connecting import Options  # noqa: PLC0415

        Options.from_driver(self.options, self.settings).known_hosts.forget(host.address, host.ssh.port or 22)

    def authorize(self, operation: Operation) -> Sequence[Step]:
        """Make the cluster's key, and let it in on the hosts that are added."""
        return access.authorize(operation, self.credentials) if self.credentials else ()

    def revoke(self, operation: Operation) -> Sequence[Step]:
        """Take the cluster's key away from the hosts that are removed."""
        return access.revoke(operation, self.credentials) if self.credentials else ()
