"""SIGTERM, SIGHUP and Ctrl-C in the middle of work on this machine: it ends at once, and leaves nothing half done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

SIGNALS = [signal.SIGTERM, signal.SIGHUP, signal.SIGINT]
PROMPTLY = 10  # seconds, on a busy machine
SIZE = 24 << 20


class Shell:
    """Runs sealer with a home of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.home = directory / "home"

    def start(self, *arguments: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "sealer", *arguments],
            cwd=self.directory,
            env={**os.environ, "SEALER_HOME": str(self.home)},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def done(self, *arguments: str) -> None:
        process = self.start(*arguments)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors.decode()

    def files(self) -> list[str]:
        """Blobs and what a store has besides them, but for what is always there."""
        found = [path.relative_to(self.home / "images") for path in (self.home / "images").rglob("*") if path.is_file()]
        return [str(path) for path in found if path.parts[0] in ("blobs", "tmp", "downloads")]


@pytest.fixture
def sealer(tmp_path: Path) -> Shell:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "big").write_bytes(os.urandom(SIZE))
    (tmp_path / "Kubefile").write_text("FROM scratch\nCOPY data/ data/\n")
    return Shell(tmp_path)


def until(reached: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while not reached():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "it never came so far"
        time.sleep(0.005)


def ended(process: subprocess.Popen[bytes], number: signal.Signals) -> str:
    """What it says; it ends soon, with the status of what was interrupted."""
    begun = time.monotonic()
    process.send_signal(number)
    output, errors = process.communicate(timeout=60)
    assert time.monotonic() - begun < PROMPTLY
    assert process.returncode == 130, errors.decode()
    assert b"Traceback" not in errors
    assert errors.decode().strip().endswith("sealer: error: interrupted")
    return output.decode()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_load_that_waits_for_the_rest_of_its_archive(sealer: Shell, number: signal.Signals) -> None:
    sealer.done("build", "-q", "-t", "app", "--no-images", ".")
    sealer.done("save", "app", "-o", "x.tar")
    sealer.home = sealer.directory / "other"
    content = (sealer.directory / "x.tar").read_bytes()
    process = sealer.start("load", stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(content[: SIZE // 2])
    process.stdin.flush()

    def staged() -> bool:
        try:
            return sum(path.stat().st_size for path in (sealer.home / "images/tmp").rglob("*")) > SIZE // 4
        except FileNotFoundError:
            return False

    until(staged, process)
    assert ended(process, number) == ""
    assert sealer.files() == []
    sealer.done("load", "-i", "x.tar")


@pytest.mark.parametrize("number", SIGNALS)
def test_a_discover_of_many_files(sealer: Shell, number: signal.Signals) -> None:
    many = sealer.directory / "many"
    many.mkdir()
    for name in range(2000):
        (many / f"{name}.yaml").write_text("".join(f"---\nimage: nginx:{name}.{part}\n" for part in range(20)))
    process = sealer.start("discover", str(many))

    def reads() -> bool:
        open_files = Path(f"/proc/{process.pid}/fd")
        try:
            return any(str(many) in str(path.readlink()) for path in open_files.iterdir())
        except FileNotFoundError:
            return False

    until(reads, process)
    assert ended(process, number) == ""


@pytest.mark.parametrize("number", SIGNALS)
def test_a_save_leaves_a_whole_archive_or_none(sealer: Shell, number: signal.Signals) -> None:
    sealer.done("build", "-q", "-t", "app", "--no-images", ".")
    (sealer.directory / "saved").mkdir()
    process = sealer.start("save", "app", "-o", "saved/x.tar")
    until(lambda: any((sealer.directory / "saved").iterdir()), process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=PROMPTLY)
    left = [path.name for path in (sealer.directory / "saved").iterdir()]
    assert (process.returncode, left) in ((130, []), (0, ["x.tar"])), errors.decode()
