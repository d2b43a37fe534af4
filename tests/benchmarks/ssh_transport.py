"""How the ssh transport compares with OpenSSH's own client, on this machine, right now.

Run as root: python tests/benchmarks/ssh_transport.py [--lab] [--rounds N] [--megabytes N] [--json FILE]

It starts its own sshd on the loopback, or with --lab boots a host of NSPAWN and measures to that. The targets: 200
commands a second on one connection; a stream at no less than 0.8 of `cat FILE | ssh -c aes128-gcm@openssh.com HOST
'cat > FILE'`; 50 connections by key in 1.5 seconds.
"""

# ruff: noqa: T201  # a table is its purpose

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from measuring import MEMORY, in_turns, keep, machine, show, timed

from sealer.cluster.receipts import Script
from sealer.events import EventStream
from sealer.extension import Connection
from sealer.hosts import Host
from sealer.settings import Settings
from sealer.testing.sshd import LoopbackSshd, why_not
from sealer_plugin_nspawn.testing import real_hosts, unavailable
from sealer_plugin_ssh.transport import SshTransport

MIB = 1 << 20
COMMANDS = 300
IN_TURNS = 5  # rounds of commands: ours, OpenSSH's, and the host's own; the median counts
STARTS = 200
CONNECTIONS = 50
TARGET = Path("/dev/shm/sealer-benchmark")  # on the host


def main() -> int:
    """Measure, print a table, and JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--lab", action="store_true", help="measure to a host of NSPAWN, not to the loopback")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds of the stream; the median counts")
    parser.add_argument("--megabytes", type=int, default=500, help="length of the stream")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    arguments = parser.parse_args()
    if reason := unavailable() if arguments.lab else why_not():
        print(reason, file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        directory = Path(name)
        with lab_host() if arguments.lab else loopback_host(directory) as host:
            figures = measure(directory, host, arguments.rounds, arguments.megabytes * 1_000_000)
    show(figures)
    print(machine())
    keep(figures, arguments.json)
    return 0


@contextmanager
def loopback_host(directory: Path) -> Iterator[Host]:
    """An sshd on this machine."""
    with LoopbackSshd(directory, "MaxStartups 200") as server:
        yield server.host


@contextmanager
def lab_host() -> Iterator[Host]:
    """A host of its own: systemd, Debian's sshd as it is configured, a bridge in between."""
    with real_hosts(1, "benchmark") as hosts:
        yield hosts[0]


def measure(directory: Path, host: Host, rounds: int, size: int) -> dict[str, float]:
    """All figures; times in seconds, `load` is the machine's at the start and at the end."""
    source = directory / "source"
    with source.open("wb") as stream:
        block = os.urandom(MIB)
        for _ in range(size // MIB):
            stream.write(block)
    figures = {"load_at_start": os.getloadavg()[0]}
    transport = SshTransport(Settings(home=directory / "home"), EventStream(), {})
    transport.connect(host).close()  # imports paramiko, records the host key
    connection = transport.connect(host)
    figures.update(measure_commands(connection, host, directory))
    figures["connections_50_seconds"] = statistics.median(
        timed(lambda: connect_many(transport, host)) for _ in range(3)
    )
    ours, theirs = [], []
    for _ in range(rounds):
        theirs.append(timed(lambda: openssh(host, source)))
        check_and_remove(connection, source)
        ours.append(timed(lambda: upload(connection, source)))
        check_and_remove(connection, source)
    figures["stream_seconds"] = statistics.median(ours)
    figures["stream_openssh_seconds"] = statistics.median(theirs)
    figures["stream_ratio"] = figures["stream_openssh_seconds"] / figures["stream_seconds"]
    figures["stream_ratio_worst_round"] = min(b / a for a, b in zip(ours, theirs, strict=True))
    figures["stream_megabytes_per_second"] = size / 1e6 / figures["stream_seconds"]
    upload(connection, source)
    figures["download_megabytes_per_second"] = size / 1e6 / timed(lambda: download(connection, source.stat().st_size))
    check_and_remove(connection, source)
    connection.close()
    figures["load_at_end"] = os.getloadavg()[0]
    return figures


def measure_commands(connection: Connection, host: Host, directory: Path) -> dict[str, float]:
    """Commands a second, each way in turns, so that a busy moment strikes all of them."""
    ways: dict[str, Callable[[], float]] = {
        "commands_per_second": lambda: COMMANDS / timed(lambda: run_commands(connection, COMMANDS)),
        "queries_per_second": lambda: COMMANDS / timed(lambda: run_queries(connection, COMMANDS)),
        "commands_per_second_openssh_multiplexed": lambda: 100 / multiplexed_commands(host, directory, 100),
        "commands_per_second_6_threads": lambda: COMMANDS / timed(lambda: run_commands_in_threads(connection)),
        "host_shell_starts_per_second": lambda: STARTS / timed(lambda: start_shells(connection)),
    }
    found: dict[str, list[float]] = {}
    for number in range(IN_TURNS):
        in_turns(found, number, ways)
    figures = {name: statistics.median(values) for name, values in found.items()}
    figures["commands_per_second_worst_round"] = min(found["commands_per_second"])
    return figures


def run_commands(connection: Connection, count: int) -> None:
    """Many short commands, one after the other."""
    for _ in range(count):
        if connection.execute("true").status:
            raise RuntimeError("a command failed")


def run_queries(connection: Connection, count: int) -> None:
    """As many, in the way that a step's `query` goes: with an environment, brought by standard input."""
    script = Script("true\n", {"HostIP": "192.0.2.1", "ClusterName": "benchmark"})
    for _ in range(count):
        command, text = script.inline()
        if connection.execute(command, stdin=(text,)).status:
            raise RuntimeError("a query failed")


def start_shells(connection: Connection) -> None:
    """What a command costs the host itself: the login shell, which becomes `/bin/sh -c`. Nothing of SSH is in it."""
    script = f'i=0; while [ $i -lt {STARTS} ]; do bash -c "exec /bin/sh -c true"; i=$((i + 1)); done'
    if connection.execute(script).status:
        raise RuntimeError("the shells do not start")


def run_commands_in_threads(connection: Connection) -> None:
    """As many short commands, six at a time."""
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda _: run_commands(connection, COMMANDS // 6), range(6)))


def multiplexed_commands(host: Host, directory: Path, count: int) -> float:
    """Seconds of short commands through OpenSSH's own multiplexing, `ControlMaster`; the login does not count."""
    command = [*openssh_command(host), "-o", f"ControlPath={directory}/master", f"root@{host.address}"]
    subprocess.run([*command, "-M", "-N", "-f"], check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def run() -> None:
        for _ in range(count):
            subprocess.run([*command, "true"], check=True, stdin=subprocess.DEVNULL)

    try:
        return timed(run)
    finally:
        subprocess.run([*command, "-O", "exit"], check=True, stderr=subprocess.DEVNULL)


def connect_many(transport: SshTransport, host: Host) -> None:
    """Fifty connections, opened by as many threads."""
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        connections = list(threads.map(lambda _: transport.connect(host), range(CONNECTIONS)))
    for connection in connections:
        connection.close()


@contextmanager
def blocks_of(path: Path) -> Iterator[Iterator[memoryview]]:
    """A file in blocks of 1 MiB."""
    with path.open("rb") as stream:
        yield (memoryview(block) for block in iter(lambda: stream.read(MIB), b""))


def upload(connection: Connection, source: Path) -> None:
    """A file through our transport."""
    with blocks_of(source) as blocks:
        if connection.execute(f"cat > {TARGET}", stdin=blocks).status:
            raise RuntimeError("the upload failed")


def openssh_command(host: Host) -> list[str]:
    """OpenSSH's client with the cipher that ours uses."""
    return [
        *("ssh", "-F", "none", "-c", "aes128-gcm@openssh.com", "-i", host.ssh.private_key, "-p", str(host.ssh.port)),
        *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"),
    ]


def openssh(host: Host, source: Path) -> None:
    """The same file through OpenSSH."""
    command = [*openssh_command(host), f"root@{host.address}", f"cat > {TARGET}"]
    cat = subprocess.Popen(["cat", source], stdout=subprocess.PIPE)
    subprocess.run(command, stdin=cat.stdout, check=True)
    if cat.stdout:
        cat.stdout.close()
    cat.wait()


def download(connection: Connection, expected: int) -> None:
    """A file from the host, thrown away."""
    size = 0

    def count(block: bytes) -> None:
        nonlocal size
        size += len(block)

    connection.execute(f"cat {TARGET}", stdout=count)
    if size != expected:
        raise RuntimeError("the download is not whole")


def check_and_remove(connection: Connection, source: Path) -> None:
    """The length only: the contract tests compare the content."""
    size = source.stat().st_size
    if connection.execute(f"test $(stat -c %s {TARGET}) = {size} && rm {TARGET}").status:
        raise RuntimeError("the copy is not whole")


if __name__ == "__main__":
    sys.exit(main())
