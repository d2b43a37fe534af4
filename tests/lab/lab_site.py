"""A site: hosts, a home of sealer's own, and sealer called as a user calls it, as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from sealer.hosts import Host
from sealer_plugin_nspawn.testing import on_host

PATIENCE = 180  # seconds, of one command of sealer on three hosts


@dataclass
class Site:
    """Some hosts, a home of sealer's own, and a way to call it."""

    home: Path
    hosts: list[Host]
    name: str = "site"

    @property
    def clusterfile(self) -> Path:
        """The Clusterfile that :meth:`write` wrote."""
        return self.home / "Clusterfile"

    def write(self, *documents: dict[str, object], hosts: list[Host] | None = None, **spec: object) -> Path:
        """Write a Clusterfile with these hosts (default: all), further fields of spec, and further documents."""
        listed = self.hosts if hosts is None else hosts
        cluster = {
            "apiVersion": "sealer.io/v2",
            "kind": "Cluster",
            "metadata": {"name": self.name},
            "spec": {
                "image": "marks:1",
                "ssh": {"pk": self.hosts[0].ssh.private_key},
                "hosts": [{"ips": [host.address], "roles": [host.roles[0]]} for host in listed],
                **spec,
            },
        }
        self.clusterfile.write_text(yaml.safe_dump_all([cluster, *documents], sort_keys=False))
        return self.clusterfile

    def start(
        self, *words: str, program: tuple[str, ...] = ("-m", "sealer"), stdin: bool = False, **env: str
    ) -> subprocess.Popen[str]:
        """Start sealer.

        :param stdin: whether it is given something to read.
        """
        return subprocess.Popen(
            [sys.executable, *program, *words],
            env={**os.environ, "SEALER_HOME": str(self.home), **env},
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def sealer(self, *words: str, status: int | None = 0, patience: float = PATIENCE, **env: str) -> str:
        """Run sealer to its end and see that it ends with `status`; gives what it printed."""
        process = self.start(*words, **env)  # type: ignore[arg-type]  # `env` has no name of a parameter
        output, _ = process.communicate(timeout=patience)
        if status is not None:
            assert process.returncode == status, f"sealer {' '.join(words)} ended with {process.returncode}:\n{output}"
        return output

    def apply(self, status: int | None = 0, **env: str) -> str:
        """`sealer apply` of the Clusterfile."""
        words = ("apply", "-f", str(self.clusterfile), "--yes")
        return self.sealer(*words, status=status, **env)  # type: ignore[arg-type]  # as in `sealer`

    def delete(self, *words: str, status: int | None = 0) -> str:
        """`sealer delete --all`."""
        return self.sealer("delete", "--all", "--name", self.name, "--yes", *words, status=status)

    def on(self, number: int, command: str) -> str:
        """What a command prints on the host of that number, from 0, by OpenSSH's own client."""
        return on_host(self.hosts[number], command)

    def marks(self) -> dict[str, list[str]]:
        """For each host, what the image's scripts did there, in order."""
        return {host.address: on_host(host, "cat /root/marks 2>/dev/null || true").splitlines() for host in self.hosts}
