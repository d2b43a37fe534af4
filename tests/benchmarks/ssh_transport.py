"""How the ssh transport compares with OpenSSH's own client, on this machine, right now.

Run as root: python tests/benchmarks/ssh_transport.py [--rounds N] [--megabytes N] [--json FILE]

It starts its own sshd on the loopback. The targets: 200 commands a second on one connection; a stream at no less than
0.8 of `cat FILE | ssh -c aes128-gcm@openssh.com HOST 'cat > FILE'`; 50 connections by key in 1.5 seconds.
"""

# ruff: noqa: T201  # a table is its purpose

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from sealer.events import EventStream
from sealer.extension import Connection
from sealer.settings import Settings
from sealer.testing.sshd import LoopbackSshd, why_not
from sealer_plugin_ssh.transport import SshTransport

MIB = 1 << 20
COMMANDS = 300
CONNECTIONS = 50
MEMORY = Path("/dev/shm")  # so that no disk is measured


def main() -> int:
    """Measure, print a table, and JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds of the stream; the median counts")
    parser.add_argument("--megabytes", type=int, default=500, help="length of the stream")
    parser.add_argument("--json", type=Path, help="write the figures there; default: print them after the table")
    arguments = parser.parse_args()
    if reason := why_not():
        print(reason, file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as directory:
        figures = measure(Path(directory), arguments.rounds, arguments.megabytes * 1_000_000)
    print_table(figures)
    text = json.dumps(figures, indent=2)
    if arguments.json:
        arguments.json.write_text(text + "\n")
    else:
        print(text)
    return 0


def measure(directory: Path, rounds: int, size: int) -> dict[str, float]:
    """All figures; times in seconds."""
    source, target = directory / "source", directory / "target"
    with source.open("wb") as stream:
        block = os.urandom(MIB)
        for _ in range(size // MIB):
            stream.write(block)
    with LoopbackSshd(directory, "MaxStartups 200") as server:
        transport = SshTransport(Settings(home=directory / "home"), EventStream(), {})
        transport.connect(server.host).close()  # imports paramiko, records the host key
        connection = transport.connect(server.host)
        figures = {
            "commands_per_second": COMMANDS / timed(lambda: run_commands(connection, COMMANDS)),
            "commands_per_second_openssh_multiplexed": 100 / timed(lambda: multiplexed_commands(server, 100)),
            "commands_per_second_6_threads": COMMANDS / timed(lambda: run_commands_in_threads(connection)),
            "connections_50_seconds": statistics.median(
                timed(lambda: connect_many(transport, server)) for _ in range(3)
            ),
        }
        ours, theirs = [], []
        for _ in range(rounds):
            theirs.append(timed(lambda: openssh(server, source, target)))
            ours.append(timed(lambda: upload(connection, source, target)))
        figures["stream_seconds"] = statistics.median(ours)
        figures["stream_openssh_seconds"] = statistics.median(theirs)
        figures["stream_ratio"] = figures["stream_openssh_seconds"] / figures["stream_seconds"]
        figures["stream_ratio_worst_round"] = min(b / a for a, b in zip(ours, theirs, strict=True))
        figures["stream_megabytes_per_second"] = size / 1e6 / figures["stream_seconds"]
        figures["download_megabytes_per_second"] = size / 1e6 / timed(lambda: download(connection, source))
        connection.close()
    return {name: round(value, 3) for name, value in figures.items()}


def timed(action: Callable[[], object]) -> float:
    """Seconds that an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def run_commands(connection: Connection, count: int) -> None:
    """Many short commands, one after the other."""
    for _ in range(count):
        if connection.execute("true").status:
            raise RuntimeError("a command failed")


def run_commands_in_threads(connection: Connection) -> None:
    """As many short commands, six at a time."""
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda _: run_commands(connection, COMMANDS // 6), range(6)))


def multiplexed_commands(server: LoopbackSshd, count: int) -> None:
    """Short commands through OpenSSH's own multiplexing, `ControlMaster`."""
    master = [*openssh_command(server), "-o", f"ControlPath={server.directory}/master", "root@127.0.0.1"]
    subprocess.run([*master, "-M", "-N", "-f"], check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(count):
            subprocess.run([*master, "true"], check=True, stdin=subprocess.DEVNULL)
    finally:
        subprocess.run([*master, "-O", "exit"], check=True, stderr=subprocess.DEVNULL)


def connect_many(transport: SshTransport, server: LoopbackSshd) -> None:
    """Fifty connections, opened by as many threads."""
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        connections = list(threads.map(lambda _: transport.connect(server.host), range(CONNECTIONS)))
    for connection in connections:
        connection.close()


@contextmanager
def blocks_of(path: Path) -> Iterator[Iterator[memoryview]]:
    """A file in blocks of 1 MiB."""
    with path.open("rb") as stream:
        yield (memoryview(block) for block in iter(lambda: stream.read(MIB), b""))


def upload(connection: Connection, source: Path, target: Path) -> None:
    """A file through our transport."""
    with blocks_of(source) as blocks:
        if connection.execute(f"cat > {target}", stdin=blocks).status:
            raise RuntimeError("the upload failed")
    check_and_remove(source, target)


def openssh_command(server: LoopbackSshd) -> list[str]:
    """OpenSSH's client with the cipher that ours uses."""
    return [
        *("ssh", "-F", "none", "-c", "aes128-gcm@openssh.com", "-i", str(server.key), "-p", str(server.port)),
        *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"),
    ]


def openssh(server: LoopbackSshd, source: Path, target: Path) -> None:
    """The same file through OpenSSH."""
    ssh = [*openssh_command(server), "root@127.0.0.1", f"cat > {target}"]
    cat = subprocess.Popen(["cat", source], stdout=subprocess.PIPE)
    subprocess.run(ssh, stdin=cat.stdout, check=True)
    if cat.stdout:
        cat.stdout.close()
    cat.wait()
    check_and_remove(source, target)


def download(connection: Connection, source: Path) -> None:
    """A file from the host, thrown away."""
    size = 0

    def count(block: bytes) -> None:
        nonlocal size
        size += len(block)

    connection.execute(f"cat {source}", stdout=count)
    if size != source.stat().st_size:
        raise RuntimeError("the download is not whole")


def check_and_remove(source: Path, target: Path) -> None:
    """The length only: the contract tests compare the content."""
    if source.stat().st_size != target.stat().st_size:
        raise RuntimeError("the copy is not whole")
    target.unlink()


def print_table(figures: dict[str, float]) -> None:
    """For people."""
    width = shutil.get_terminal_size().columns
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):<42}{value:>12,.3f}"[:width])


if __name__ == "__main__":
    sys.exit(main())
