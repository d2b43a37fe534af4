"""Installs sealer from the wheels beside this file, or removes it. It needs neither pip nor venv of the system.

Each installation is an environment of its own below PREFIX/versions, and PREFIX/current is the one in use. A new one is
complete, and has been started once, before it takes the place of the one before; that is kept until the next.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

HERE = Path(__file__).resolve().parent
STATE = "installed.json"
TOOLS = ("install.py", "uninstall.sh")
NEEDED_MODULES = ("ctypes", "ssl", "zlib")
PR_SET_PDEATHSIG = 1  # of prctl(2)
LOCK_PATIENCE = 2.0  # seconds; what a killed installer had started ends a moment after it
SIZE_FACTOR = 6  # of wheels to what is installed, with compiled modules


class RefusedError(Exception):
    """It cannot be done; what was there is as it was."""


def main() -> int:
    """The status is 0, 1 when it cannot be done, 2 for wrong arguments, 130 when interrupted."""
    chosen = arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    os.umask(0o022)
    try:
        if chosen.uninstall:
            uninstall(chosen.prefix, chosen.bin)
        else:
            install(chosen.prefix, chosen.bin)
    except RefusedError as error:
        say(f"{error}", error=True)
        return 1
    except OSError as error:
        say(f"{error.filename or chosen.prefix}: {error.strerror}", error=True)
        return 1
    except KeyboardInterrupt:
        say(
            "interrupted; " + ("run it again to remove the rest" if chosen.uninstall else "nothing was changed"),
            error=True,
        )
        return 130
    return 0


def arguments() -> argparse.Namespace:
    """What was asked for."""
    root = os.geteuid() == 0
    local = Path.home() / ".local"
    prefix, binaries = (
        (Path("/opt/sealer"), Path("/usr/local/bin")) if root else (local / "share/sealer", local / "bin")
    )
    parser = argparse.ArgumentParser(prog="install.sh", description="Installs sealer without internet, or removes it.")
    parser.add_argument("--prefix", type=directory, default=prefix, help=f"directory of its own ({prefix})")
    parser.add_argument("--bin", type=directory, default=binaries, help=f"where the command is linked ({binaries})")
    parser.add_argument("--uninstall", action="store_true", help="remove it; clusters and images in ~/.sealer stay")
    return parser.parse_args()


def directory(text: str) -> Path:
    """A path that may be written into scripts."""
    if not text or any(sign in text for sign in "\n\"'\\$`"):
        raise argparse.ArgumentTypeError(f"'{text}' cannot be a directory here")
    return Path(text).absolute()


def say(line: str, *, error: bool = False) -> None:
    """Tell the user."""
    print(f"install.sh: {line}" if error else line, file=sys.stderr if error else sys.stdout, flush=True)


def end_with_parent() -> None:
    """Let the kernel kill this process when its parent ends."""
    import ctypes  # noqa: PLC0415  # only now is it known to be there

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def interrupt(_number: int, _frame: FrameType | None) -> None:
    """End as Ctrl-C does."""
    raise KeyboardInterrupt


# -- installing --------------------------------------------------------------------------------------------------------


def install(prefix: Path, binaries: Path) -> None:
    """Install it, or another version over the one that is there.

    :raises RefusedError: this machine, Python or directory will not do; what was there is as it was.
    """
    about = json.loads((HERE / "about.json").read_text())
    check_machine(about)
    check_files()
    state = known(prefix)
    link = binaries / "sealer"
    if (link.is_symlink() or link.exists()) and not ours(link, prefix):
        raise RefusedError(f"{link} is there and is not of this installer: remove it, or choose another --bin")
    check_space(prefix, sum((HERE / "wheels" / name).stat().st_size for name in wheels_of(about)) * SIZE_FACTOR)
    check_space(binaries, 0)
    missing = [path for path in (prefix, *prefix.parents, binaries, *binaries.parents) if not path.exists()]
    state["directories"] = sorted({*state["directories"], *map(str, missing)})
    state["links"] = sorted({*state["links"], str(link)})
    prefix.mkdir(mode=0o755, parents=True, exist_ok=True)
    with locked(prefix) as lock:
        first = not (prefix / "current").is_symlink()
        target = None
        try:
            write(
                prefix / STATE, json.dumps(state, indent=1)
            )  # from here on it can be removed, whenever this is killed
            (prefix / "versions").mkdir(exist_ok=True)
            sweep(prefix)
            target = Path(tempfile.mkdtemp(prefix=f"{about['version']}-", dir=prefix / "versions"))
            target.chmod(0o755)
            make_environment(target, about, lock)
            for name in TOOLS:
                write(prefix / name, (HERE / name).read_text(), 0o755 if name.endswith(".sh") else 0o644)
            binaries.mkdir(mode=0o755, parents=True, exist_ok=True)
            os.sync()
            point(link, prefix / "current/bin/sealer")
            point(prefix / "current", Path("versions") / target.name)
        except BaseException:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            if first:
                remove_all(prefix, state)
            elif target and (prefix / "current").resolve() != target:
                shutil.rmtree(target, ignore_errors=True)
            raise
    say(f"sealer {about['version']} is installed: {link}")
    if str(binaries) not in os.environ.get("PATH", "").split(":"):
        say(f"{binaries} is not on your PATH: add it, or call {link}")
    say(f"To remove it: {prefix}/uninstall.sh")


def check_machine(about: dict[str, Any]) -> None:
    """Whether these wheels run here."""
    python = ".".join(map(str, sys.version_info[:2]))
    if not sys.platform.startswith("linux") or platform.machine() != about["machine"]:
        here = f"{platform.system()} on {platform.machine()}"
        raise RefusedError(f"these files are for Linux on {about['machine']}, and this is {here}: take those for it")
    if sys.implementation.name != "cpython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
        raise RefusedError(f"{sys.executable} is not the usual build of CPython: name another with SEALER_PYTHON")
    if python not in about["pythons"]:
        have = ", ".join(about["pythons"])
        raise RefusedError(
            f"{sys.executable} is Python {python}, and there are wheels for {have}: name one with SEALER_PYTHON"
        )
    missing = [name for name in NEEDED_MODULES if importlib.util.find_spec(name) is None]
    if missing:
        raise RefusedError(
            f"{sys.executable} has no module {', '.join(missing)}: install all of Python (Debian: python3)"
        )
    kind, version = platform.libc_ver()
    if kind != "glibc" or int(version.split(".")[1]) < about["glibc"]:
        raise RefusedError(
            f"the wheels need glibc 2.{about['glibc']} or later, and this system has {kind or 'no glibc'} {version}"
        )


def check_files() -> None:
    """Whether all files are here as they were packed."""
    for line in (HERE / "SHA256SUMS").read_text().splitlines():
        digest, _, name = line.partition("  ")
        path = HERE / name
        if not path.is_file():
            raise RefusedError(f"{name} is missing: unpack the archive again")
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                raise RefusedError(
                    f"{name} is damaged or was changed: unpack the archive again, and compare its SHA-256"
                )


def wheels_of(about: dict[str, Any]) -> list[str]:
    """The wheels for this Python."""
    digests = {digest: name for name, digest in about["wheels"].items()}
    return [digests[line.rpartition("sha256:")[2]] for line in requirements().read_text().splitlines()]


def requirements() -> Path:
    """The exact versions for this Python, with hashes."""
    return HERE / "requirements" / f"{sys.version_info.major}.{sys.version_info.minor}.txt"


def make_environment(target: Path, about: dict[str, Any], lock: int) -> None:
    """An environment as venv makes one, with all wheels in it; started once.

    :param lock: held by the programs that work in it.
    """
    executable = Path(getattr(sys, "_base_executable", sys.executable))
    (target / "bin").mkdir()
    for name in ("python", "python3", f"python3.{sys.version_info.minor}"):
        (target / "bin" / name).symlink_to(executable)
    version = platform.python_version()
    (target / "pyvenv.cfg").write_text(
        f"home = {executable.parent}\ninclude-system-site-packages = false\nversion = {version}\n"
    )
    (target / f"lib/python3.{sys.version_info.minor}/site-packages").mkdir(parents=True)
    scratch = target / "scratch"
    scratch.mkdir()
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON", "SEALER_"))
    }
    environment |= {"TMPDIR": str(scratch), "HOME": str(scratch), "XDG_CACHE_HOME": str(scratch)}
    environment |= {"PIP_CONFIG_FILE": os.devnull, "SEALER_HOME": str(scratch / "home")}
    python = target / "bin/python"
    pip = next(HERE / "wheels" / name for name in about["wheels"] if name.startswith("pip-"))
    options = ["--quiet", "--no-input", "--no-cache-dir", "--disable-pip-version-check", "--no-index", "--no-deps"]
    exact = ["--find-links", HERE / "wheels", "--only-binary=:all:", "--require-hashes", "-r", requirements()]
    run([python, "-I", pip / "pip", "install", *options, *exact], environment, lock, "pip cannot install the wheels")
    run([target / "bin/sealer", "version"], environment, lock, "the installed sealer does not start")
    shutil.rmtree(scratch)


def run(command: list[Any], environment: dict[str, str], lock: int, failed: str) -> None:
    """Run a program; it must succeed. It ends when this one is killed, and until then nobody else gets the lock."""
    done = subprocess.run(
        list(map(str, command)),
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        pass_fds=(lock,),
        preexec_fn=end_with_parent,
    )
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines()[-10:]
        raise RefusedError("\n  ".join([f"{failed} (status {done.returncode}):", *lines]))


# -- removing ----------------------------------------------------------------------------------------------------------


def uninstall(prefix: Path, binaries: Path) -> None:
    """Remove all of it; a run that was interrupted is started again.

    :raises RefusedError: there is none.
    """
    if not (prefix / STATE).exists():
        raise RefusedError(f"{prefix} has no sealer of this installer: name its directory with --prefix")
    state = known(prefix)
    with locked(prefix):
        remove_all(prefix, state)
    say(f"sealer is removed from {prefix}")
    home = Path(os.environ.get("SEALER_HOME") or Path.home() / ".sealer")
    kept = [path for path in (home, Path("/var/lib/sealer-nspawn"), Path("/var/cache/sealer-nspawn")) if path.exists()]
    if kept:
        say(f"Not removed, as it has your clusters and images: {', '.join(map(str, kept))}")


def remove_all(prefix: Path, state: dict[str, list[str]]) -> None:
    """The links, the files, and the directories that the installer made, where they are empty now."""
    for link in map(Path, state["links"]):
        for path in (link, link.with_name(f".{link.name}.new")):
            if ours(path, prefix):
                path.unlink()
    for path in (*prefix.glob(".*.new"), *(prefix / name for name in ("current", "versions", *TOOLS, "lock", STATE))):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for made in sorted(map(Path, state["directories"]), reverse=True):
        with contextlib.suppress(OSError):
            made.rmdir()


# -- what is there -----------------------------------------------------------------------------------------------------


def known(prefix: Path) -> dict[str, list[str]]:
    """What the installer made outside of its versions.

    :raises RefusedError: somebody else's files are there.
    """
    try:
        found = json.loads((prefix / STATE).read_text())
        return {"links": list(found["links"]), "directories": list(found["directories"])}
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (ValueError, KeyError, TypeError):
        raise RefusedError(f"{prefix / STATE} is damaged: remove {prefix} by hand, then install again") from None
    if prefix.is_dir() and any(path.name not in ("versions", "lock", *TOOLS) for path in prefix.iterdir()):
        raise RefusedError(f"{prefix} has files that are not of this installer: choose another --prefix")
    return {"links": [], "directories": []}


def ours(link: Path, prefix: Path) -> bool:
    """Whether a link leads into the prefix."""
    return link.is_symlink() and link.readlink() == prefix / "current/bin/sealer"


def check_space(directory: Path, size: int) -> None:
    """Whether so many bytes may be put there."""
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    if not existing.is_dir():
        raise RefusedError(f"{existing} is no directory: choose another")
    if not os.access(existing, os.W_OK):
        raise RefusedError(
            f"{existing} cannot be written to: run this as root, or choose another directory with --prefix and --bin"
        )
    disk = os.statvfs(existing)
    free = disk.f_bavail * disk.f_frsize
    if free < size:
        raise RefusedError(f"{directory} needs {size >> 20} MiB of disk, and {free >> 20} are free")


@contextlib.contextmanager
def locked(prefix: Path) -> Iterator[int]:
    """One installer at a time; gives the descriptor of the lock."""
    deadline = time.monotonic() + LOCK_PATIENCE
    with (prefix / "lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise RefusedError(f"another installer works in {prefix}: wait until it has ended") from None
                time.sleep(0.05)
        yield lock.fileno()


def sweep(prefix: Path) -> None:
    """Remove environments that are not in use: older ones, and what a killed installer left."""
    current = (prefix / "current").readlink().name if (prefix / "current").is_symlink() else ""
    for path in (prefix / "versions").iterdir():
        if path.name != current:
            shutil.rmtree(path)


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file so that it is never half there."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text)
    fresh.chmod(mode)
    fresh.rename(path)


def point(link: Path, target: Path) -> None:
    """Let a link lead there, in one step."""
    fresh = link.with_name(f".{link.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.rename(link)


if __name__ == "__main__":
    sys.exit(main())
