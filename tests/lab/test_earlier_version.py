"""What the version before made, in its own environment and on real hosts, goes on with this one."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from lab_site import PATIENCE, Site

pytestmark = pytest.mark.lab

ROOT = Path(__file__).resolve().parents[2]
EARLIER = "97d22c8"  # the last commit of 0.1
IMAGE = Path(__file__).parent / "images" / "marks"


@dataclass(frozen=True)
class EarlierVersion:
    """An environment with that version of sealer.

    :param program: its `sealer`.
    """

    program: Path

    def sealer(self, home: Path, *words: str) -> str:
        """Run it to its end."""
        env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        done = subprocess.run(
            [self.program, *words],
            env={**env, "SEALER_HOME": str(home)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, (
            f"sealer of {EARLIER} {' '.join(words)} ended with {done.returncode}\n{done.stdout}"
        )
        return done.stdout


def source(directory: Path) -> Path:
    """The tree of that version, from this repository's history."""
    if not (ROOT / ".git").exists():
        pytest.skip(f"this machine has no history of sealer: {ROOT} is no repository")
    commit = subprocess.run(
        ["git", "-C", ROOT, "cat-file", "-e", f"{EARLIER}^{{commit}}"], check=False, capture_output=True, text=True
    )
    if commit.returncode:
        pytest.skip(f"{ROOT} has not the commit {EARLIER}: fetch the whole history (git fetch --unshallow)")
    tree = directory / "tree"
    tree.mkdir()
    archive = subprocess.run(["git", "-C", ROOT, "archive", EARLIER], check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", tree], input=archive, check=True)
    return tree


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> EarlierVersion:
    """Installed as its developers did, editable: its wheels lack scripts."""
    directory = tmp_path_factory.mktemp("earlier")
    tree, environment = source(directory), directory / "environment"
    python, uv = environment / "bin/python", (sys.executable, "-m", "uv")
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def install(*words: str) -> None:
        command: list[str | Path] = [
            *uv,
            "pip",
            "install",
            "-q",
            "--python",
            python,
            "-c",
            tree / "constraints.txt",
            *words,
        ]
        subprocess.run(command, check=True, timeout=600, env=env)

    subprocess.run([*uv, "venv", "-q", "--python", sys.executable, environment], check=True, timeout=300, env=env)
    install("setuptools")
    packages = [tree, *sorted(path.parent for path in tree.glob("builtin_plugins/*/setup.cfg"))]
    install("--no-build-isolation", *(word for path in packages for word in ("-e", str(path))))
    return EarlierVersion(environment / "bin/sealer")


@pytest.fixture
def made(earlier: EarlierVersion, site: Site) -> Site:
    """A cluster on the first two hosts, with an image that was built by that version, too."""
    (site.home / "images").unlink()
    earlier.sealer(site.home, "build", "-t", "marks:1", str(IMAGE))
    site.write(hosts=site.hosts[:2])
    earlier.sealer(site.home, "apply", "-f", str(site.clusterfile), "--yes")
    assert site.on(0, f"ls /var/lib/sealer/data/{site.name}").split() == ["receipts", "rootfs"]
    for number in range(3):
        site.on(number, "rm -f /root/marks")
    return site


def last_marks(site: Site) -> list[list[str]]:
    found = [site.marks()[host.address] for host in site.hosts]
    for number in range(3):
        site.on(number, "rm -f /root/marks")
    return found


def left(site: Site) -> list[str]:
    """What of the cluster is left on each host."""
    look = f"ls -A /var/lib/sealer 2>/dev/null; grep -c ' sealer-{site.name}$' /root/.ssh/authorized_keys"
    return [site.on(number, f"{look} || true") for number in range(3)]


def test_it_is_looked_at_changed_and_deleted(made: Site) -> None:
    site, (first, second, third) = made, (host.address for host in made.hosts)
    before = site.on(0, "cd /var/lib/sealer && find . -type f -exec sha256sum {} + | sort -k2")
    assert "running" in site.sealer("status")
    assert first in site.sealer("status", "--name", site.name)
    assert "is well" in site.sealer("check", "--name", site.name)
    assert site.sealer("exec", "--name", site.name, "--", "echo", "here").count("here") == 2
    assert site.on(0, "cd /var/lib/sealer && find . -type f -exec sha256sum {} + | sort -k2") == before
    assert "nothing to do" in site.apply()

    key = ("--pk", site.hosts[0].ssh.private_key)
    site.sealer("scale-up", "--name", site.name, "-n", third, *key)
    assert "init" in last_marks(site)[2]
    ids = {site.on(number, f"sed -n s/^id=//p /var/lib/sealer/data/{site.name}/identity") for number in range(3)}
    assert len(ids) == 1
    assert f"id:            {ids.pop()}" in site.sealer("status", "--name", site.name)

    site.write(env={"GREETING": "changed"})
    site.apply()
    assert ["update" in marks for marks in last_marks(site)] == [True] * 3
    site.sealer("delete", "--name", site.name, "-n", third, "--yes")
    assert last_marks(site)[2][-1] == "clean"
    assert left(site)[2] == "0"
    assert "is well" in site.sealer("check", "--name", site.name)
    site.delete()
    assert left(site) == ["0"] * 3
    assert second not in site.sealer("status")


def test_it_is_deleted_at_once(made: Site) -> None:
    made.delete()
    assert [marks[-1:] for marks in last_marks(made)] == [["clean"], ["clean"], []]
    assert left(made) == ["0"] * 3


def test_somebody_else_s_home_is_refused_though_the_hosts_have_no_id(made: Site, tmp_path: Path) -> None:
    before = [made.on(number, "find /var/lib/sealer /root/.ssh | sort") for number in (0, 1)]
    for name in (made.name, "another"):
        home = tmp_path / name
        home.mkdir(mode=0o700)
        (home / "images").symlink_to(made.home / "images")
        other = Site(home, made.hosts, name)
        other.write(hosts=made.hosts[:2])
        assert "made by an earlier version of sealer, without an id" in other.apply(status=3)
    assert [made.on(number, "find /var/lib/sealer /root/.ssh | sort") for number in (0, 1)] == before
    made.delete()
