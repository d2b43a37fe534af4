"""What ssh's configuration says of a host, and logging in over the hosts that it puts on the way."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from sealer.errors import AuthenticationError, HostKeyError, HostUnreachableError, InputError
from sealer.extension import Connection
from sealer.hosts import Host, Ssh
from sealer.testing.sshd import LoopbackSshd, make_key
from sealer_plugin_ssh import routes, ssh_config
from sealer_plugin_ssh.ssh_config import SshConfig, parse_jump

Connect = Callable[..., Connection]
Output = Callable[..., str]


@pytest.fixture
def home() -> Path:
    """The directory of the user's own configuration."""
    found = Path(os.environ["HOME"]) / ".ssh"
    found.mkdir()
    return found


def config_of(home: Path, text: str, name: str = "config") -> SshConfig:
    (home / name).write_text(text)
    return ssh_config.load("")


# ---- reading ---------------------------------------------------------------------------------------------------


def test_what_is_said_of_a_host(home: Path) -> None:
    found = config_of(
        home,
        """\
Host db-?
  HostName %h.example
  Port 2200
  User = alice
  IdentityFile ~/.ssh/one
  IdentityFile %d/.ssh/two
  IdentitiesOnly yes
  ProxyJump bob@outer:222,inner
Host *
  User nobody
  IdentityFile ~/.ssh/three
""",
    ).lookup("db-1")
    assert (found.host_name, found.port, found.user) == ("db-1.example", 2200, "alice")
    assert found.identity_files == tuple(str(home / name) for name in ("one", "two", "three"))
    assert found.identities_only
    assert found.proxy_jump == ("bob@outer:222", "inner")


def test_files_that_are_included_and_sections_that_match(home: Path) -> None:
    (home / "conf.d").mkdir()
    (home / "conf.d/10-a").write_text("Host a\n  User from-a\n")
    (home / "conf.d/20-b").write_text("Include conf.d/deep\nHost b\n  User from-b\n")
    (home / "conf.d/deep").write_text("Host c\n  User from-c\n")
    (home / "ports").write_text("Port 99\n")
    config = config_of(
        home,
        """\
Include conf.d/*0-* nosuch
Host d
  Include ports
  User from-d
Match host e,f user from-*
  Port 98
Host f
  User from-f
Match host f user from-f
  Port 97
""",
    )
    users = {name: config.lookup(name).user for name in "abcdef"}
    assert users == {"a": "from-a", "b": "from-b", "c": "from-c", "d": "from-d", "e": "", "f": "from-f"}
    assert {name: config.lookup(name).port for name in "adef"} == {"a": 0, "d": 99, "e": 0, "f": 97}
    assert not config.ignored_sections


def test_files_that_include_each_other_come_to_an_end(home: Path) -> None:
    assert config_of(home, "Include config\nHost a\n  User alice\n").lookup("a").user == "alice"


@pytest.mark.parametrize(
    "criteria", ["exec true", "host a exec true", "!exec false", "localnetwork 0.0.0.0/0", "tagged x"]
)
def test_a_section_that_cannot_be_decided_has_no_effect_and_is_named(home: Path, criteria: str) -> None:
    config = config_of(home, f"Match {criteria}\n  User wrong\nHost a\n  User right\n")
    assert config.lookup("a").user == "right"
    assert config.ignored_sections == [f"{home / 'config'}: Match {criteria}"]


def test_what_has_no_effect_is_named(home: Path) -> None:
    text = "StrictHostKeyChecking no\nBindAddress 10.0.0.1\nKexAlgorithms none\nServerAliveInterval 5\n"
    assert config_of(home, text).lookup("a").not_honoured == ("BindAddress", "KexAlgorithms", "StrictHostKeyChecking")


def test_another_file_and_none(home: Path, tmp_path: Path) -> None:
    config_of(home, "User own\n")
    (tmp_path / "other").write_text("User other\n")
    assert [ssh_config.load(name).lookup("a").user for name in ("", str(tmp_path / "other"), "none")] == [
        "own",
        "other",
        "",
    ]
    with pytest.raises(InputError, match="cannot be read: there is no such file"):
        ssh_config.load(str(tmp_path / "nosuch"))


@pytest.mark.parametrize("text", ["Port many\n", "Port 70000\n", "Host\n", "Match\n", "Match user\n"])
def test_what_cannot_be_understood_is_an_error(home: Path, text: str) -> None:
    with pytest.raises(InputError, match="cannot be understood"):
        config_of(home, text).lookup("a")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("b", ("", "b", 0)),
        ("me@b:22", ("me", "b", 22)),
        ("[fd00::1]:22", ("", "fd00::1", 22)),
        ("ssh://me@b:22", ("me", "b", 22)),
    ],
)
def test_a_jump(text: str, parts: tuple[str, str, int]) -> None:
    assert parse_jump(text) == parts


def test_the_way_over_hosts_that_have_ways_of_their_own(home: Path) -> None:
    config = config_of(
        home,
        """\
Host target
  ProxyJump one,me@two:22
Host one
  ProxyJump zero
Host two
  ProxyJump elsewhere
  User other
Host *
  ProxyJump zero
  Port 2000
""",
    )
    hops = routes.route(config, config.lookup("target"))
    assert [(hop.config.name, hop.port) for hop in hops] == [("zero", 2000), ("one", 2000), ("two", 22)]
    assert hops[2].user == "me"


def test_a_command_in_place_of_a_way_is_refused(home: Path) -> None:
    config = config_of(home, "Host a\n  ProxyCommand nc %h %p\nHost b\n  ProxyCommand none\n")
    with pytest.raises(InputError, match="ProxyCommand"):
        routes.route(config, config.lookup("a"))
    assert not routes.route(config, config.lookup("b"))


def test_what_is_given_is_over_it(home: Path) -> None:
    found = config_of(home, "User alice\nPort 99\n").lookup("10.0.0.1")

    def login(ssh: Ssh, *, recorded: bool = False) -> tuple[str, int]:
        effective = routes.effective(Host("10.0.0.1", ssh=ssh), found, recorded=recorded).ssh
        return effective.user, effective.port

    assert login(Ssh()) == ("alice", 99)
    assert login(Ssh(user="bob", port=22)) == ("bob", 22)
    assert login(Ssh(), recorded=True) == ("root", 99)  # logged in to before there was a configuration


# ---- logging in ------------------------------------------------------------------------------------------------


def test_port_user_and_keys(
    sshd: LoopbackSshd, connect: Connect, output_of: Output, home: Path, tmp_path: Path
) -> None:
    make_key(home / "id_ed25519")
    for name in ("one", "locked"):
        make_key(tmp_path / name, passphrase="open sesame" if name == "locked" else "")
    files = [tmp_path / "locked", tmp_path / "nosuch", tmp_path / "one", sshd.key]
    lines = "".join(f"  IdentityFile {file}\n" for file in files)
    config_of(home, f"Host 127.0.0.*\n  Port {sshd.port}\n  User root\n{lines}")
    assert output_of(connect(Host("127.0.0.1")), "id -un") == "root\n"
    with pytest.raises(HostUnreachableError):
        connect(Host("127.0.0.1", ssh=Ssh(config="none", port=1)))


@pytest.mark.parametrize("only", [True, False])
def test_which_keys_of_which_agent(
    sshd: LoopbackSshd, connect: Connect, output_of: Output, home: Path, tmp_path: Path, only: bool
) -> None:
    """The agent is the configuration's; with IdentitiesOnly, the public half says which of its keys counts."""
    for name in ("other", "right"):
        make_key(tmp_path / name)
    (tmp_path / "right.pub").rename(tmp_path / "half")
    with (sshd.directory / "authorized_keys").open("a") as file:
        file.write((tmp_path / "half").read_text())
    socket = tmp_path / "socket"
    with subprocess.Popen(("ssh-agent", "-D", "-a", socket), stdout=subprocess.PIPE) as agent:
        assert agent.stdout is not None
        agent.stdout.readline()
        try:
            for name in ("other", "right"):
                environment = {**os.environ, "SSH_AUTH_SOCK": str(socket)}
                subprocess.run(("ssh-add", "-q", tmp_path / name), check=True, env=environment)
            config_of(home, f"IdentityAgent {socket}\nIdentitiesOnly {'yes' if only else 'no'}\n")
            host = Host("127.0.0.1", ssh=Ssh(port=sshd.port))
            if only:
                with pytest.raises(AuthenticationError):
                    connect(host)
                config_of(home, f"IdentityAgent {socket}\nIdentitiesOnly yes\nIdentityFile {tmp_path / 'half'}\n")
            assert output_of(connect(host), "id -un") == "root\n"
        finally:
            agent.terminate()


def test_the_files_of_known_hosts_and_the_host_s_names_count(
    sshd: LoopbackSshd, connect: Connect, home: Path, tmp_path: Path
) -> None:
    public = sshd.host_key().with_suffix(".pub").read_text()
    (tmp_path / "known").write_text(f"[node1.example]:{sshd.port} {public}")
    text = f"Host node1\n  HostName node1.example\n  Port {sshd.port}\n  StrictHostKeyChecking yes\n"
    config_of(home, text)
    host = Host("127.0.0.1", ssh=Ssh(private_key=str(sshd.key), alias="node1"))
    with pytest.raises(HostKeyError, match="is not known"):
        connect(host)
    config_of(home, f"{text}  UserKnownHostsFile {tmp_path / 'known'}\n")
    connect(host)
    make_key(tmp_path / "another")
    (tmp_path / "known").write_text(f"[node1.example]:{sshd.port} {(tmp_path / 'another.pub').read_text()}")
    with pytest.raises(HostKeyError, match="has changed"):
        connect(host)


# ---- hosts on the way --------------------------------------------------------------------------------------------


@dataclass
class Chain:
    """`outer` is reached from here, `inner` from there alone, and `target` from `inner` alone."""

    outer: LoopbackSshd
    inner: LoopbackSshd
    target: LoopbackSshd
    addresses: tuple[str, str, str]

    def config(self, **changed: Path) -> str:
        """Three sections, each with a login of its own."""
        lines = []
        jumps = {"outer": "none", "inner": "outer", "target": "inner"}
        for address, (name, jump) in zip(self.addresses, jumps.items(), strict=True):
            server: LoopbackSshd = getattr(self, name)
            key = changed.get(name, server.key)
            lines += [f"Host {name}", f"HostName {address}", f"Port {server.port}", "User root"]
            lines += [f"IdentityFile {key}", "IdentitiesOnly yes", f"ProxyJump {jump}"]
        return "\n".join(lines) + "\n"

    @property
    def host(self) -> Host:
        return Host(self.addresses[2], ssh=Ssh(alias="target"))


@pytest.fixture(scope="module")
def chain(needs_sshd: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    tag = f"slc{os.getpid()}"
    first = os.getpid() % 60 * 4
    spaces = [f"{tag}{letter}" for letter in "abc"]
    addresses: list[str] = []
    with ExitStack() as stack:
        for number, space in enumerate(spaces):
            run("ip", "netns", "add", space)
            stack.callback(run, "ip", "netns", "delete", space)
            near, far = (f"198.19.{200 + number}.{first + end}" for end in (1, 2))
            before = ("netns", spaces[number - 1]) if number else ("netns", "1")
            link = f"{tag}{number}"
            run("ip", "link", "add", link, *before, "type", "veth", "peer", "name", f"{link}p", "netns", space)
            here = ("ip", "-n", spaces[number - 1]) if number else ("ip",)
            there = ("ip", "-n", space)
            for command, name, address in ((here, link, near), (there, f"{link}p", far)):
                run(*command, "address", "add", f"{address}/30", "dev", name)
                run(*command, "link", "set", name, "up")
            run(*there, "link", "set", "lo", "up")
            addresses.append(far)
        servers = [
            stack.enter_context(
                LoopbackSshd(tmp_path_factory.mktemp("chain"), f"ListenAddress {address}", namespace=space)
            )
            for space, address in zip(spaces, addresses, strict=True)
        ]
        yield Chain(servers[0], servers[1], servers[2], (addresses[0], addresses[1], addresses[2]))


def run(*command: str) -> None:
    subprocess.run(command, check=True)


def test_a_host_behind_two_others(
    chain: Chain, connect: Connect, output_of: Output, home: Path, tmp_path: Path
) -> None:
    config_of(home, chain.config())
    connection = connect(chain.host)
    assert f"inet {chain.addresses[2]}" in output_of(connection, "ip -4 address").replace("/30", "")
    digest = "dd if=/dev/zero bs=1M count=8 2>/dev/null | tr '\\0' x"
    assert len(output_of(connection, digest)) == 8 << 20
    sent = output_of(connection, "wc -c", stdin=[b"x" * (1 << 20)] * 3)
    assert sent.strip() == str(3 << 20)
    known = (tmp_path / "sealer/known_hosts").read_text()
    assert all(address in known for address in chain.addresses)
    for server in (chain.outer, chain.inner, chain.target):
        assert any("Accepted publickey" in line for line in server.log)
    with pytest.raises(HostUnreachableError):
        ssh = Ssh(config="none", port=chain.target.port, private_key=str(chain.target.key))
        connect(Host(chain.addresses[2], ssh=ssh), connectTimeout=1)


@pytest.mark.parametrize("jump", ["outer", "inner"])
def test_a_host_on_the_way_that_is_another(
    chain: Chain, connect: Connect, home: Path, tmp_path: Path, jump: str
) -> None:
    """The key of each is checked, before anything of the login is sent to it."""
    config_of(home, chain.config())
    server = getattr(chain, jump)
    address = chain.addresses[("outer", "inner").index(jump)]
    make_key(tmp_path / "another")
    (tmp_path / "sealer").mkdir()
    known = tmp_path / "sealer/known_hosts"
    known.write_text(f"[{address}]:{server.port} {(tmp_path / 'another.pub').read_text()}")
    before = len(server.log)
    with pytest.raises(HostKeyError, match=f"{chain.addresses[2]}: jump host {jump}: the host's key has changed"):
        connect(chain.host)
    assert not any("Accepted" in line for line in server.log[before:])


@pytest.mark.parametrize("jump", ["outer", "inner"])
def test_a_host_on_the_way_that_refuses_the_login(
    chain: Chain, connect: Connect, home: Path, tmp_path: Path, jump: str
) -> None:
    make_key(tmp_path / "another")
    config_of(home, chain.config(**{jump: tmp_path / "another"}))
    with pytest.raises(AuthenticationError, match=f"{chain.addresses[2]}: jump host {jump}: login as root was refused"):
        connect(chain.host)


def test_a_host_that_the_one_before_it_does_not_reach(chain: Chain, connect: Connect, home: Path) -> None:
    config_of(home, chain.config().replace(f"Port {chain.target.port}", "Port 1"))
    with pytest.raises(HostUnreachableError, match=r"no connection to port 1 from the jump host .*refused"):
        connect(chain.host)


def test_the_end_of_the_way_is_the_end_of_the_connection(chain: Chain, connect: Connect, home: Path) -> None:
    """And the connections on the way end with the one to the host."""
    config_of(home, chain.config())
    before = connections_to(chain.outer)
    connection = connect(chain.host)
    assert connections_to(chain.outer) == before + 1
    connection.close()
    assert connections_to(chain.outer) == before


def connections_to(server: LoopbackSshd) -> int:
    command = ("ss", "-Htn", "state", "established", f"( dport = :{server.port} )")
    return len(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines())
