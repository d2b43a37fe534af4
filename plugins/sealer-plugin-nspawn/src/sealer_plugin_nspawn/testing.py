"""Real hosts for tests: boot some, break them, and be sure that they are gone afterwards.

::

    @pytest.fixture(scope="module")
    def hosts():
        with real_hosts(3, "my-tests") as hosts:
            yield hosts
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sealer.errors import CommandError
from sealer.hosts import Host
from sealer_plugin_nspawn.machines import Machines, wanted
from sealer_plugin_nspawn.options import Options
from sealer_plugin_nspawn.record import Records

OWNER = "tests"
PATIENCE = 30.0  # seconds, of one command on a host


def unavailable() -> str:
    """Why this machine cannot have real hosts; empty if it can."""
    if sys.platform.startswith("linux") and os.geteuid() == 0:
        return ""
    return "real hosts need root on Linux"


@contextlib.contextmanager
def real_hosts(
    count: int, name: str, *, masters: int = 1, options: Options | None = None, known_hosts: Path | None = None
) -> Iterator[list[Host]]:
    """Boot `count` hosts; they are taken away at the end, whatever happens.

    Hosts that a killed test run left are cleared first. Runs side by side do not disturb each other.

    :param masters: how many of them are masters; those come first.
    :param known_hosts: file that is told the hosts' keys.
    """
    with real_machines(count, name, masters=masters, options=options, known_hosts=known_hosts) as machines:
        password = machines.options.password
        hosts = [state.host for state in machines.list()]
        yield [replace(host, ssh=replace(host.ssh, password=password)) for host in hosts]


@contextlib.contextmanager
def real_machines(
    count: int, name: str, *, masters: int = 1, options: Options | None = None, known_hosts: Path | None = None
) -> Iterator[Machines]:
    """As :func:`real_hosts`; gives what can also cut, kill and boot them."""
    clear_stale(options)
    machines = Machines(name, owner=owner_of(os.getpid()), options=options, known=known_hosts)
    try:
        machines.up(wanted(count, masters))
        yield machines
    finally:
        machines.down()


def on_host(host: Host, command: str, known: Path | None = None) -> str:
    """Run a command on a host with OpenSSH's own client, and give what it printed.

    :param known: file of the only host keys to believe; None: any key.
    :raises CommandError: it, or the connection, failed.
    """
    trust = [f"UserKnownHostsFile={known or '/dev/null'}", f"StrictHostKeyChecking={'yes' if known else 'no'}"]
    settings = [f"-o{setting}" for setting in (*trust, "LogLevel=ERROR", "BatchMode=yes", "ConnectTimeout=5")]
    done = subprocess.run(
        ["ssh", *settings, "-i", host.ssh.private_key, f"root@{host.address}", command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if done.returncode:
        output = (done.stdout + done.stderr).splitlines()[-20:]
        raise CommandError(f"'{command}' failed", status=done.returncode, where=host.address, output=output)
    return done.stdout.strip()


def clear_stale(options: Options | None = None) -> None:
    """Take away the hosts of test runs whose process is gone."""
    options = options or Options()
    for lab in Records(options.state).all():
        kind, _, process = lab.owner.partition(" ")
        if kind == OWNER and lab.owner != owner_of(int(process.split()[0])):
            Machines(lab.cluster, owner=lab.owner, options=options).down()


def owner_of(process: int) -> str:
    """Whose the hosts of a test run are: its process, told from a later one of that number by the time it began."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return f"{OWNER} {process} gone"
    return f"{OWNER} {process} {fields[19]}"
