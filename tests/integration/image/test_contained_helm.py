"""The helm that an image brings is code of the image: what it can see and do on the machine that builds.

A shell script stands in for it: a real helm does none of this.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sealer.image import containment
from sealer.image.discovery.discover import discover
from sealer.image.discovery.files import DirectoryFiles
from sealer.image.discovery.model import Discovery
from sealer.image.discovery.readers import Readers
from sealer.image.discovery.rendering import Helm

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has namespaces")

USERS = [
    pytest.param((), id="as the user"),
    pytest.param(
        ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
        id="as another user",
        marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user"),
    ),
]


def skip_uncontained(reasons: Iterable[str]) -> None:
    """Some systems let only root make namespaces."""
    for why in reasons:
        if "cannot be contained here" in why:
            pytest.skip(f"this machine has no namespaces for users: {why}")


class Rootfs:
    """A directory with a chart, and a helm that is a script."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "rootfs"
        (self.directory / "bin").mkdir(parents=True)
        (self.directory / "c" / "templates").mkdir(parents=True)
        (self.directory / "c" / "Chart.yaml").write_text("name: c\nversion: 1.0.0\n")

    def look_through(self, script: str, seconds: float = 60) -> Discovery:
        helm = self.directory / "bin" / "helm"
        helm.write_text(f"#!/bin/sh\n{script}\n")
        helm.chmod(0o700)
        readers = Readers(Helm(rootfs=self.directory, seconds=seconds))
        found = discover(DirectoryFiles(self.directory), readers.read)
        if os.geteuid() != 0:
            skip_uncontained([one.why for one in found.unresolved])
        return found


@pytest.fixture
def rootfs(tmp_path: Path) -> Rootfs:
    return Rootfs(tmp_path)


def images(found: Discovery) -> list[str]:
    return [one.image for one in found.images]


def test_it_renders(rootfs: Rootfs) -> None:
    found = rootfs.look_through('test "$1 $2 $3" = "template dryrun /chart" && echo image: a/b:1; ls $3 >&2; exit')
    assert images(found) == ["docker.io/a/b:1"]
    assert not found.unresolved


def test_its_failure_is_told(rootfs: Rootfs) -> None:
    (refused,) = rootfs.look_through("echo Error: no such thing >&2; exit 3").unresolved
    assert "no such thing" in refused.why


def test_it_ends_in_time_with_all_its_children(rootfs: Rootfs) -> None:
    mark = f"{800 + os.getpid() / 1e6:.6f}"
    (refused,) = rootfs.look_through(f"sleep {mark} & sleep {mark}", seconds=2).unresolved
    assert "more than 2 seconds" in refused.why
    for _ in range(1000):
        if not subprocess.run(["pgrep", "-f", f"sleep {mark}"], check=False, capture_output=True).stdout:
            break
        os.sched_yield()
    else:
        pytest.fail("a child of helm is still there")


def test_what_it_writes_is_bounded(rootfs: Rootfs) -> None:
    (refused,) = rootfs.look_through("exec cat /dev/zero").unresolved
    assert "wrote more than" in refused.why


@pytest.fixture
def public() -> Iterator[Path]:
    """A directory that every user can read, as pytest's are not."""
    with tempfile.TemporaryDirectory(prefix="sealer-test-") as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


def run(public: Path, rootfs: Rootfs, script: str, user: tuple[str, ...]) -> tuple[list[str], list[dict[str, Any]]]:
    """A script in a world of its own, as :class:`Helm` asks for it: what it printed, and what was reported."""
    (public / "world").mkdir()
    program = public / "containment.py"
    shutil.copy(containment.__file__, program)
    request: containment.Request = {
        "directory": str(public),
        "copied": False,
        "top": "/tmp",
        "command": script,
        "environment": {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"},
        "secrets": {},
        "private": [],
        "rewritten": {},
        "network": True,  # does not count
        "shown": {"/rootfs": str(rootfs.directory)},
    }
    report, end = os.pipe()
    try:
        done = subprocess.run(
            [*user, shutil.which("python3", path="/usr/bin") or sys.executable, "-I", "-S", program, str(end),
             str(os.getpid())],
            input=json.dumps(request), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=(end,), text=True,
            timeout=60, check=False,
        )  # fmt: skip
    finally:
        os.close(end)
    with os.fdopen(report) as file:
        return done.stdout.splitlines(), [json.loads(line) for line in file]


@pytest.mark.parametrize("user", USERS)
def test_nothing_of_the_machine_is_exposed(public: Path, user: tuple[str, ...]) -> None:
    rootfs = Rootfs(public)
    (public / "secret").write_text("mine")
    (rootfs.directory / "file").write_text("of the image")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        script = f"""
            ls -A / | sort | tr "\\n" " "; echo
            cat /rootfs/file; echo
            cat {public}/secret /etc/passwd /proc/sys/kernel/random/uuid 2>/dev/null | wc -l
            for path in /rootfs/new /usr/new /proc/sys/kernel/hostname; do
                (echo x > $path) 2>/dev/null && echo written: $path
            done
            python3 -c "import socket; socket.create_connection(('127.0.0.1', {port}))" 2>/dev/null && echo connected
            mount -t tmpfs none /tmp 2>/dev/null && echo mounted
            mount -o remount,rw /rootfs 2>/dev/null && echo writable
            mknod /tmp/disk b 8 0 2>/dev/null && echo node
            grep -E "^(CapPrm|CapEff|CapBnd|NoNewPrivs)" /proc/self/status | tr -s "\\t" " "
            ls -d /proc/[0-9]* | wc -l
        """
        printed, reported = run(public, rootfs, script, user)
    if "error" in reported[0] and (user or os.geteuid() != 0):
        pytest.skip(f"this machine has no namespaces for users: {reported[0]['error']}")
    assert reported == [{"started": True}, {"status": 0}]
    places = set(printed[0].split())
    assert places <= {"bin", "dev", "lib", "lib32", "lib64", "libx32", "proc", "rootfs", "sbin", "tmp", "usr"}
    assert printed[1] == "of the image"
    assert printed[2] == "1"  # the uuid's line
    none = "0" * 16
    assert printed[3:-1] == [f"CapPrm: {none}", f"CapEff: {none}", f"CapBnd: {none}", "NoNewPrivs: 1"]
    assert int(printed[-1]) < 6
    assert not (rootfs.directory / "new").exists()
