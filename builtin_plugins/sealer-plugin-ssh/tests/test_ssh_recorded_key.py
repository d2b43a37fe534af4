"""A host key that a cluster's record has counts before every login, whatever became of known_hosts."""

import base64
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sealer.errors import HostKeyError, SealerError
from sealer.events import EventStream
from sealer.settings import Settings
from sealer.testing.sshd import LoopbackSshd
from sealer_plugin_ssh.known_hosts import HostKey, KnownHosts, read
from sealer_plugin_ssh.transport import SshTransport

Start = Callable[..., LoopbackSshd]


def key_of(file: Path) -> HostKey:
    kind, blob, *_ = file.with_suffix(".pub").read_text().split()
    return HostKey(kind, base64.b64decode(blob))


@pytest.fixture
def transport(tmp_path: Path) -> SshTransport:
    return SshTransport(Settings(home=tmp_path / "sealer"), EventStream(), {})


def test_another_key_is_refused_before_the_login_and_not_remembered(start_sshd: Start, transport: SshTransport) -> None:
    server = start_sshd("LogLevel VERBOSE")
    transport.host_keys = {"127.0.0.1": "SHA256:of-the-machine-that-was-there"}
    known = transport.settings.home / "known_hosts"
    with pytest.raises(HostKeyError, match="not the one recorded") as error:
        transport.connect(server.host)
    assert key_of(server.host_key()).fingerprint in error.value.why
    assert not [line for line in server.log if "Accepted" in line or "Failed" in line]
    assert not known.exists() or not read(known)
    # Whoever has compared the new key says so.
    scan = error.value.remedy.partition("then add them: ")[2]
    subprocess.run(scan, shell=True, check=True, capture_output=True)
    transport.connect(server.host).close()


@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
def test_a_recorded_key_of_any_kind_is_found(start_sshd: Start, transport: SshTransport, kind: str) -> None:
    """The server would show another kind of its own accord."""
    server = start_sshd(host_keys=("ed25519", "ecdsa", "rsa"))
    fingerprint = key_of(server.host_key(kind)).fingerprint
    transport.host_keys = {"127.0.0.1": fingerprint}
    connection = transport.connect(server.host)
    assert connection.host_key == fingerprint
    connection.close()


def test_a_host_that_is_forgotten_is_new(tmp_path: Path) -> None:
    own = tmp_path / "known_hosts"
    known = KnownHosts(own)
    one, two = HostKey("ssh-ed25519", b"one"), HostKey("ssh-ed25519", b"two")
    for address, port in (("10.0.0.1", 22), ("10.0.0.1", 2222), ("10.0.0.11", 22)):
        known.check(address, port, one)
    with own.open("a") as file:
        file.write("# mine\n10.9.0.* ssh-rsa AAAA\n@revoked 10.0.0.1 ssh-ed25519 " + "AAAA\n")
    known.forget("10.0.0.1", 2222)
    assert [line.split()[0] for line in own.read_text().splitlines()] == ["10.0.0.11", "#", "10.9.0.*", "@revoked"]
    assert own.stat().st_mode & 0o777 == 0o600
    known.check("10.0.0.1", 22, two)
    KnownHosts(tmp_path / "none").forget("10.0.0.1", 22)


def test_keys_that_cannot_be_recorded_are_no_bug(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SealerError, match="keys of hosts cannot be recorded"):
        KnownHosts(tmp_path / "file" / "known_hosts").check("10.0.0.1", 22, HostKey("ssh-ed25519", b"one"))
