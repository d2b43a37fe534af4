"""A containerd of a test's own: with its own files, without CRI, and in namespaces that end with it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import TracebackType

PROGRAMS = ("containerd", "ctr", "runc", "setpriv", "unshare")
OBSTACLE = (
    "only root on Linux can start containers"
    if sys.platform != "linux" or os.geteuid() != 0
    else "containerd is not installed (apt-get install containerd runc)"
    if not all(map(shutil.which, PROGRAMS))
    else ""
)
_READY = b"containerd successfully booted"


class Containerd:
    """Use it in a `with`. Its processes, its shims and their containers die with it, and it with the test.

    :param directory: for all that it keeps; it must exist, and its path be short: it has a socket.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Containerd:
        self._process = subprocess.Popen(
            # The first process of a PID namespace: what it started ends with it; its mounts are nobody else's.
            ["setpriv", "--pdeathsig", "KILL", "--", "unshare", "--pid", "--fork", "--kill-child", "--mount",
             "--mount-proc", "containerd", "--config", self._written()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert self._process.stderr
        log = b""
        for line in self._process.stderr:  # it says when it is ready, or ends and says why it is not
            log += line
            if _READY in line:
                break
        else:
            raise AssertionError(f"containerd did not start: {log.decode()}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process
        assert self._process.stderr
        self._process.kill()
        for _ in self._process.stderr:
            continue  # until the last process that holds it is gone
        self._process.wait(timeout=30)
        self._process.stderr.close()

    def take_in(self, archive: Path) -> str:
        """The name that it gives the one image of an archive."""
        self._ctr("image", "import", "--snapshotter", "native", str(archive))
        (name,) = self._ctr("image", "list", "--quiet").splitlines()
        return name

    def run(self, image: str) -> str:
        """What the command of an image prints in a container.

        Without a cgroup, which would stay on the machine; and by copies, as not every file system takes an overlay.
        """
        own = ["--fifo-dir", str(self._directory / "fifo"), "--runc-root", str(self._directory / "runc")]
        container = f"sealer-test-{os.getpid()}"
        return self._ctr("run", "--rm", "--cgroup", "", "--snapshotter", "native", *own, image, container)

    def _ctr(self, *arguments: str) -> str:
        command = ["ctr", "--address", str(self._socket), *arguments]
        result = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    @property
    def _socket(self) -> Path:
        return self._directory / "c.sock"

    def _written(self) -> Path:
        def text(value: str | Path) -> str:
            return json.dumps(str(value))  # a TOML string

        path = self._directory / "config.toml"
        path.write_text(
            f"version = 2\nroot = {text(self._directory / 'root')}\nstate = {text(self._directory / 'state')}\n"
            'disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]\n'
            f"[grpc]\naddress = {text(self._socket)}\n[ttrpc]\naddress = {text(self._directory / 't.sock')}\n"
        )
        return path
