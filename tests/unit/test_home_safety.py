"""Whose directory sealer keeps keys, images and records in: the user's own, or none."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from sealer.errors import InputError
from sealer.home_safety import check_home
from sealer.settings import Settings

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="this machine has no right to give files away: run as root")
NOBODY = 65534


@pytest.fixture
def home(tmp_path: Path) -> Path:
    check_home.cache_clear()
    home = tmp_path / "home"
    for name in ("images", "clusters"):
        (home / name).mkdir(parents=True)
    return home


@pytest.mark.parametrize("part", ["", "images", "clusters"])
@pytest.mark.parametrize(("mode", "why"), [(0o777, "every user"), (0o1777, "every user"), (0o757, "every user")])
def test_one_that_everybody_may_write_is_refused(home: Path, part: str, mode: int, why: str) -> None:
    (home / part).chmod(mode)
    with pytest.raises(InputError, match="cannot be used") as caught:
        _ = Settings(home=home).images
    assert why in caught.value.why
    assert str(home / part) in caught.value.what
    assert f"chmod go-w {home / part}" in caught.value.remedy


@AS_ROOT
@pytest.mark.parametrize("part", ["", "images", "clusters"])
def test_one_of_another_user_is_refused(home: Path, part: str) -> None:
    os.chown(home / part, NOBODY, NOBODY)
    with pytest.raises(InputError) as caught:
        _ = Settings(home=home).clusters
    assert pwd.getpwuid(NOBODY).pw_name in caught.value.why


@AS_ROOT
def test_that_of_the_user_who_called_sudo_is_fine(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.chown(home, NOBODY, NOBODY)
    monkeypatch.setenv("SUDO_UID", str(NOBODY))
    check_home(home)


@AS_ROOT
def test_the_owners_own_group_may_write_and_no_other(home: Path) -> None:
    home.chmod(0o775)
    check_home(home)
    check_home.cache_clear()
    os.chown(home, 0, NOBODY)
    with pytest.raises(InputError, match="cannot be used") as caught:
        check_home(home)
    assert "the group" in caught.value.why


def test_one_that_is_not_there_yet_is_fine(tmp_path: Path) -> None:
    check_home(tmp_path / "none")


@pytest.mark.parametrize("umask", [0, 0o002, 0o022])
def test_what_sealer_makes_there_is_the_users_alone_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    (tmp_path / "Kubefile").write_text("FROM scratch\nCOPY Kubefile .\n")
    home = tmp_path / "new" / "home"
    done = subprocess.run(
        [sys.executable, "-m", "sealer", "build", "-t", "a:1", str(tmp_path)],
        env={**os.environ, "SEALER_HOME": str(home)}, umask=umask, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert home.stat().st_mode & 0o077 == 0
    assert not [path for path in home.rglob("*") if path.lstat().st_mode & 0o002 and not path.is_symlink()]


def test_commands_that_need_no_home_work_all_the_same(home: Path) -> None:
    home.chmod(0o777)
    environment = {**os.environ, "SEALER_HOME": str(home)}
    for words, status in ((["version"], 0), (["--help"], 0), (["images"], 2)):
        done = subprocess.run(
            [sys.executable, "-m", "sealer", *words], env=environment, check=False, capture_output=True
        )
        assert done.returncode == status, (words, done.stderr)
