"""Whether this machine itself is worked on, or what its network leads to; and that it is asked about before."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from sealer.testing.sshd import LoopbackSshd, why_not

CLUSTERFILE = """\
apiVersion: sealer.io/v2
kind: Cluster
metadata: {{name: {name}}}
spec:
  image: demo:1
  dataRoot: {work}/data
  ssh: {{authorizeKey: false}}
{hosts}
"""
# Its secrets are those that a file lists.
VAULT = """\
import json
from pathlib import Path
from sealer.extension import hookimpl
from sealer.redaction import Secret

@hookimpl
def resolve_secret(reference):
    scheme, _, name = reference.partition(":")
    if scheme != "zz-safe":
        return None
    place = Path(__file__).parent
    with (place / "asked").open("a") as asked:
        asked.write(name + "\\n")
    return Secret(json.loads((place / "safe.json").read_text())[name])
"""


class Site:
    """A home and an image of their own; whose script notes how it was reached."""

    def __init__(self, work: Path) -> None:
        self.work = work
        (work / "scripts").mkdir()
        (work / "scripts/init.sh").write_text(f"#!/bin/sh\necho init >> {work}/marks\n")
        (work / "Kubefile").write_text("FROM scratch\nCOPY scripts scripts\nCMD echo up\n")
        self.environment = {**os.environ, "SEALER_HOME": str(work / "home"), "PYTHONPATH": str(work / "site")}
        self.environment["HOME"] = str(work)  # neither keys nor known hosts of whoever runs the tests
        self.environment.pop("SEALER_PASSWD", None)
        self.call("build", "-q", "-t", "demo:1", str(work))

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "sealer", *arguments]

    def call(self, *arguments: str, status: int = 0) -> str:
        done = subprocess.run(
            self.command(*arguments),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == status, done.stderr + done.stdout
        return done.stderr + done.stdout

    def on_a_terminal(self, *arguments: str, typed: bytes) -> tuple[int, str]:
        """Call it on a terminal of its own, and type when it asks."""
        leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 200, 0, 0))
        command = ["setsid", "--ctty", *self.command(*arguments)]
        process = subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, env=self.environment)
        os.close(follower)
        shown = b""
        try:
            while block := os.read(leader, 65536):
                shown += block
                if typed and b"[y/N]:" in shown:
                    os.write(leader, typed)
                    typed = b""
        except OSError:  # how Linux says that the other side has closed
            pass
        finally:
            os.close(leader)
        return process.wait(timeout=120), shown.decode()

    def clusterfile(self, hosts: str = "", name: str = "here") -> str:
        (self.work / "Clusterfile").write_text(CLUSTERFILE.format(work=self.work, hosts=hosts, name=name))
        return str(self.work / "Clusterfile")

    def host(self, name: str = "here") -> dict[str, object]:
        """What is recorded of the only host."""
        (host,) = json.loads((self.work / f"home/clusters/{name}/state.json").read_text())["hosts"]
        assert isinstance(host, dict)
        return host

    @property
    def changed(self) -> bool:
        """Whether anything was done to this machine."""
        return (self.work / "marks").exists() or (self.work / "data").exists()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    if os.geteuid() != 0:
        pytest.skip("a cluster of this machine is made by root: run the tests as root")
    return Site(tmp_path)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LoopbackSshd]:
    if reason := why_not():
        pytest.skip(reason)
    (tmp_path / "sshd").mkdir()
    with LoopbackSshd(tmp_path / "sshd") as started:
        yield started


def logins(server: LoopbackSshd) -> int:
    return sum("Accepted publickey" in line for line in server.log)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


# -- a login means SSH ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["file", "flags", "address"])
def test_a_port_of_the_loopback_is_reached_by_ssh_for_as_long_as_the_cluster_lives(
    site: Site, server: LoopbackSshd, way: str
) -> None:
    port, key = str(server.port), str(server.key)
    hosts, flags = "", []
    if way == "file":
        hosts = f"  hosts:\n  - ips: [127.0.0.1]\n    roles: [master]\n    ssh: {{port: {port}, pk: {key}}}\n"
    elif way == "flags":
        hosts, flags = "  hosts:\n  - {ips: [127.0.0.1], roles: [master]}\n", ["--port", port, "--pk", key]
    else:
        flags = ["-m", f"127.0.0.1:{port}", "--pk", key]
    site.call("apply", "-f", site.clusterfile(hosts), *flags)
    assert logins(server) == 1
    assert site.host()["hostKey"]
    for number, command in enumerate((["check"], ["exec", "true"], ["delete", "--all", "--yes"]), start=2):
        site.call(*command)
        assert logins(server) == number
    assert not (site.work / "data").exists()


@pytest.mark.parametrize(
    "login", [["--port", "{port}"], ["-p", "secret1"], ["-u", "somebody"], ["--pk", "{key}"]], ids=lambda it: it[0]
)
@pytest.mark.parametrize("address", ["127.0.0.1", "own"])
def test_whoever_gives_a_login_does_not_get_this_machine(
    site: Site, server: LoopbackSshd, login: list[str], address: str
) -> None:
    """Each alone means SSH, to port 22 where none is given: whatever answers there, or does not, refuses us."""
    own = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=True).stdout.split()
    address = address if address != "own" else own[0] if own else "127.0.0.2"
    (site.work / "other_key").write_text(server.key.read_text().replace("A", "B", 1))
    words = [word.format(port=free_port(), key=site.work / "other_key") for word in login]
    told = site.call("apply", "-f", site.clusterfile(), "-m", address, *words, status=1)
    assert f"{address} is an address of this machine" in told
    assert not site.changed


def test_a_delete_logs_in_as_the_named_file_says(site: Site, server: LoopbackSshd) -> None:
    """The key that the cluster was made with is gone; only the file knows of the one that there is now."""

    def clusterfile(key: Path) -> str:
        ssh = f"{{port: {server.port}, pk: {key}}}"
        return site.clusterfile(f"  hosts:\n  - {{ips: [127.0.0.1], roles: [master], ssh: {ssh}}}\n")

    site.call("apply", "-f", clusterfile(server.key))
    moved = server.key.rename(site.work / "moved")
    told = site.call("delete", "--all", "--yes", "--name", "here", status=1)
    assert f"private key {server.key} cannot be read (No such file" in told
    site.call("delete", "--all", "--yes", "-f", clusterfile(moved))
    assert not (site.work / "home/clusters/here/state.json").exists()


def test_ssh_s_configuration_counts_for_as_long_as_the_cluster_lives(
    site: Site, server: LoopbackSshd, tmp_path: Path
) -> None:
    """Given once, with a host on the way: later commands find the way again."""
    (tmp_path / "bastion").mkdir()
    with LoopbackSshd(tmp_path / "bastion") as bastion:
        (site.work / "config").write_text(
            f"Host bastion\n  HostName 127.0.0.1\n  Port {bastion.port}\n  User root\n  IdentityFile {bastion.key}\n"
            f"Host 127.0.0.1\n  Port {server.port}\n  User root\n  IdentityFile {server.key}\n  ProxyJump bastion\n"
        )
        words = ["-m", f"127.0.0.1:{server.port}", "--name", "here"]
        told = site.call("run", "demo:1", *words, "--ssh-config", "nosuch", status=2)
        assert "nosuch" in told
        site.call("run", "demo:1", *words, status=1)
        assert not site.changed
        site.call("run", "demo:1", *words, "--ssh-config", str(site.work / "config"))
        for command in (["check"], ["exec", "true"], ["delete", "--all", "--yes"]):
            before = logins(bastion), logins(server)
            site.call(*command)
            assert (logins(bastion), logins(server)) == (before[0] + 1, before[1] + 1)


def test_a_host_is_named_as_ssh_s_configuration_calls_it(site: Site, server: LoopbackSshd) -> None:
    """The address and the port are recorded; what else the section says, counts by the name."""
    (site.work / ".ssh").mkdir()
    (site.work / ".ssh/config").write_text(
        f"Host box\n  HostName 127.0.0.1\n  Port {server.port}\n  User root\n  IdentityFile {server.key}\n"
    )
    hosts = "  hosts:\n  - {{ips: [{}], roles: [master]}}\n".format
    told = site.call("apply", "-f", site.clusterfile(hosts("no-such-name")), status=2)
    assert "no-such-name has no address" in told
    told = site.call("apply", "-f", site.clusterfile(hosts("box")), "-n", "localhost", status=2)
    assert "127.0.0.1 (box, localhost) is named 2 times" in told
    assert not site.changed
    site.call("validate", "-f", site.clusterfile(hosts("box")))
    site.call("apply", "-f", site.clusterfile(hosts("box")))
    host = site.host()
    assert (host["address"], host["ssh"]) == (
        "127.0.0.1",
        {"user": "", "port": server.port, "privateKey": "", "config": "", "alias": "box"},
    )
    assert "already" in site.call("scale-up", "-n", "box", status=2)
    site.call("exec", "--hosts", "box", "true")
    site.call("apply", "-f", site.clusterfile(hosts("127.0.0.1")))
    site.call("check")
    (site.work / "moved").write_text((site.work / ".ssh/config").read_text().replace("HostName 127.0.0.1", ""))
    moved = ["-f", site.clusterfile(hosts("box")), "--ssh-config", str(site.work / "moved")]
    site.call("delete", "--all", "--yes", *moved)
    assert logins(server) == 4


def test_what_no_port_leads_to_is_not_this_machine(site: Site) -> None:
    port = free_port()
    told = site.call("run", "demo:1", "-m", f"127.0.0.1:{port}", status=1)
    assert f"no connection to port {port}" in told
    assert "127.0.0.1 is an address of this machine" in told
    assert "--transport local" in told
    assert not site.changed


def test_this_machine_is_chosen_by_its_address_alone_or_by_the_transport(site: Site) -> None:
    hosts = "  hosts:\n  - {ips: [127.0.0.1], roles: [master]}\n"
    site.call("apply", "-f", site.clusterfile(hosts))
    assert site.host()["hostKey"] == ""
    # Logins for other hosts are not meant for one that was reached without.
    site.call("check", "-p", "of-others")
    site.call("delete", "--all", "--yes", "-p", "of-others")
    site.call("apply", "-f", site.clusterfile(hosts), "--transport", "local", "-p", "secret1")
    site.call("delete", "--all", "--yes")
    (site.work / "marks").unlink()
    site.call("run", "demo:1", "-m", "203.0.113.9", "--transport", "local", status=1)
    assert not site.changed


# -- no host at all ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["run", "demo:1"], ["apply", "-f", "{file}"], ["run", "-f", "{file}"]])
def test_without_hosts_and_a_terminal_a_yes_is_wanted(site: Site, command: list[str]) -> None:
    words = [word.format(file=site.clusterfile()) for word in command]
    told = site.call(*words, status=3)
    assert "No host is named. Install demo:1 on this machine" in told
    assert socket.gethostname() in told
    assert "add --yes" in told
    assert not site.changed
    assert "There is no cluster" in site.call("status")
    assert "scripts/init.sh" in site.call(*words, "--dry-run")


def test_without_hosts_it_is_asked_once(site: Site) -> None:
    file = site.clusterfile()
    status, shown = site.on_a_terminal("apply", "-f", file, typed=b"n\n")
    assert status == 3
    assert "No host is named. Install demo:1 on this machine" in shown
    assert "nothing was changed" in shown
    assert not site.changed
    status, shown = site.on_a_terminal("apply", "-f", file, typed=b"y\n")
    assert status == 0, shown
    assert site.changed
    assert "already up to date" in site.call("apply", "-f", file)  # it is in the cluster: nobody is asked again
    site.call("delete", "--all", "--yes")
    site.call("apply", "-f", file, "--yes")
    site.call("delete", "--all", "--yes")


def test_a_port_without_a_host_is_refused(site: Site) -> None:
    told = site.call("run", "demo:1", "--yes", "--port", "2222", status=2)
    assert "SSH port 2222 is given, and no host" in told
    assert not site.changed


def test_an_application_goes_onto_its_cluster_unasked(site: Site) -> None:
    site.call("apply", "-f", site.clusterfile("  hosts:\n  - {ips: [127.0.0.1], roles: [master]}\n"))
    (site.work / "Kubefile").write_text("FROM scratch\nCOPY Kubefile x\nCMD echo app\n")
    site.call("build", "-q", "-t", "app:1", "--type", "app-installer", str(site.work))
    site.call("run", "app:1")
    site.call("delete", "--all", "--yes")


# -- secrets that are only referred to -----------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["file", "flag"])
def test_a_reference_to_a_secret_opens_a_key_and_is_not_recorded(site: Site, server: LoopbackSshd, way: str) -> None:
    package = site.work / "site" / "zz_safe-1.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: zz-safe\nVersion: 1\n")
    (package / "entry_points.txt").write_text("[sealer.plugins]\nzz-safe = zz_safe\n")
    (site.work / "site/zz_safe.py").write_text(VAULT)
    (site.work / "site/safe.json").write_text(json.dumps({"keys/one": "quite: another word"}))
    locked = site.work / "locked"
    locked.write_bytes(server.key.read_bytes())
    locked.chmod(0o600)
    command = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "quite: another word", "-f", str(locked)]
    subprocess.run(command, check=True)
    login = f"port: {server.port}, pk: {locked}" + (", pkPasswd: 'zz-safe:keys/one'" if way == "file" else "")
    file = site.clusterfile(f"  hosts:\n  - ips: [127.0.0.1]\n    roles: [master]\n    ssh: {{{login}}}\n")
    flags = [] if way == "file" else ["--pk-passwd", "zz-safe:keys/one"]
    shown = site.call("apply", "-f", file, *flags)
    assert logins(server) == 1
    assert (site.work / "site/asked").read_text() == "keys/one\n"
    recorded = [path for path in (site.work / "home").rglob("*") if path.is_file()]
    assert not [path for path in recorded if b"another word" in path.read_bytes()]
    assert "another word" not in shown
    site.call("validate", "-f", file)  # asks for no secret
    assert (site.work / "site/asked").read_text() == "keys/one\n"
    site.call("delete", "--all", "--yes", "--pk-passwd", "zz-safe:keys/one")
