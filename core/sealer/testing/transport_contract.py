"""What every transport must do, as tests: subclass :class:`TransportContract` and give it a connection."""

# ruff: noqa: D102  # a test's name says what it shows

from __future__ import annotations

import hashlib
import os
import socket
import socketserver
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import pytest

from sealer.errors import ConnectionLostError, InterruptedRunError, StepTimeoutError
from sealer.events import Json
from sealer.extension.drivers import Transport
from sealer.extension.transport import Connection
from sealer.testing import expectations

PROMPTLY = 1.0  # seconds; a transport looks at its event several times a second, a busy machine needs some more
MIB = 1 << 20


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while block := self.request.recv(65536):
            self.request.sendall(block)


class TransportContract:
    """The contract of :class:`sealer.extension.Connection`.

    A subclass provides the fixture `connection`: a fresh one for each test, to a host with a POSIX shell and coreutils.
    When that host is not this machine, it also provides `echo_port`: a port on the host's loopback that echoes.

    :cvar driver: the class that makes such connections.
    :cvar options: its own fields.
    :cvar forwards: whether :meth:`Connection.forward` leads somewhere else than to this machine's own port.
    """

    driver: ClassVar[type[Transport]]
    options: ClassVar[Mapping[str, Json]] = {}
    forwards: ClassVar[bool] = True

    @pytest.fixture
    def connection(self) -> Iterator[Connection]:
        """A fresh connection."""
        raise NotImplementedError("a subclass provides the fixture `connection`")
        yield

    @pytest.fixture
    def echo_port(self) -> Iterator[int]:
        """A port on the host's loopback where everything sent comes back."""
        with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Echo) as server:
            server.daemon_threads = True
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            yield server.server_address[1]
            server.shutdown()
            thread.join()

    def test_it_is_loaded_with_its_options(self) -> None:
        expectations.expect_driver("transport", self.driver, self.options)

    # ---- how a command ends ------------------------------------------------------------------------------------

    @pytest.mark.parametrize("status", [0, 1, 2, 100, 255])
    def test_gives_the_exit_status(self, connection: Connection, status: int) -> None:
        assert connection.execute(f"exit {status}").status == status

    @pytest.mark.parametrize(("signal", "status"), [("TERM", 143), ("KILL", 137), ("HUP", 129)])
    def test_gives_128_and_the_signal(self, connection: Connection, signal: str, status: int) -> None:
        assert connection.execute(f"kill -{signal} $$").status == status

    def test_gives_127_for_a_command_that_is_not_there(self, connection: Connection) -> None:
        assert connection.execute("surely-no-such-command").status == 127

    def test_runs_as_root(self, connection: Connection) -> None:
        assert _stdout(connection, "id -u") == b"0\n"

    @pytest.mark.parametrize(
        "text",
        ["plain", "two words", "$HOME `id` $(id)", "back\\slash\\n", "quo'te\"s", "wow! !!", "a\nb\n\nc", "é☃", "*"],
    )
    def test_hands_a_command_line_over_as_it_is(self, connection: Connection, text: str) -> None:
        quoted = "'" + text.replace("'", "'\\''") + "'"
        assert _stdout(connection, f"printf %s {quoted}; echo $#") == text.encode() + b"0\n"

    # ---- what goes in and out ----------------------------------------------------------------------------------

    def test_without_stdin_a_command_reads_its_end_at_once(self, connection: Connection) -> None:
        assert _stdout(connection, "cat; echo over", timeout=20) == b"over\n"

    def test_is_clean_for_bytes(self, connection: Connection) -> None:
        every = bytes(range(256)) * 17
        assert _stdout(connection, "cat", stdin=[every]) == every

    def test_takes_blocks_of_any_size_and_kind(self, connection: Connection) -> None:
        blocks: list[bytes | memoryview] = [
            b"",
            b"a",
            memoryview(b"bc"),
            b"",
            memoryview(bytearray(b"d" * 100_000)),
            b"",
        ]
        assert _stdout(connection, "cat", stdin=blocks) == b"".join(bytes(block) for block in blocks)

    def test_echoes_16_mib_both_ways_at_once(self, connection: Connection) -> None:
        block = os.urandom(MIB)
        sent, received = hashlib.sha256(), hashlib.sha256()

        def blocks() -> Iterator[memoryview]:
            for _ in range(16):
                sent.update(block)
                yield memoryview(block)

        assert connection.execute("cat", stdin=blocks(), stdout=received.update, timeout=60).status == 0
        assert received.digest() == sent.digest()

    def test_keeps_stderr_apart(self, connection: Connection) -> None:
        out, err = bytearray(), bytearray()
        connection.execute("echo out; echo err >&2; echo more", stdout=out.extend, stderr=err.extend)
        assert (bytes(out), bytes(err)) == (b"out\nmore\n", b"err\n")

    def test_takes_much_of_both_outputs(self, connection: Connection) -> None:
        sizes = [0, 0]

        def count(stream: int, block: bytes) -> None:
            sizes[stream] += len(block)

        script = "head -c 4194304 /dev/zero; head -c 4194304 /dev/zero >&2"
        connection.execute(script, stdout=lambda b: count(0, b), stderr=lambda b: count(1, b), timeout=60)
        assert sizes == [4 * MIB, 4 * MIB]

    def test_throws_output_away_that_nobody_wants(self, connection: Connection) -> None:
        script = "head -c 8388608 /dev/zero; head -c 8388608 /dev/zero >&2; exit 3"
        assert connection.execute(script, timeout=60).status == 3

    def test_keeps_the_order_of_output(self, connection: Connection) -> None:
        script = "i=0; while [ $i -lt 3000 ]; do echo $i; i=$((i+1)); done"
        assert _stdout(connection, script).split() == [str(number).encode() for number in range(3000)]

    def test_hands_output_out_while_the_command_runs(self, connection: Connection) -> None:
        """The input ends only after the first output has been seen."""
        seen = threading.Event()

        def blocks() -> Iterator[bytes]:
            yield b"first\n"
            for _ in range(200):
                if seen.wait(0.05):
                    return
                yield b"again\n"

        def look(block: bytes) -> None:
            if b"first" in block:
                seen.set()

        assert connection.execute("cat", stdin=blocks(), stdout=look, timeout=30).status == 0
        assert seen.is_set()

    def test_leaks_no_environment(self, connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SEALER_CONTRACT_VARIABLE", "must-stay-here")
        assert b"must-stay-here" not in _stdout(connection, "env")

    # ---- input that is not read, or fails ----------------------------------------------------------------------

    def test_a_command_may_leave_its_input_unread(self, connection: Connection) -> None:
        block = bytes(MIB)
        for status in range(20):
            assert connection.execute(f"exit {status}", stdin=[block] * 8, timeout=30).status == status
        assert _stdout(connection, "head -c 3", stdin=[b"abc", *[block] * 8]) == b"abc"
        assert connection.execute("exec <&-; echo; exit 4", stdin=[block] * 8, timeout=30).status == 4

    def test_passes_on_what_the_input_raises(self, connection: Connection) -> None:
        def blocks() -> Iterator[bytes]:
            yield b"one"
            raise LookupError("the disk is gone")

        with pytest.raises(LookupError, match="the disk is gone"):
            connection.execute("cat", stdin=blocks(), timeout=30)
        assert _stdout(connection, "echo alive") == b"alive\n"

    def test_passes_on_what_an_observer_raises(self, connection: Connection) -> None:
        def observer(block: bytes) -> None:
            raise LookupError("no room")

        with pytest.raises(LookupError, match="no room"):
            connection.execute("echo x; cat", stdin=[b"y"], stdout=observer, timeout=30)
        assert _stdout(connection, "echo alive") == b"alive\n"

    # ---- several at once ---------------------------------------------------------------------------------------

    def test_runs_commands_of_several_threads(self, connection: Connection) -> None:
        def one(number: int) -> bytes:
            return _stdout(connection, f"cat; echo {number}", stdin=[b"in "], timeout=60)

        with ThreadPoolExecutor(6) as threads:
            outputs = list(threads.map(one, range(100)))
        assert outputs == [f"in {number}\n".encode() for number in range(100)]

    def test_survives_unread_input_in_several_threads(self, connection: Connection) -> None:
        def one(number: int) -> int:
            return connection.execute(f"exit {number}", stdin=[bytes(300_000)], timeout=60).status

        with ThreadPoolExecutor(9) as threads:
            assert list(threads.map(one, range(100))) == list(range(100))

    # ---- giving up ---------------------------------------------------------------------------------------------

    def test_stops_when_the_time_is_over(self, connection: Connection) -> None:
        start = time.monotonic()
        with pytest.raises(StepTimeoutError):
            connection.execute("sleep 20", timeout=0.5)
        assert 0.5 <= time.monotonic() - start < 0.5 + PROMPTLY
        assert _stdout(connection, "echo alive") == b"alive\n"

    def test_stops_when_cancelled(self, connection: Connection) -> None:
        cancelled = threading.Event()
        since: list[float] = []

        def cancel(block: bytes) -> None:
            since.append(time.monotonic())
            cancelled.set()

        with pytest.raises(InterruptedRunError):
            connection.execute("echo ready; sleep 20", stdout=cancel, cancelled=cancelled)
        assert time.monotonic() - since[0] < PROMPTLY
        assert _stdout(connection, "echo alive") == b"alive\n"

    def test_stops_when_cancelled_while_the_host_takes_no_more_input(self, connection: Connection) -> None:
        cancelled = threading.Event()
        block = bytes(MIB)
        sent: list[float] = []

        def blocks() -> Iterator[bytes]:
            for _ in range(1000):
                sent.append(time.monotonic())
                yield block

        timer = threading.Timer(0.7, cancelled.set)
        timer.start()
        with pytest.raises(InterruptedRunError):
            connection.execute("sleep 20", stdin=blocks(), cancelled=cancelled)
        timer.join()
        assert time.monotonic() - sent[0] < 0.7 + PROMPTLY
        assert len(sent) < 100, "the host took input although nobody there read it"
        assert _stdout(connection, "echo alive") == b"alive\n"

    def test_runs_nothing_when_cancelled_before(self, connection: Connection) -> None:
        cancelled = threading.Event()
        cancelled.set()
        with pytest.raises(InterruptedRunError):
            connection.execute("sleep 20", cancelled=cancelled)

    # ---- forwarding --------------------------------------------------------------------------------------------

    def test_forwards_a_port(self, connection: Connection, echo_port: int) -> None:
        host, port = connection.forward(echo_port)
        assert (port != echo_port) == self.forwards
        payload = os.urandom(3 * MIB)
        assert _echoed(host, port, payload) == payload
        assert _echoed(host, port, b"again") == b"again"

    def test_forwarding_ends_with_the_connection(self, connection: Connection, echo_port: int) -> None:
        host, port = connection.forward(echo_port)
        connection.close()
        if not self.forwards:  # the port is the service's own, which goes on
            assert _echoed(host, port, b"still there") == b"still there"
            return
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((host, port), timeout=5)

    # ---- the end -----------------------------------------------------------------------------------------------

    def test_may_be_closed_twice(self, connection: Connection) -> None:
        connection.close()
        connection.close()

    def test_raises_once_closed(self, connection: Connection) -> None:
        connection.close()
        for _ in range(2):
            with pytest.raises(ConnectionLostError):
                connection.execute("true")
        with pytest.raises(ConnectionLostError):
            connection.forward(22)

    def test_ends_a_running_command_when_closed(self, connection: Connection) -> None:
        closer = threading.Thread(target=connection.close)
        with pytest.raises(ConnectionLostError):
            connection.execute("echo ready; sleep 20", stdout=lambda block: closer.start(), timeout=30)
        closer.join()

    def test_has_a_stable_identity(self, connection: Connection) -> None:
        assert isinstance(connection.host_key, str)
        assert connection.host_key == connection.host_key


def _stdout(connection: Connection, command: str, **more: object) -> bytes:
    output = bytearray()
    connection.execute(command, stdout=output.extend, **more)  # type: ignore[arg-type]  # passed on as given
    return bytes(output)


def _echoed(host: str, port: int, payload: bytes) -> bytes:
    received = bytearray()
    with socket.create_connection((host, port), timeout=20) as client:
        with ThreadPoolExecutor(1) as writer:
            sending = writer.submit(client.sendall, payload)
            while len(received) < len(payload) and (block := client.recv(65536)):
                received.extend(block)
            sending.result()
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    return bytes(received)
