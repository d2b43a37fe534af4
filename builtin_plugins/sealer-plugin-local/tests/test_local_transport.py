"""The local transport keeps the contract of all transports, and says clearly when it cannot."""

import os
import select
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sealer.errors import ConnectionLostError, HostError, InterruptedRunError
from sealer.events import EventStream
from sealer.extension import Connection
from sealer.hosts import Host
from sealer.settings import Settings
from sealer.testing.transport_contract import TransportContract
from sealer_plugin_local import LocalTransport

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="commands run as root, so the test must too")


@pytest.fixture
def transport(tmp_path: Path) -> LocalTransport:
    return LocalTransport(Settings(home=tmp_path), EventStream(), {})


@needs_root
class TestLocalTransportContract(TransportContract):
    driver = LocalTransport
    forwards = False

    @pytest.fixture
    def connection(self, transport: LocalTransport) -> Iterator[Connection]:
        connection = transport.connect(Host("127.0.0.1"))
        yield connection
        connection.close()


@needs_root
def test_has_no_host_key(transport: LocalTransport) -> None:
    assert transport.connect(Host("127.0.0.1")).host_key == ""


@needs_root
def test_a_cancelled_command_leaves_no_process(transport: LocalTransport) -> None:
    connection = transport.connect(Host("127.0.0.1"))
    cancelled = threading.Event()
    processes: list[int] = []

    def observe(block: bytes) -> None:
        processes.extend(os.pidfd_open(int(number)) for number in block.split())
        cancelled.set()

    with pytest.raises(InterruptedRunError):
        connection.execute("sleep 20 & echo $! $$; wait", stdout=observe, cancelled=cancelled)
    for process in processes:
        ended, _, _ = select.select([process], [], [], 5)
        os.close(process)
        assert ended


@needs_root
def test_starts_in_the_home_of_root_with_a_plain_path(transport: LocalTransport) -> None:
    output = bytearray()
    transport.connect(Host("127.0.0.1")).execute('pwd; echo "$HOME $PATH"', stdout=output.extend)
    assert output.split() == [b"/root", b"/root", b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]


@needs_root
def test_names_the_host_in_errors(transport: LocalTransport) -> None:
    connection = transport.connect(Host("127.9.8.7"))
    connection.close()
    with pytest.raises(ConnectionLostError, match=r"127\.9\.8\.7: the connection was closed"):
        connection.execute("true")


def test_no_other_machine_is_this_one(transport: LocalTransport) -> None:
    """What is meant for another machine must not be done to the operator's."""
    with pytest.raises(HostError, match=r"203\.0\.113\.5: it is not this machine"):
        transport.connect(Host("203.0.113.5"))


@needs_root
def test_another_user_without_sudo_is_told_what_to_do(
    transport: LocalTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(HostError, match="commands cannot run as root here") as caught:
        transport.connect(Host("127.0.0.1"))
    assert "run sealer as root" in caught.value.remedy
