"""Logging in to a real sshd, and what is said when that fails."""

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from sealer.errors import AuthenticationError, HostKeyError, HostUnreachableError, InterruptedRunError
from sealer.events import EventStream
from sealer.extension import Connection
from sealer.hosts import Host, Ssh
from sealer.redaction import Secret
from sealer.settings import Settings
from sealer.testing.sshd import LoopbackSshd, make_key
from sealer_plugin_ssh import known_hosts
from sealer_plugin_ssh.transport import SshTransport

Connect = Callable[..., Connection]
Start = Callable[..., LoopbackSshd]
Output = Callable[..., str]


def with_ssh(server: LoopbackSshd, **changes: object) -> Host:
    return replace(server.host, ssh=replace(server.host.ssh, **changes))  # type: ignore[arg-type]


def authorize(server: LoopbackSshd, key: Path) -> None:
    with (server.directory / "authorized_keys").open("a") as file:
        file.write(key.with_name(key.name + ".pub").read_text())


# ---- keys ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
@pytest.mark.parametrize("form", ["RFC4716", "PEM", "PKCS8"])
def test_a_key_of_any_form(
    sshd: LoopbackSshd, connect: Connect, output_of: Output, tmp_path: Path, kind: str, form: str
) -> None:
    key = tmp_path / "key"
    make_key(key, kind, passphrase="open sesame", form=form)
    authorize(sshd, key)
    connection = connect(with_ssh(sshd, private_key=str(key), private_key_password=Secret("open sesame")))
    assert output_of(connection, "id -un") == "root\n"


def test_a_key_given_as_text(sshd: LoopbackSshd, connect: Connect, output_of: Output) -> None:
    connection = connect(with_ssh(sshd, private_key=sshd.key.read_text()))
    assert output_of(connection, "id -un") == "root\n"


def test_a_needless_passphrase_does_no_harm(sshd: LoopbackSshd, connect: Connect, output_of: Output) -> None:
    connection = connect(with_ssh(sshd, private_key_password=Secret("needless")))
    assert output_of(connection, "id -un") == "root\n"


@pytest.mark.parametrize("form", ["RFC4716", "PEM", "PKCS8"])
def test_an_encrypted_key_without_its_passphrase(connect: Connect, tmp_path: Path, form: str) -> None:
    make_key(tmp_path / "key", "rsa", passphrase="open sesame", form=form)
    host = Host("127.0.0.1", ssh=Ssh(private_key=str(tmp_path / "key")))
    with pytest.raises(AuthenticationError, match="is encrypted and no passphrase was given") as caught:
        connect(host)
    assert "--pk-passwd" in caught.value.remedy
    wrong = replace(host, ssh=replace(host.ssh, private_key_password=Secret("open barley")))
    with pytest.raises(AuthenticationError, match=r"the passphrase of .* is wrong") as caught:
        connect(wrong)
    assert "open barley" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("ssh-ed25519 AAAA me@here\n", "is no private key"),
        ("PuTTY-User-Key-File-3: ssh-ed25519\n", "PuTTY"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", "is damaged"),
    ],
)
def test_a_file_that_is_no_key(connect: Connect, tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "key").write_text(content)
    with pytest.raises(AuthenticationError, match=message):
        connect(Host("127.0.0.1", ssh=Ssh(private_key=str(tmp_path / "key"))))


def test_a_key_that_is_not_there(connect: Connect) -> None:
    with pytest.raises(AuthenticationError, match="private key /no/such cannot be read: No such file"):
        connect(Host("127.0.0.1", ssh=Ssh(private_key="/no/such")))


def test_the_default_keys(sshd: LoopbackSshd, connect: Connect, output_of: Output) -> None:
    folder = Path(os.environ["HOME"]) / ".ssh"
    folder.mkdir()
    make_key(folder / "id_ecdsa", "ecdsa", passphrase="for the agent only")
    make_key(folder / "id_rsa", "rsa")
    authorize(sshd, folder / "id_rsa")
    assert output_of(connect(with_ssh(sshd, private_key="")), "id -un") == "root\n"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate beside a new key `tmp_path / "key"`, out of date; nobody trusts its authority either."""
    for name in ("key", "authority"):
        make_key(tmp_path / name)
    sign = ("ssh-keygen", "-q", "-s", tmp_path / "authority", "-I", "root", "-n", "root", "-V", "-2w:-1w")
    subprocess.run((*sign, tmp_path / "key.pub"), check=True)
    return tmp_path / "key-cert.pub"


def test_a_key_whose_certificate_is_refused(
    sshd: LoopbackSshd, connect: Connect, output_of: Output, tmp_path: Path, certificate: Path
) -> None:
    authorize(sshd, tmp_path / "key")
    assert output_of(connect(with_ssh(sshd, private_key=str(tmp_path / "key"))), "id -un") == "root\n"


@pytest.mark.parametrize("content", [b"", b"rubbish", b"ssh-ed25519-cert-v01@openssh.com AAAA", b"\xff\xfe"])
def test_a_key_whose_certificate_is_damaged(
    sshd: LoopbackSshd, connect: Connect, output_of: Output, tmp_path: Path, certificate: Path, content: bytes
) -> None:
    authorize(sshd, tmp_path / "key")
    certificate.write_bytes(content)
    assert output_of(connect(with_ssh(sshd, private_key=str(tmp_path / "key"))), "id -un") == "root\n"


def test_a_certificate_is_enough(start_sshd: Start, connect: Connect, output_of: Output, tmp_path: Path) -> None:
    for name in ("key", "authority"):
        make_key(tmp_path / name)
    sign = ("ssh-keygen", "-q", "-s", tmp_path / "authority", "-I", "root", "-n", "root")
    subprocess.run((*sign, tmp_path / "key.pub"), check=True)
    server = start_sshd(f"TrustedUserCAKeys {tmp_path}/authority.pub")
    assert output_of(connect(with_ssh(server, private_key=str(tmp_path / "key"))), "id -un") == "root\n"


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    path = tmp_path / "agent"
    with subprocess.Popen(("ssh-agent", "-D", "-a", path), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it listens
        monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
        yield
        process.terminate()


def test_the_agent_s_keys(sshd: LoopbackSshd, connect: Connect, output_of: Output, agent: None, tmp_path: Path) -> None:
    """Nine of them, the last one is right: sshd hangs up after six, and the next connection goes on."""
    for number in range(9):
        make_key(tmp_path / f"key{number}")
        subprocess.run(("ssh-add", "-q", tmp_path / f"key{number}"), check=True)
    authorize(sshd, tmp_path / "key8")
    assert output_of(connect(with_ssh(sshd, private_key="")), "id -un") == "root\n"


def test_no_credential_at_all(sshd: LoopbackSshd, connect: Connect) -> None:
    with pytest.raises(AuthenticationError, match="tried: nothing") as caught:
        connect(with_ssh(sshd, private_key=""))
    assert caught.value.where == "127.0.0.1"


# ---- passwords -------------------------------------------------------------------------------------------------


def test_a_password_and_a_wrong_one(
    sshd: LoopbackSshd, connect: Connect, user: str, password: str, sudoers: Callable[..., None], output_of: Output
) -> None:
    sudoers(f"{user} ALL=(ALL) NOPASSWD: ALL")
    host = with_ssh(sshd, user=user, private_key="", password=Secret(password))
    assert output_of(connect(host), "id -un") == "root\n"
    with pytest.raises(AuthenticationError, match=f"login as {user} was refused: tried: password") as caught:
        connect(replace(host, ssh=replace(host.ssh, password=Secret("wrong horse"))))
    assert "wrong horse" not in str(caught.value)
    assert f"ssh -p {sshd.port} {user}@127.0.0.1" in caught.value.remedy


def test_a_password_that_is_asked_for_interactively(
    start_sshd: Start, connect: Connect, user: str, password: str, sudoers: Callable[..., None], output_of: Output
) -> None:
    sudoers(f"{user} ALL=(ALL) NOPASSWD: ALL")
    server = start_sshd("UsePAM yes", "PasswordAuthentication no", "KbdInteractiveAuthentication yes")
    host = with_ssh(server, user=user, private_key="", password=Secret(password))
    assert output_of(connect(host), "id -un") == "root\n"


@pytest.mark.parametrize("methods", ["publickey,password", "password,publickey"])
def test_a_key_and_a_password_together(
    start_sshd: Start,
    connect: Connect,
    user: str,
    password: str,
    sudoers: Callable[..., None],
    output_of: Output,
    methods: str,
) -> None:
    sudoers(f"{user} ALL=(ALL) NOPASSWD: ALL")
    server = start_sshd(f"AuthenticationMethods {methods}")
    assert output_of(connect(with_ssh(server, user=user, password=Secret(password))), "id -un") == "root\n"
    with pytest.raises(AuthenticationError):
        connect(with_ssh(server, user=user))


# ---- the way there ---------------------------------------------------------------------------------------------


def test_nobody_listens(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(HostUnreachableError, match=f"127.0.0.1: no connection to port {port}: connection refused"):
        connect(Host("127.0.0.1", ssh=Ssh(port=port)))


def test_a_listener_that_takes_no_connection(connect: Connect) -> None:
    """Its queue is full, so a further connection is left without an answer, as behind a firewall that drops."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        with socket.create_connection(server.getsockname()):
            with pytest.raises(HostUnreachableError, match=r"no answer within 0\.5 seconds"):
                connect(Host("127.0.0.1", ssh=Ssh(port=server.getsockname()[1])), connectTimeout=0.5)


def test_a_server_that_is_not_ssh(connect: Connect) -> None:
    def serve(server: socket.socket) -> None:
        with server.accept()[0] as client:
            client.sendall(b"220 mail.example ESMTP ready\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        with pytest.raises(HostUnreachableError, match="is no SSH server: it says '220 mail"):
            connect(Host("127.0.0.1", ssh=Ssh(port=server.getsockname()[1])))
        thread.join()


def test_an_ipv6_address(needs_sshd: None, start_sshd: Start, connect: Connect, output_of: Output) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    server = start_sshd("ListenAddress ::1")
    assert output_of(connect(replace(server.host, address="::1")), "id -un") == "root\n"


def test_a_crowd_meets_a_server_that_drops(start_sshd: Start, connect: Connect) -> None:
    server = start_sshd("MaxStartups 2:50:4")
    with ThreadPoolExecutor(16) as threads:
        connections = list(threads.map(lambda _: connect(server.host), range(16)))
    assert all(connection.execute("exit 7").status == 7 for connection in connections)


# ---- host keys -------------------------------------------------------------------------------------------------


def test_a_changed_host_key_is_refused(start_sshd: Start, connect: Connect, tmp_path: Path) -> None:
    server = start_sshd()
    first = connect(server.host).host_key
    server.stop()
    server.host_key().unlink()
    server.start()
    with pytest.raises(HostKeyError, match="the host's key has changed") as caught:
        connect(server.host)
    known = tmp_path / "sealer" / "known_hosts"
    assert f"{known}:1 knows it by ssh-ed25519 {first}" in str(caught.value)
    assert f"ssh-keygen -R '[127.0.0.1]:{server.port}' -f {known}" in caught.value.remedy
    known.unlink()
    assert connect(server.host).host_key != first


def test_a_host_is_asked_for_the_key_that_is_known(start_sshd: Start, connect: Connect) -> None:
    server = start_sshd(host_keys=("ed25519", "ecdsa", "rsa"))
    known = Path(os.environ["HOME"]) / ".ssh" / "known_hosts"
    known.parent.mkdir()
    for kind in ("rsa", "ecdsa", "ed25519"):
        public = server.host_key(kind).with_suffix(".pub").read_text()
        known.write_text(f"{known_hosts.host_name('127.0.0.1', server.port)} {public}")
        connect(server.host, strictHostKeyChecking="yes")


def test_a_new_host_is_refused_when_told_so(sshd: LoopbackSshd, connect: Connect) -> None:
    with pytest.raises(HostKeyError, match="is not known") as caught:
        connect(sshd.host, strictHostKeyChecking="yes")
    assert "ssh-keyscan" in caught.value.remedy


# ---- being called off --------------------------------------------------------------------------------------------


def nobody(server: socket.socket, stop: threading.Event) -> None:
    """The queue of those who wait is full: whoever comes now hears nothing at all."""
    waiting = []
    for _ in range(3):
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(server.getsockname())
        waiting.append(client)
    stop.wait()
    for client in waiting:
        client.close()


def mute(server: socket.socket, stop: threading.Event) -> None:
    """Accepts, and says nothing."""
    client, _ = server.accept()
    stop.wait()
    client.close()


def half(server: socket.socket, stop: threading.Event) -> None:
    """Says that it speaks SSH, and no more."""
    client, _ = server.accept()
    client.sendall(b"SSH-2.0-half\r\n")
    stop.wait()
    client.close()


def busy(server: socket.socket, stop: threading.Event) -> None:
    """Hangs up on everybody, as sshd does with too many."""
    server.settimeout(0.1)
    while not stop.is_set():
        with suppress(TimeoutError):
            server.accept()[0].close()


@pytest.mark.parametrize("server_like", [nobody, mute, half, busy])
def test_a_connection_that_nobody_wants_any_more(
    server_like: Callable[[socket.socket, threading.Event], None], tmp_path: Path
) -> None:
    """Ctrl-C is heard while connecting, wherever that waits."""
    over = threading.Event()
    transport = SshTransport(Settings(home=tmp_path), EventStream(), {})
    transport.cancelled = threading.Event()
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, ThreadPoolExecutor(1) as threads:
        serving = threads.submit(server_like, server, over)
        calling_off = threading.Timer(1.0, transport.cancelled.set)
        calling_off.start()
        started = time.monotonic()
        try:
            with pytest.raises(InterruptedRunError):
                transport.connect(Host("127.0.0.1", ssh=Ssh(password=Secret("Wal-Nuss"), port=server.getsockname()[1])))
            assert time.monotonic() - started < 4
        finally:
            over.set()
            calling_off.join()
            serving.result()
