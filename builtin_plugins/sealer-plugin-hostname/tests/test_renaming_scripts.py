"""The scripts themselves, by a real shell in a UTS namespace of its own: this machine keeps its name."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from sealer_plugin_hostname.renaming import script

TOOLS = ("cat", "chmod", "cp", "hostname", "mkdir", "mv", "rm", "uname")  # and no hostnamectl: it would reach systemd
UNSHARE = ["unshare", "--uts"] if os.geteuid() == 0 else ["unshare", "--uts", "--map-root-user"]


def _can_unshare() -> bool:
    if not shutil.which("unshare") or not shutil.which("hostname"):
        return False
    return subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(not _can_unshare(), reason="needs Linux, and leave to make a UTS namespace")


@dataclass
class Machine:
    """A host's files, and its name between one script and the next."""

    root: Path
    name: str = "debian"

    def run(self, which: str, name: str = "", check: bool = True) -> str:
        """Run a script as sealer does; gives what it printed."""
        program = (
            f"{shutil.which('hostname')} {self.name} || exit 99\n"
            f"(\n{script(which)}\n)\n"
            "status=$?; cat /proc/sys/kernel/hostname >&2; exit $status\n"
        )
        done = subprocess.run(
            [shutil.which(UNSHARE[0]) or "", *UNSHARE[1:], "/bin/sh"],
            input=program,
            capture_output=True,
            text=True,
            check=False,
            env={
                "PATH": str(self.root / "bin"),
                "ROOT": str(self.root),
                "SEALER_NAME": name,
                "SEALER_ADDRESS": "192.0.2.11",
                "SEALER_KEPT": str(self.kept),
            },
        )
        self.name = done.stderr.splitlines()[-1]
        assert (done.returncode == 0) is check, done
        assert len(done.stderr.splitlines()) == 1, done
        return done.stdout

    @property
    def kept(self) -> Path:
        return self.root / "data" / "c" / "hostname"

    @property
    def static(self) -> str:
        return (self.root / "etc/hostname").read_text()

    @property
    def hosts(self) -> str:
        return (self.root / "etc/hosts").read_text()

    @hosts.setter
    def hosts(self, text: str) -> None:
        (self.root / "etc/hosts").write_text(text)


HOSTS = "127.0.0.1\tlocalhost\n127.0.1.1\tdebian\n# * a comment\n"
LINE = "192.0.2.11 master-0 # own name, by sealer\n"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/hostname").write_text("debian\n")
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool) or "")
    machine = Machine(tmp_path)
    machine.hosts = HOSTS
    return machine


def test_rename(machine: Machine) -> None:
    machine.run("rename.sh", "master-0")
    assert (machine.name, machine.static, machine.hosts) == ("master-0", "master-0\n", HOSTS + LINE)
    assert (machine.root / "etc/hostname").stat().st_mode & 0o777 == 0o644
    assert sorted(path.name for path in (machine.root / "etc").iterdir()) == ["hostname", "hosts"]


def test_twice_is_once(machine: Machine) -> None:
    machine.run("rename.sh", "master-0")
    before = [(path, path.stat().st_mtime_ns, path.stat().st_ino) for path in sorted(machine.root.rglob("*"))]
    machine.run("rename.sh", "master-0")
    assert [(path, path.stat().st_mtime_ns, path.stat().st_ino) for path in sorted(machine.root.rglob("*"))] == before


def test_another_name_replaces_the_line(machine: Machine) -> None:
    machine.run("rename.sh", "master-0")
    machine.run("rename.sh", "blue.example.com")
    assert machine.static == "blue.example.com\n"
    assert machine.hosts == HOSTS + "192.0.2.11 blue.example.com blue # own name, by sealer\n"


def test_a_name_that_the_hosts_file_has_needs_no_line(machine: Machine) -> None:
    machine.hosts = HOSTS + "192.0.2.11 other master-0 # mine\n"
    machine.run("rename.sh", "master-0")
    assert machine.hosts == HOSTS + "192.0.2.11 other master-0 # mine\n"


def test_a_name_in_a_comment_is_no_line(machine: Machine) -> None:
    machine.hosts = "10.0.0.1 x # master-0"
    machine.run("rename.sh", "master-0")
    assert machine.hosts == "10.0.0.1 x # master-0\n" + LINE


def test_a_host_that_has_its_name_keeps_all_its_files(machine: Machine) -> None:
    machine.run("rename.sh", "debian")
    assert (machine.static, machine.hosts, machine.kept.exists()) == ("debian\n", HOSTS, False)


@pytest.mark.parametrize("missing", ["hostname", "hosts"])
def test_a_file_that_is_not_there_is_made(machine: Machine, missing: str) -> None:
    (machine.root / "etc" / missing).unlink()
    machine.run("rename.sh", "master-0")
    assert machine.static == "master-0\n"
    assert machine.hosts.endswith(LINE)


def test_a_file_with_comments_is_read_as_systemd_does(machine: Machine) -> None:
    (machine.root / "etc/hostname").write_text("# a comment\n\ndebian\n")
    machine.run("rename.sh", "debian")
    assert machine.static == "# a comment\n\ndebian\n"


def test_give_back(machine: Machine) -> None:
    machine.run("rename.sh", "master-0")
    machine.run("rename.sh", "master-1")
    machine.run("give_back.sh")
    assert (machine.name, machine.static, machine.hosts) == ("debian", "debian\n", HOSTS)
    assert not machine.kept.exists()


@pytest.mark.parametrize("mode", [0o755, 0o600, 0o644])
def test_the_file_with_the_name_comes_back_as_it_was(machine: Machine, mode: int) -> None:
    file = machine.root / "etc/hostname"
    file.write_text("# of this machine\n\ndebian\n")
    file.chmod(mode)
    for name in ("master-0", "master-1"):
        machine.run("rename.sh", name)
    machine.run("give_back.sh")
    assert (machine.name, machine.static) == ("debian", "# of this machine\n\ndebian\n")
    assert file.stat().st_mode & 0o777 == mode
    assert list(machine.kept.parent.iterdir()) == []


def test_what_an_earlier_version_kept_is_given_back(machine: Machine) -> None:
    machine.run("rename.sh", "master-0")
    machine.kept.write_text("debian\ndebian\nmaster-0\n")
    machine.run("give_back.sh")
    assert (machine.name, machine.static) == ("debian", "debian\n")


def test_give_back_where_nothing_was_taken(machine: Machine) -> None:
    machine.run("give_back.sh")
    assert (machine.name, machine.static, machine.hosts) == ("debian", "debian\n", HOSTS)


def test_a_name_that_somebody_else_set_is_theirs(machine: Machine) -> None:
    machine.run("rename.sh", "master-0")
    (machine.root / "etc/hostname").write_text("renamed\n")
    machine.name = "renamed"
    machine.run("give_back.sh")
    assert (machine.name, machine.static, machine.hosts) == ("renamed", "renamed\n", HOSTS)


def test_give_back_without_a_static_name(machine: Machine) -> None:
    (machine.root / "etc/hostname").unlink()
    machine.run("rename.sh", "master-0")
    machine.run("give_back.sh")
    assert machine.name == "debian"
    assert not (machine.root / "etc/hostname").exists()


def test_hostnamectl_is_used_where_it_works(machine: Machine) -> None:
    tool = machine.root / "bin/hostnamectl"
    tool.write_text('#!/bin/sh\necho "$2" >"$ROOT/etc/hostname"; hostname "$2"; echo "$@" >"$ROOT/asked"\n')
    tool.chmod(0o755)
    machine.run("rename.sh", "master-0")
    assert (machine.root / "asked").read_text() == "set-hostname master-0\n"
    assert (machine.name, machine.static) == ("master-0", "master-0\n")


@pytest.mark.parametrize("body", ["exit 1", "exit 0"])
def test_hostnamectl_that_does_not_work_is_passed_over(machine: Machine, body: str) -> None:
    tool = machine.root / "bin/hostnamectl"
    tool.write_text(f"#!/bin/sh\n{body}\n")
    tool.chmod(0o755)
    machine.run("rename.sh", "master-0")
    assert (machine.name, machine.static) == ("master-0", "master-0\n")


def test_a_host_that_does_not_take_the_name_says_so(machine: Machine) -> None:
    tool = machine.root / "bin/uname"
    tool.unlink()
    tool.write_text("#!/bin/sh\necho debian\n")  # as where a name space keeps the name away from the container
    tool.chmod(0o755)
    shown = machine.run("rename.sh", "master-0", check=False)
    assert shown == "the host calls itself 'debian', not 'master-0'\n"
