"""RUN for another architecture, with the kernel's own handlers and Debian's qemu."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sealer.errors import BuildError
from sealer.events import EventStream, State
from sealer.image.build import BuildRequest, build
from sealer.image.emulation import _MACHINES, executes
from sealer.image.files import RootfsFiles
from sealer.image.model import ClusterImage
from sealer.image.store import Store

OTHER, QEMU = ("amd64", "x86_64") if platform.machine() == "aarch64" else ("arm64", "aarch64")
EMULATOR = shutil.which(f"qemu-{QEMU}-static")
HANDLERS = Path("/proc/sys/fs/binfmt_misc")
NAME = "sealer-test"
NAMES = {"386": "i386", "amd64": "x86_64", "arm64": "aarch64", "loong64": "loongarch64", "mips64le": "mips64el"}

pytestmark = [
    pytest.mark.skipif(
        os.geteuid() != 0 or sys.platform != "linux", reason="only root on Linux can register a handler"
    ),
    pytest.mark.skipif(not EMULATOR, reason="qemu is not installed (apt-get install qemu-user-static)"),
]


@pytest.fixture
def handlers() -> Iterator[Path]:
    """The kernel's handlers of foreign programs, none of which is in force."""
    mounted = not (HANDLERS / "status").exists()
    if mounted and subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", HANDLERS], check=False).returncode:
        pytest.skip("this machine has no binfmt_misc that could be mounted")
    before = (HANDLERS / "status").read_text().strip()
    (HANDLERS / "status").write_text("1")
    _forget()  # of a test that was killed
    others = [path for path in HANDLERS.iterdir() if path.name not in ("register", "status") and _is_on(path)]
    for path in others:
        path.write_text("0")
    try:
        yield HANDLERS
    finally:
        _forget()
        for path in others:
            path.write_text("1")
        (HANDLERS / "status").write_text("1" if before == "enabled" else "0")
        if mounted:
            subprocess.run(["umount", HANDLERS], check=True)


def _is_on(path: Path) -> bool:
    return path.read_text().startswith("enabled")


def _forget() -> None:
    if (HANDLERS / NAME).exists():
        (HANDLERS / NAME).write_text("-1")


@contextmanager
def registered(handlers: Path, interpreter: str) -> Iterator[None]:
    """A handler of the other architecture, as binfmt-support makes it; its program is opened when it is needed."""
    header = _MACHINES[OTHER].program[:20]
    magic = "".join(f"\\x{byte:02x}" for byte in header)
    mask = "".join(f"\\x{byte:02x}" for byte in [0xFF] * 7 + [0] + [0xFF] * 8 + [0xFE] + [0xFF] * 3)
    (handlers / "register").write_text(f":{NAME}:M::{magic}:{mask}:{interpreter}:")
    try:
        yield
    finally:
        _forget()


class Site:
    def __init__(self, directory: Path) -> None:
        self.store = Store(directory / "images")
        self.context = directory / "context"
        self.context.mkdir()
        self.warnings: list[str] = []
        self.events = EventStream()
        self.events.subscribe(
            lambda event: self.warnings.append(event.message) if event.state is State.WARNING else None
        )
        (self.context / "tool").write_bytes(_MACHINES[OTHER].program)

    def build(self, text: str) -> ClusterImage:
        (self.context / "Kubefile").write_text(text)
        return build(self.store, BuildRequest(self.context, names=("app",), platform=f"linux/{OTHER}"), self.events)

    def files(self, text: str) -> dict[str, bytes]:
        view = RootfsFiles(self.build(text).first)
        return {path: view.read(path) for path in view.paths()}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


TEXT = "FROM scratch\nCOPY --chmod=755 tool bin/\nRUN tool && echo done > done\n"


def test_a_foreign_program_is_refused_where_nothing_executes_it(site: Site, handlers: Path) -> None:
    with pytest.raises(BuildError) as caught:
        site.build(TEXT)
    assert caught.value.where == f"{site.context / 'Kubefile'}:3:1"
    assert caught.value.what.endswith(f"this machine cannot execute programs of {OTHER}")
    assert caught.value.why == "the rootfs has bin/tool, first on the PATH of a RUN"
    assert "qemu-user-static and binfmt-support" in caught.value.remedy
    assert not site.store.list()


def test_a_foreign_program_runs_where_it_can(site: Site, handlers: Path) -> None:
    assert EMULATOR
    with registered(handlers, EMULATOR):
        assert site.files(TEXT)["done"] == b"done\n"
    assert site.files(TEXT)["done"] == b"done\n"  # known: nothing has to be executed
    assert site.warnings == []


def test_a_handler_without_its_emulator_executes_nothing(site: Site, handlers: Path) -> None:
    with registered(handlers, "/usr/bin/no-such-emulator"), pytest.raises(BuildError, match="cannot execute programs"):
        site.build(TEXT)


def test_the_machines_own_programs_need_no_emulator(site: Site, handlers: Path) -> None:
    found = site.files("FROM scratch\nCOPY --chmod=755 tool opt/\nARG TARGETARCH\nRUN echo $TARGETARCH > arch\n")
    assert found["arch"] == f"{OTHER}\n".encode()
    with pytest.raises(BuildError, match="status 126") as caught:
        site.build("FROM scratch\nCOPY --chmod=755 tool opt/\nRUN opt/tool\n")
    assert "qemu-user-static and binfmt-support" in caught.value.remedy


@pytest.mark.parametrize("architecture", _MACHINES)
def test_the_programs_that_are_tried(architecture: str, tmp_path: Path) -> None:
    emulator = shutil.which(f"qemu-{NAMES.get(architecture, architecture)}-static")
    assert emulator
    program = tmp_path / "program"
    program.write_bytes(_MACHINES[architecture].program)
    program.chmod(0o755)
    assert subprocess.run([emulator, program], check=False).returncode == 0


def test_which_architectures_are_executed(handlers: Path, tmp_path: Path) -> None:
    assert executes({"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()], tmp_path) is True
    assert executes(OTHER, tmp_path) is False
    assert executes("toy", tmp_path) is None
    assert list(tmp_path.iterdir()) == []
