"""Logging in to a real sshd, and what is said when that fails."""

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sealer.errors import AuthenticationError, HostKeyError, HostUnreachableError, InterruptedRunError
from sealer.events import EventStream
from sealer.extension import Connection
from sealer.hosts import Host, Ssh
from sealer.redaction import Secret
from sealer.settings import Settings
from sealer.testing.sshd import LoopbackSshd, make_key
from sealer_plugin_ssh import dial, known_hosts
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
def test_an_encrypted_key_without_its_passphrase(
    sshd: LoopbackSshd, connect: Connect, tmp_path: Path, form: str
) -> None:
    make_key(tmp_path / "key", "rsa", passphrase="open sesame", form=form)
    host = with_ssh(sshd, private_key=str(tmp_path / "key"))
    with pytest.raises(AuthenticationError, match="is encrypted and no passphrase was given") as caught:
        connect(host)
    assert "--pk-passwd" in caught.value.remedy
    wrong = replace(host, ssh=replace(host.ssh, private_key_password=Secret("open barley")))
    with pytest.raises(AuthenticationError, match=r"the passphrase of .* is wrong") as caught:
        connect(wrong)
    assert "open barley" not in str(caught.value)


UNUSABLE = {
    "public": ("ssh-ed25519 AAAA me@here\n", "is no private key"),
    "putty": ("PuTTY-User-Key-File-3: ssh-ed25519\n", "PuTTY"),
    "damaged": ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", "is damaged"),
    "empty": ("", "is no private key"),
    "directory": (None, "cannot be read: Is a directory|cannot be read \\(Is a directory"),
    "absent": (None, r"cannot be read \(No such file"),
    "encrypted": (None, "is encrypted and no passphrase was given"),
    "dsa": (None, "has an unsupported key type"),
}


@pytest.fixture(params=UNUSABLE)
def unusable(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """A private key that cannot be used, and what is said of it."""
    content, message = UNUSABLE[request.param]
    path = tmp_path / "unusable"
    if content is not None:
        path.write_text(content)
    elif request.param == "directory":
        path.mkdir()
    elif request.param == "encrypted":
        make_key(path, passphrase="open sesame")
    elif request.param == "dsa":
        key = dsa.generate_private_key(2048)
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    return str(path), message


def test_a_key_that_cannot_be_used_says_why(sshd: LoopbackSshd, connect: Connect, unusable: tuple[str, str]) -> None:
    with pytest.raises(AuthenticationError, match=unusable[1]):
        connect(with_ssh(sshd, private_key=unusable[0]))


def test_what_else_there_is_counts_where_a_key_cannot_be_used(
    sshd: LoopbackSshd, output_of: Output, agent: None, tmp_path: Path, unusable: tuple[str, str]
) -> None:
    """The agent's keys and the cluster's own; only where that one is not enough, a word is said."""
    events = EventStream()
    told: list[str] = []
    events.subscribe(lambda event: told.append(event.message))
    transport = SshTransport(Settings(home=tmp_path / "sealer"), events, {})
    host = with_ssh(sshd, private_key=unusable[0])
    make_key(tmp_path / "loaded")
    authorize(sshd, tmp_path / "loaded")
    subprocess.run(("ssh-add", "-q", tmp_path / "loaded"), check=True)
    for _ in range(2):
        with closing(transport.connect(host)) as connection:
            assert output_of(connection, "id -un") == "root\n"
    assert len(told) == 1
    assert unusable[0] in told[0]
    transport = SshTransport(Settings(home=tmp_path / "sealer"), events, {})
    transport.credentials = tmp_path
    make_key(tmp_path / "id_ed25519")
    authorize(sshd, tmp_path / "id_ed25519")
    transport.connect(host).close()
    assert len(told) == 1


def test_the_password_counts_where_a_key_cannot_be_used(
    sshd: LoopbackSshd,
    connect: Connect,
    output_of: Output,
    unusable: tuple[str, str],
    user: str,
    password: str,
    sudoers: Callable[..., None],
) -> None:
    sudoers(f"{user} ALL=(ALL) NOPASSWD: ALL")
    host = with_ssh(sshd, private_key=unusable[0], user=user, password=Secret(password))
    assert output_of(connect(host), "id -un") == "root\n"


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


@pytest.mark.parametrize("kind", ["rsa", "ed25519", "ecdsa"])
@pytest.mark.parametrize("alone", [True, False])
def test_a_certificate_in_the_agent(
    start_sshd: Start, connect: Connect, output_of: Output, agent: None, tmp_path: Path, kind: str, alone: bool
) -> None:
    """With the plain key beside it, or alone."""
    make_key(tmp_path / "key", kind)
    make_key(tmp_path / "authority")
    sign = ("ssh-keygen", "-q", "-s", tmp_path / "authority", "-I", "root", "-n", "root")
    subprocess.run((*sign, tmp_path / "key.pub"), check=True)
    subprocess.run(("ssh-add", "-q", tmp_path / "key"), check=True)
    if alone:
        subprocess.run(("ssh-add", "-q", "-k", "-d", tmp_path / "key"), check=True)
    held = subprocess.run(("ssh-add", "-l"), check=True, capture_output=True, text=True).stdout.splitlines()
    assert len(held) == (1 if alone else 2)
    server = start_sshd(f"TrustedUserCAKeys {tmp_path}/authority.pub")
    assert output_of(connect(with_ssh(server, private_key="")), "id -un") == "root\n"
    assert any("CERT" in line for line in server.log)


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


def test_a_password_that_has_expired(start_sshd: Start, connect: Connect, user: str, password: str) -> None:
    """The host asks for a new one: the old one is not given to it."""
    server = start_sshd("UsePAM yes", "PasswordAuthentication no", "KbdInteractiveAuthentication yes")
    host = with_ssh(server, user=user, private_key="", password=Secret(password))
    before = spwd(user)
    subprocess.run(("chage", "-d", "0", user), check=True)
    try:
        with pytest.raises(
            AuthenticationError, match=f"the password of {user} has expired and must be changed"
        ) as caught:
            connect(host)
        assert f"ssh -p {server.port} {user}@127.0.0.1" in caught.value.remedy
        assert spwd(user) == before
    finally:
        subprocess.run(("chage", "-d", "-1", user), check=True)


def spwd(user: str) -> str:
    lines = Path("/etc/shadow").read_text().splitlines()
    return next(line for line in lines if line.startswith(f"{user}:")).split(":")[1]


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


def test_a_server_that_takes_long_to_speak(
    sshd: LoopbackSshd, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection's time limit is the banner's, too, where it is the longer one."""
    monkeypatch.setattr(dial, "BANNER_TIMEOUT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(4) as threads:
        host = replace(sshd.host, ssh=replace(sshd.host.ssh, port=server.getsockname()[1]))
        waiting = threads.submit(relay_late, server, sshd.port, 2.0, threads)
        with pytest.raises(HostUnreachableError, match=r"no SSH banner within 0\.5 seconds"):
            connect(host, connectTimeout=0.2)
        waiting.result()
        waiting = threads.submit(relay_late, server, sshd.port, 2.0, threads)
        with closing(connect(host, connectTimeout=20)) as connection:
            assert connection.execute("exit 7").status == 7
        waiting.result()


def relay_late(server: socket.socket, port: int, delay: float, threads: ThreadPoolExecutor) -> None:
    client, _ = server.accept()
    time.sleep(delay)
    with client, socket.create_connection(("127.0.0.1", port)) as behind:
        upward = threads.submit(carry, client, behind)
        carry(behind, client)
        upward.result()


def carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while block := source.recv(1 << 16):
            target.sendall(block)
        target.shutdown(socket.SHUT_WR)


def test_a_link_local_address(start_sshd: Start, connect: Connect, output_of: Output, tmp_path: Path) -> None:
    """Its zone says by which interface."""
    name = f"slr{os.getpid()}"
    subprocess.run(("ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}p"), check=True)
    try:
        for end in (name, f"{name}p"):
            subprocess.run(("ip", "link", "set", end, "up"), check=True)
        subprocess.run(("ip", "-6", "address", "add", "fe80::5ea:1e4/64", "dev", name, "nodad"), check=True)
        server = start_sshd(f"ListenAddress fe80::5ea:1e4%{name}")
        host = replace(server.host, address=f"fe80::5ea:1e4%{name}")
        assert output_of(connect(host), "id -un") == "root\n"
        with pytest.raises(HostUnreachableError, match="no network interface 'nosuch0'"):
            connect(replace(host, address="fe80::5ea:1e4%nosuch0"))
    finally:
        subprocess.run(("ip", "link", "delete", name), check=True)


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
