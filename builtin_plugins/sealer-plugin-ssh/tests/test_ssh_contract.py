"""The ssh transport keeps the contract of all transports, against a real sshd."""

import hashlib
import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import paramiko  # noqa: TID253  # the tests run it
import pytest

from sealer.errors import HostError, HostUnreachableError, StepTimeoutError
from sealer.extension import Connection
from sealer.hosts import Host, Ssh
from sealer.redaction import Secret
from sealer.testing.sshd import LoopbackSshd
from sealer.testing.transport_contract import TransportContract
from sealer_plugin_ssh.access import _RESTRICTIONS
from sealer_plugin_ssh.transport import SshTransport


class TestAsRoot(TransportContract):
    driver = SshTransport

    @pytest.fixture
    def connection(self, sshd: LoopbackSshd, connect: Callable[..., Connection]) -> Connection:
        return connect(sshd.host)


@pytest.fixture(scope="module")
def narrow(needs_sshd: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackSshd]:
    with LoopbackSshd(tmp_path_factory.mktemp("narrow"), "MaxSessions 3") as server:
        yield server


def test_a_stream_outlives_key_exchanges(
    sshd: LoopbackSshd, connect: Callable[..., Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after each half gigabyte, but sooner; other commands run meanwhile."""
    connection = connect(sshd.host)
    monkeypatch.setattr("sealer_plugin_ssh.packets.StreamPacketizer.REKEY_BYTES", 3 << 20)
    block = os.urandom(1 << 20)
    sent, received = hashlib.sha256(block * 40), hashlib.sha256()
    with ThreadPoolExecutor(2) as threads:
        others = threads.map(lambda number: connection.execute(f"exit {number}").status, range(50))
        assert connection.execute("cat", stdin=[block] * 40, stdout=received.update, timeout=60).status == 0
        assert list(others) == list(range(50))
    assert received.digest() == sent.digest()


@pytest.mark.parametrize("cipher", ["aes256-gcm@openssh.com", "aes256-ctr"])
def test_a_host_with_another_cipher(
    start_sshd: Callable[..., LoopbackSshd], connect: Callable[..., Connection], cipher: str
) -> None:
    block = os.urandom(1 << 20)
    received = hashlib.sha256()
    connect(start_sshd(f"Ciphers {cipher}").host).execute("cat", stdin=[block] * 4, stdout=received.update)
    assert received.digest() == hashlib.sha256(block * 4).digest()


# What the sshd of RHEL 7 and Debian 10 can do: of each kind something that is not weak.
OLD = (
    *("Ciphers aes128-ctr", "KexAlgorithms diffie-hellman-group1-sha1,ecdh-sha2-nistp256"),
    "MACs hmac-md5,hmac-sha1,hmac-sha2-256",
)
WEAK = [
    *("KexAlgorithms diffie-hellman-group14-sha1", "KexAlgorithms diffie-hellman-group1-sha1"),
    *("MACs hmac-sha1", "MACs hmac-md5,hmac-sha1"),
]


def test_a_host_of_some_years_ago(start_sshd: Callable[..., LoopbackSshd], connect: Callable[..., Connection]) -> None:
    assert connect(start_sshd(*OLD).host).execute("exit 3").status == 3


@pytest.mark.parametrize("weak", WEAK)
def test_nothing_weak_is_offered(
    weak: str, start_sshd: Callable[..., LoopbackSshd], connect: Callable[..., Connection]
) -> None:
    with pytest.raises(HostUnreachableError, match="no algorithm in common"):
        connect(start_sshd("Ciphers aes128-ctr", weak).host)  # with aes-gcm no MAC is agreed upon


def test_a_host_that_proves_its_key_with_sha1_alone(
    start_sshd: Callable[..., LoopbackSshd], connect: Callable[..., Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused, whatever the installed paramiko would offer by itself; the same key with SHA-2 is fine."""
    offered = ("ssh-rsa", *paramiko.Transport._preferred_keys)  # as paramiko 4 and earlier do
    monkeypatch.setattr(paramiko.Transport, "_preferred_keys", offered)
    monkeypatch.setitem(paramiko.Transport._key_info, "ssh-rsa", paramiko.RSAKey)
    server = start_sshd("HostKeyAlgorithms ssh-rsa", host_keys=("rsa",))
    with pytest.raises(HostUnreachableError, match="no algorithm in common") as caught:
        connect(server.host)
    assert "ssh-keygen -A" in caught.value.remedy
    assert "rsa-sha2-512" in caught.value.remedy
    assert "host key" in caught.value.why
    assert connect(start_sshd("HostKeyAlgorithms rsa-sha2-256", host_keys=("rsa",)).host).execute("exit 4").status == 4


def test_a_key_with_the_restrictions_of_a_cluster_s(
    start_sshd: Callable[..., LoopbackSshd], connect: Callable[..., Connection]
) -> None:
    """All that sealer does goes with them."""
    server = start_sshd()
    file = server.directory / "authorized_keys"
    file.write_text(f"{_RESTRICTIONS} {file.read_text()}")
    connection = connect(server.host)
    output = bytearray()
    assert connection.execute("cat", stdin=[b"in"], stdout=output.extend).status == 0
    assert output == b"in"
    with socket.create_connection(connection.forward(server.port), timeout=10) as forwarded:
        assert forwarded.recv(4) == b"SSH-"


def test_a_host_that_allows_three_sessions(narrow: LoopbackSshd, connect: Callable[..., Connection]) -> None:
    connection = connect(narrow.host, maxSessions=8)

    def one(number: int) -> int:
        return connection.execute(f"exit {number}", stdin=[bytes(300_000)], timeout=60).status

    with ThreadPoolExecutor(9) as threads:
        assert list(threads.map(one, range(100))) == list(range(100))


def test_a_host_whose_sessions_are_all_taken(
    start_sshd: Callable[..., LoopbackSshd], connect: Callable[..., Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sealer_plugin_ssh.connection.REFUSED_FOR", 0.5)
    connection = connect(start_sshd("MaxSessions 1").host)
    with pytest.raises(StepTimeoutError):
        connection.execute("sleep 10", timeout=0.2)  # it goes on there, and keeps its session
    with pytest.raises(HostError, match="the host refused to open a channel") as caught:
        connection.execute("true")
    assert "MaxSessions" in caught.value.remedy


class TestBySudoWithPassword(TransportContract):
    """A user who becomes root by sudo, which wants the password each time."""

    driver = SshTransport

    @pytest.fixture
    def connection(
        self,
        sshd: LoopbackSshd,
        connect: Callable[..., Connection],
        user: str,
        password: str,
        sudoers: Callable[..., None],
    ) -> Connection:
        sudoers(f"{user} ALL=(ALL) ALL")
        return connect(_as(sshd, user, Secret(password)))


def test_sudo_without_password(
    sshd: LoopbackSshd, connect: Callable[..., Connection], user: str, sudoers: Callable[..., None]
) -> None:
    sudoers(f"{user} ALL=(ALL) NOPASSWD: ALL")
    output = bytearray()
    end = connect(_as(sshd, user, None)).execute("id -u; cat; exit 3", stdin=[b"in\n"], stdout=output.extend)
    assert (end.status, bytes(output)) == (3, b"0\nin\n")


def _as(sshd: LoopbackSshd, user: str, password: Secret | None) -> Host:
    return replace(
        sshd.host, ssh=Ssh(user=user, password=password, private_key=sshd.host.ssh.private_key, port=sshd.port)
    )
