"""What hosts are told of the registry: the scripts run for real, below a directory in place of `/`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from sealer_plugin_registry import trusting
from sealer_plugin_registry.trusting import DIRECTORY, Login, Server

SERVER = Server("sea.hub:5000", ca="/var/lib/sealer/data/c/registry-ca.crt")
DOMAINS = ("docker.io", "registry.example.com:5000")


class Host:
    """A directory that stands for a host's root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "etc").mkdir()
        (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
        self.before = self.files()

    def run(self, script: str, status: int = 0) -> str:
        done = subprocess.run(
            ["/bin/sh", "-c", script],
            check=False,
            env={"ROOT": str(self.root), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == status, done.stdout + done.stderr
        assert not done.stderr
        return done.stdout

    def trust(self, *servers: Server, address: str = "198.18.0.11", status: int = 0) -> str:
        content = trusting.files("c", DOMAINS, servers or (SERVER,))
        return self.run(trusting.trust_script("c", self.data, content, address, "sea.hub"), status)

    @property
    def data(self) -> str:
        return str(self.root / "data")

    def hosts_toml(self, domain: str) -> Path:
        return self.root / DIRECTORY.lstrip("/") / domain / "hosts.toml"

    def files(self) -> dict[str, str]:
        return {
            str(path.relative_to(self.root)): path.read_text() if path.is_file() else "directory"
            for path in sorted(self.root.rglob("*"))
            if path != self.root / "data"
        }


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_every_domain_leads_to_the_registry_first(host: Host) -> None:
    host.trust()
    text = host.hosts_toml("docker.io").read_text()
    assert 'server = "https://registry-1.docker.io"' in text
    assert '[host."https://sea.hub:5000/v2/docker.io"]' in text
    assert "override_path = true" in text
    other = host.hosts_toml("registry.example.com:5000").read_text()
    assert 'server = "https://registry.example.com:5000"' in other
    assert '[host."https://sea.hub:5000/v2/registry.example.com_5000"]' in other


def test_the_name_of_the_registry_is_in_the_hosts_file_once(host: Host) -> None:
    host.trust()
    host.trust()
    assert (host.root / "etc/hosts").read_text().splitlines() == [
        "127.0.0.1 localhost",
        "198.18.0.11 sea.hub # registry of sealer's cluster c",
    ]


def test_a_registry_that_moved_is_found_at_its_new_address(host: Host) -> None:
    host.trust()
    host.trust(address="198.18.0.12")
    assert "198.18.0.11" not in (host.root / "etc/hosts").read_text()
    assert "198.18.0.12 sea.hub" in (host.root / "etc/hosts").read_text()


def test_a_host_forgets_all_of_it(host: Host) -> None:
    host.trust()
    assert host.files() != host.before
    host.run(trusting.untrust_script("c", host.data))
    assert host.files() == host.before
    host.run(trusting.untrust_script("c", host.data))  # a second time does nothing


def test_files_of_others_come_back(host: Host) -> None:
    theirs = host.hosts_toml("docker.io")
    theirs.parent.mkdir(parents=True)
    theirs.write_text('server = "https://mirror.corp"\n')
    before = host.files()
    host.trust()
    host.trust()
    assert "sea.hub" in theirs.read_text()
    host.run(trusting.untrust_script("c", host.data))
    assert host.files() == before


def test_two_clusters_on_a_host_cannot_have_images_of_one_domain(host: Host) -> None:
    def trust(cluster: str, domain: str, status: int = 0) -> str:
        content = trusting.files(cluster, (domain,), (Server(f"{cluster}.hub:5000"),))
        return host.run(trusting.trust_script(cluster, f"{host.root}/{cluster}", content, "", "sea.hub"), status)

    for cluster in ("a", "b"):
        (host.root / cluster).mkdir()
    trust("a", "docker.io")
    trust("b", "quay.io")
    said = trust("b", "docker.io", status=1)
    assert f"{DIRECTORY}/docker.io/hosts.toml is of the cluster a, which is on this host too" in said
    assert "a.hub" in host.hosts_toml("docker.io").read_text()
    # What an earlier cluster left behind is nobody's.
    shutil.rmtree(host.root / "a")
    trust("b", "docker.io")
    assert "b.hub" in host.hosts_toml("docker.io").read_text()


def test_a_name_that_leads_elsewhere_already_is_told(host: Host) -> None:
    (host.root / "etc/hosts").write_text("127.0.0.1 localhost\n10.1.1.1 other sea.hub\n")
    said = host.trust(status=1)
    assert "says that sea.hub is 10.1.1.1" in said
    assert "198.18.0.11" not in (host.root / "etc/hosts").read_text()


def test_a_hosts_file_without_a_last_newline_is_kept_whole(host: Host) -> None:
    (host.root / "etc/hosts").write_text("127.0.0.1 localhost")
    host.trust()
    lines = (host.root / "etc/hosts").read_text().splitlines()
    assert lines[0] == "127.0.0.1 localhost"
    assert lines[1].startswith("198.18.0.11 sea.hub")


def test_a_login_goes_along(host: Host) -> None:
    host.trust(Server("sea.hub:5000", login=Login("admin", "secret")))
    text = host.hosts_toml("docker.io").read_text()
    assert 'Authorization = "Basic YWRtaW46c2VjcmV0"' in text
    assert host.hosts_toml("docker.io").stat().st_mode & 0o077 == 0


def test_registries_on_several_hosts_are_asked_one_after_the_other(host: Host) -> None:
    host.trust(SERVER, Server("198.18.0.12:5000", ca=SERVER.ca))
    text = host.hosts_toml("docker.io").read_text()
    assert text.index("sea.hub:5000/v2/docker.io") < text.index("198.18.0.12:5000/v2/docker.io")
    assert text.count('dial_timeout = "3s"') == 2
    host.trust(SERVER)
    assert "dial_timeout" not in host.hosts_toml("docker.io").read_text()  # nobody else is to be asked


def test_what_was_changed_since_is_named(host: Host) -> None:
    def wrong() -> list[str]:
        content = trusting.files("c", DOMAINS, (SERVER,))
        ca = f"{host.data}/registry-ca.crt"
        script = trusting.check_script("c", host.data, content, "198.18.0.11", "sea.hub", cas=[ca])
        return host.run(script).splitlines()

    host.trust()
    Path(host.data).mkdir(exist_ok=True)
    (Path(host.data) / "registry-ca.crt").write_text("a certificate")
    before = host.files()
    assert wrong() == []
    host.hosts_toml("docker.io").write_text("mine")
    host.hosts_toml("sea.hub:5000").unlink()
    (host.root / "etc/hosts").write_text("127.0.0.1 localhost\n")
    (Path(host.data) / "registry-ca.crt").unlink()
    changed = host.files()
    assert wrong() == [
        f"{DIRECTORY}/docker.io/hosts.toml is not what sealer wrote",
        f"{DIRECTORY}/sea.hub:5000/hosts.toml is missing",
        f"{host.data}/registry-ca.crt is missing",
        "/etc/hosts does not say that sea.hub is 198.18.0.11",
    ]
    assert host.files() == changed != before  # it only looked


def test_lines_of_a_cluster_whose_name_begins_with_this_one_s_stay(host: Host) -> None:
    file = host.root / "etc/hosts"
    other = "192.0.2.5 other.hub # registry of sealer's cluster c-2\n"
    file.write_text(other)
    host.trust(address="192.0.2.4")
    assert file.read_text() == f"{other}192.0.2.4 sea.hub # registry of sealer's cluster c\n"
    host.run(trusting.untrust_script("c", host.data))
    assert file.read_text() == other
