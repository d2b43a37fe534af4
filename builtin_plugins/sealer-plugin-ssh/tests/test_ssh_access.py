"""The cluster's key on a host: the scripts themselves, run here on a home directory of the test's."""

import getpass
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from sealer.hosts import Host, Ssh
from sealer.testing import make_host, make_operation, run_steps
from sealer_plugin_ssh import access

OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7mZCz8pVp8mX0WZ1Yx7o6yI4kYx1v2Yj8J1w2kQ3rT somebody\n"


class Account:
    """A user of a host: where the steps' scripts find the authorized keys."""

    def __init__(self, directory: Path) -> None:
        self.home = directory / "home"
        self.keys = self.home / ".ssh" / "authorized_keys"
        self.home.mkdir()
        self._credentials = directory / "credentials"
        self._host: Host = replace(make_host(0, "master"), ssh=Ssh(user=getpass.getuser()))

    def let_in(self) -> int:
        operation = make_operation("create", hosts=[self._host])
        make, put = access.authorize(operation, self._credentials)
        access.make_key(self._credentials / access.KEY_FILE, "of the cluster")
        assert make.id == "make-key"
        return self._run(run_steps([put], operation).scripts()[0])

    def take_away(self, before: str = "") -> int:
        operation = make_operation("delete", hosts=[self._host])
        return self._run(before + run_steps(access.revoke(operation, self._credentials), operation).scripts()[0])

    def _run(self, script: str) -> int:
        lookup = f'getent() {{ echo "user:x:0:0::{self.home}:/bin/sh"; }}\n'
        return subprocess.run(["sh", "-c", lookup + script], capture_output=True, check=False).returncode


@pytest.fixture
def account(tmp_path: Path) -> Account:
    return Account(tmp_path)


def test_nothing_is_left_where_nothing_was(account: Account) -> None:
    assert account.let_in() == 0
    assert account.keys.read_text().endswith(" of the cluster\n")
    assert account.keys.read_text().startswith("no-agent-forwarding,no-X11-forwarding,no-pty,no-user-rc ssh-ed25519 ")
    assert (account.keys.stat().st_mode & 0o777, account.keys.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert account.take_away() == 0
    assert list(account.home.iterdir()) == []


@pytest.mark.parametrize("file", [False, True])
def test_what_was_there_and_empty_stays(account: Account, file: bool) -> None:
    """Also where the step runs twice, and a second cluster comes and goes meanwhile."""
    account.keys.parent.mkdir(mode=0o750)
    if file:
        account.keys.touch(mode=0o640)
    for _ in range(2):
        assert account.let_in() == 0
    first = account.keys.read_text()
    second = "no-agent-forwarding,no-X11-forwarding,no-pty,no-user-rc ssh-ed25519 AAAA of another cluster\n"
    account.keys.write_text(first + second)
    assert account.take_away() == 0
    assert account.keys.read_text() == second
    account.keys.write_text(first)
    assert account.take_away() == 0
    assert account.keys.parent.stat().st_mode & 0o777 == 0o750
    assert [path.name for path in account.keys.parent.iterdir()] == (["authorized_keys"] if file else [])
    if file:
        assert (account.keys.read_text(), account.keys.stat().st_mode & 0o777) == ("", 0o640)


def test_a_key_that_somebody_adds_meanwhile_stays_and_no_note_does(account: Account) -> None:
    account.keys.parent.mkdir(mode=0o700)
    assert account.let_in() == 0
    account.keys.write_text(account.keys.read_text() + OTHER)
    assert account.take_away() == 0
    assert account.keys.read_text() == OTHER
    assert list(account.keys.parent.iterdir()) == [account.keys]


def test_the_keys_of_others_stay(account: Account) -> None:
    account.keys.parent.mkdir(mode=0o700)
    account.keys.write_text(OTHER.strip())  # no line end, as an editor may leave it
    account.keys.chmod(0o640)
    for _ in range(2):
        assert account.let_in() == 0
    assert account.keys.read_text().splitlines()[0] == OTHER.strip()
    assert account.keys.read_text().count(" of the cluster\n") == 1
    for _ in range(2):
        assert account.take_away() == 0
    assert account.keys.read_text() == OTHER
    assert account.keys.stat().st_mode & 0o777 == 0o640
    assert list(account.keys.parent.iterdir()) == [account.keys]


def test_a_link_stays_one(account: Account, tmp_path: Path) -> None:
    account.keys.parent.mkdir(mode=0o700)
    (tmp_path / "elsewhere").write_text(OTHER)
    account.keys.symlink_to(tmp_path / "elsewhere")
    assert (account.let_in(), account.take_away()) == (0, 0)
    assert account.keys.is_symlink()
    assert (tmp_path / "elsewhere").read_text() == OTHER


def test_a_full_disk_costs_nobody_his_key(account: Account) -> None:
    account.keys.parent.mkdir(mode=0o700)
    account.keys.write_text(OTHER)
    assert account.let_in() == 0
    before = account.keys.read_text()
    assert account.take_away("ulimit -f 0; ") != 0
    assert account.keys.read_text() == before
    assert account.take_away() == 0
    assert account.keys.read_text() == OTHER
