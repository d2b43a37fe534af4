"""Scripts that survive the connection: what is sent to the host, and what comes back.

The host's side is in `host/*.sh`. A script runs under a supervisor in a session of its own, which keeps its process
number, output and exit status in a directory: the receipt. Asking again for the same receipt attaches to a script that
still runs, or gives the outcome of one that ended; it is never run twice.
"""

from __future__ import annotations

import hashlib
import io
import re
import secrets
import shlex
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from sealer.extension.tail import whole_number
from sealer.redaction import redactor

_SHELL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@cache
def host_script(name: str) -> str:
    """One of the scripts in `host/`, without its comments: it travels with every call."""
    text = files("sealer.cluster").joinpath("host", name).read_text("utf-8")
    return "".join(line for line in text.splitlines(keepends=True) if not line.lstrip().startswith("#"))


def passing_on(env: Mapping[str, str]) -> str:
    """Words to put before a program's: they give it the names that a shell like dash drops, as none of its own."""
    raw = [shlex.quote(f"{key}={value}") for key, value in env.items() if not _SHELL_NAME.match(key)]
    return f"env {' '.join(raw)} " if raw else ""


@dataclass(frozen=True)
class Script:
    """A script with all that decides what it does.

    :param env: exported; names that are no shell names reach the script's own process, and every program it starts
        through an interpreter that passes them on (bash does, dash does not).
    :param cwd: absolute path on the host.
    """

    text: str
    env: Mapping[str, str]
    cwd: str = "/"
    stdin: bytes | None = None

    @property
    def digest(self) -> str:
        """Tells this script from another under the same receipt."""
        parts = [self.text, self.cwd, *(f"{key}={value}" for key, value in sorted(self.env.items()))]
        whole = hashlib.sha256("\0".join(parts).encode())
        whole.update(self.stdin or b"")
        return whole.hexdigest()

    @property
    def exports(self) -> str:
        """Shell text that exports what a shell can."""
        legal = (f"export {key}={shlex.quote(value)}\n" for key, value in self.env.items() if _SHELL_NAME.match(key))
        return "".join(legal)

    @property
    def run(self) -> str:
        """The shell text that becomes the script: environment, directory, interpreter."""
        first = self.text.split("\n", 1)[0]
        interpreter = first[2:].strip() if first.startswith("#!") else "/bin/sh"
        start = f'exec {passing_on(self.env)}{interpreter} "${{0%/run}}/script"\n'
        # The supervisor keeps its own files to root; what the script makes is for the host's users, and services.
        return f"umask 022\n{self.exports}cd {shlex.quote(self.cwd)} || exit 1\n{start}"

    def archive(self) -> bytes:
        """The tar that `launch.sh` unpacks."""
        members = {
            "run": self.run.encode(),
            "script": self.text.encode(),
            "supervise": host_script("supervise.sh").encode(),
        }
        if self.stdin is not None:
            members["stdin"] = self.stdin
        # The last one shows that all arrived: tar takes an archive that was cut between two members for a whole one.
        members["digest"] = self.digest.encode()
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for name, content in members.items():
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(content), 0o600
                tar.addfile(member, io.BytesIO(content))
        return buffer.getvalue()

    def inline(self) -> tuple[str, bytes]:
        """For a script without receipt: a command line that shows nothing of it, and the stdin that brings it."""
        # A connection that breaks looks like the end of the input: half of an `rm -rf /a/b` must not be run.
        end = f"#{secrets.token_hex(8)}"
        text = f"{self.exports}cd {shlex.quote(self.cwd)} || exit 1\n{self.text}\n{end}\n".encode()
        # GNU head takes no byte more than asked from a pipe, so the rest is the script's own stdin.
        command = (
            f'sealer=$(head -c {len(text)}); case $sealer in *"{end}") eval "$sealer";; '
            '*) echo "the script did not arrive whole" >&2; exit 255;; esac'
        )
        return command, text + (self.stdin or b"")


KEPT = 64 << 10  # bytes of what a script printed that its receipt gives
NOT_BEGUN = 73  # what launch.sh ends with when the script never began


def spare(path: str) -> str:
    """Where a file of ours lies while the host's disk is full: in memory."""
    return f"/run/sealer{path}"


def prune_spare(path: str) -> str:
    """Shell text that removes the empty directories above such a place."""
    above = shlex.quote(spare(path).rpartition("/")[0])
    return f"[ ! -d {above} ] || rmdir -p {above} 2>/dev/null || :"


def launch_command(receipt: str, *, once: bool, spared: bool = False) -> str:
    """The command line that runs a script under `receipt`, or attaches to it; the script's archive comes by stdin.

    Nothing secret is on it, nor a digest of anything secret, which could be guessed from.

    :param spared: whether the receipt may lie in memory where the disk is full.
    """
    words = ["once" if once else "", "spare" if spared and not once else ""]
    return shlex.join(["sh", "-c", host_script("launch.sh"), "sealer", receipt, *words])


def end_command(receipt: str) -> str:
    """The command line that ends a script and all it started."""
    return shlex.join(["sh", "-c", host_script("end.sh"), "sealer", receipt])


@dataclass(frozen=True)
class Receipt:
    """How a script ended.

    :param state: `done`; `kept`: it had ended before it was asked for; `lost`: it began and neither runs nor ended by
        itself; `differs`: the receipt is another script's.
    :param size: bytes it printed in all.
    :param seen: of these, how many were told live.
    :param tail: the last 64 KiB it printed.
    """

    state: Literal["done", "kept", "lost", "differs"]
    status: int
    size: int
    seen: int
    tail: bytes

    @classmethod
    def parse(cls, output: bytes) -> Receipt | None:
        """What `launch.sh` printed; None when it could not do its work."""
        head, _, tail = output.partition(b"\n")
        words = head.decode(errors="replace").split()
        if len(words) != 5 or words[0] != "sealer":
            return None
        state = words[1]
        if state not in ("done", "kept", "lost", "differs"):
            return None
        status, size, seen = map(whole_number, words[2:])
        if status is None or size is None or seen is None:
            return None
        return cls(state, status, size, seen, tail)  # type: ignore[arg-type]

    @property
    def text(self) -> str:
        """What it printed, as far as that is kept: whole lines, as half of a secret could not be recognised."""
        text = self.tail.decode("utf-8", "replace")
        if self.size <= KEPT:
            return text
        _, newline, rest = text.partition("\n")
        return rest if newline and rest.strip() else text[redactor.longest :]

    @property
    def untold(self) -> bytes:
        """What was printed after the last look."""
        rest = self.size - self.seen
        return self.tail[-rest:] if rest > 0 else b""
