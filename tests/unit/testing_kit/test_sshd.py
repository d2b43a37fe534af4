"""A real sshd for tests: it ends with the test run, however that ends."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sealer.testing.sshd import why_not

STARTED_AND_KILLED = """
import os, signal, sys
from pathlib import Path
from sealer.testing.sshd import LoopbackSshd

server = LoopbackSshd(Path(sys.argv[1]))
server.start()
print(server._process.pid, server.port, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(bool(why_not()) or not hasattr(os, "pidfd_open"), reason="needs root, Linux and OpenSSH's server")
def test_it_ends_with_a_killed_test_run(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTED_AND_KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:  # whose output sshd inherits
        assert run.stdout
        number, port = map(int, run.stdout.readline().split())
        assert run.wait(60) == -signal.SIGKILL
        try:
            await_end(number)
        except AssertionError:
            os.kill(number, signal.SIGTERM)
            raise
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def await_end(process: int) -> None:
    try:
        descriptor = os.pidfd_open(process)
    except ProcessLookupError:
        return
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        assert poll.poll(10_000), "it lives on"
    finally:
        os.close(descriptor)
