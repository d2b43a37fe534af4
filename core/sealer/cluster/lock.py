"""One writer a cluster, on this machine."""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import json
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sealer.cluster.files import writing
from sealer.cluster.home import ClusterHome
from sealer.errors import LockHeldError, SealerError
from sealer.events import EventStream
from sealer.image.storage import make_directories

_TRIES = 10  # the directory may be removed under our hands by a delete that just ends


def holder(command: str) -> dict[str, Any]:
    """Who we are, for whoever finds our lock."""
    return {
        "pid": os.getpid(),
        "user": _user(),
        "machine": platform.node(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S %Z"),
        "command": command,
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run us under a number that has no name
        return f"user {os.getuid()}"


def describe(who: dict[str, Any]) -> str:
    """A holder in words."""
    return (
        f"`{who.get('command', 'sealer')}` of {who.get('user', '?')} on {who.get('machine', '?')}, "
        f"process {who.get('pid', '?')}, since {who.get('since', '?')}"
    )


def working(path: Path) -> str:
    """Which sealer of this machine works on the cluster now, in words; empty: none.

    Only looked at: even a try of the lock could be in the way of one that begins in that moment.

    :param path: of the lock file.
    """
    try:
        who = json.loads(path.read_bytes())
        if who["machine"] == platform.node() and Path(f"/proc/{int(who['pid'])}").exists():
            return describe(who)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return ""


@contextlib.contextmanager
def cluster_lock(path: Path, command: str, events: EventStream) -> Iterator[None]:
    """Hold the lock of a cluster. It ends with the process, however that ends.

    :param path: of the lock file.
    :param command: what we are doing, for others to read.
    :raises LockHeldError: another sealer has it; the error names that one.
    """
    descriptor = _acquire(path)
    try:
        left_behind = os.pread(descriptor, 4096, 0)
        if left_behind.strip():
            with contextlib.suppress(ValueError):
                events.info(f"recovered the lock that {describe(json.loads(left_behind))} left behind")
        with writing(path):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(holder(command)).encode(), 0)
        yield
        os.ftruncate(descriptor, 0)
    except BaseException as error:
        # An error that we report is an orderly end; the file says who is there only while somebody is.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
        raise error
    finally:
        # Where a delete removed the directory, the next sealer may have made it anew and hold a lock of its own there.
        if _is_at(path, descriptor) and not (path.parent / "state.json").exists():
            # Nothing came of it: the directory is not left for a cluster that there is not.
            with contextlib.suppress(SealerError):
                ClusterHome(path.parent).discard()
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                path.parent.rmdir()
        os.close(descriptor)


def _acquire(path: Path) -> int:
    for _ in range(_TRIES):
        try:
            with writing(path, but=(FileNotFoundError, FileExistsError)):
                make_directories(path.parent)
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except (FileNotFoundError, FileExistsError):
            continue  # it went between two looks
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            who = os.pread(descriptor, 4096, 0)
            os.close(descriptor)
            raise LockHeldError(
                f"Another sealer works on the cluster '{path.parent.name}'",
                why=_in_words(who),
                remedy="Wait for it to end, or end it; its work can then be continued by its own command.",
            ) from None
        if _is_at(path, descriptor):
            return descriptor
        os.close(descriptor)
    raise LockHeldError(f"The cluster '{path.parent.name}' is being removed", remedy="Run the command again.")


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether `path` is the open file, and not another of that name or none."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _in_words(content: bytes) -> str:
    try:
        return describe(json.loads(content))
    except ValueError:
        return "it does not say who it is"
