"""Which files of this machine a RUN must not see: the operator's own, and what no other user may read.

A RUN needs the machine's programs, their configuration and the state of its package manager. Everything else is left
out: a base image from a registry brings programs of its own, which come first on PATH and run as root.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

# Directories of the root that hold the system; what else lies there is somebody's.
_SYSTEM = frozenset(
    {"bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "opt", "proc", "sbin", "sys", "usr", "var"}
)
# Of /var: the state of programs, and what can be fetched again.
_OF_VAR = frozenset({"cache", "lib"})
# Of /var/lib: what package managers and the scripts of packages read.
_STATE = frozenset(
    [
        *("PackageKit", "alpm", "apk", "apt", "aptitude", "binfmts", "ca-certificates", "dbus", "dictionaries-common"),
        *("dnf", "dpkg", "emacsen-common", "flatpak", "gems", "ghostscript", "initramfs-tools", "locales", "man-db"),
        *("misc", "pacman", "pam", "polkit-1", "portage", "python", "rpm", "sgml-base", "shells.state", "systemd"),
        *("ucf", "update-notifier", "usrmerge", "vim", "xkb", "xml-core", "yum", "zypp"),
    ]
)
_CACHES = frozenset(
    ["PackageKit", "apk", "apt", "debconf", "dnf", "fontconfig", "ldconfig", "man", "pacman", "yum", "zypp"]
)
# Trees that are looked through, and how many levels of them: a tree of programs may have a million files.
_SEARCHED = {"/etc": 8, "/opt": 2, "/usr/local": 1, "/var/cache": 2}
# Where package managers keep what they sign in with, or keep to themselves; all of it stays.
_MANAGERS = (
    *("/etc/apk", "/etc/apt", "/etc/dnf", "/etc/pacman.d", "/etc/pki/consumer", "/etc/pki/entitlement"),
    *("/etc/pki/rpm-gpg", "/etc/rhsm", "/etc/yum", "/etc/yum.repos.d", "/etc/zypp", "/var/cache/apt"),
    *("/var/cache/dnf", "/var/cache/ldconfig", "/var/cache/yum", "/var/cache/zypp", "/var/lib"),
)
_ACCOUNTS = ("/etc/shadow", "/etc/gshadow")  # programs that add users want them, with a line for each account
_PASSWORDS = ("/var/cache/debconf/passwords.dat",)
_RESOLVER = Path("/etc/resolv.conf")


def private_directories(own: Iterable[Path]) -> list[str]:
    """Directories that must appear empty, none of them below another one.

    :param own: directories of the operator, wherever they lie: the home, the images.
    """
    found = {"/run", "/tmp", "/var/tmp"}  # noqa: S108  # sockets and files of those who are logged in
    found.update(f"/{name}" for name in _directories("/") if name not in _SYSTEM)
    found.update(f"/var/{name}" for name in _directories("/var") if name not in _OF_VAR)
    found.update(f"/var/cache/{name}" for name in _directories("/var/cache") if name not in _CACHES)
    found.update(f"/var/lib/{name}" for name in _directories("/var/lib") if name not in _STATE)
    for path in (*own, *_homes()):
        found.update({str(path.absolute()), os.path.realpath(path)})
    found.update(_closed_directories())
    system = {"/", *(f"/{name}" for name in _SYSTEM)}
    kept = sorted(path for path in found if path not in system and not _holds_system(path))
    return [path for path in kept if not any(path != other and _within(path, other) for other in kept)]


def rewritten_files() -> dict[str, str | None]:
    """Files that must not appear as they are: their content there; None: they are not there at all."""
    found: dict[str, str | None] = {}
    for path, mode in _searched():
        if not stat.S_ISDIR(mode) and not mode & stat.S_IROTH:
            found[path] = None
    found.update(dict.fromkeys(path for path in _PASSWORDS if Path(path).exists()))
    for path in _ACCOUNTS:
        if path in found or Path(path).exists():
            found[path] = _locked(Path(path))
    # Where it leads into /run, which appears empty.
    target = os.path.realpath(_RESOLVER)
    if _within(target, "/run") and Path(target).is_file():
        found[target] = Path(target).read_text(encoding="utf-8", errors="replace")
    return found


def _directories(path: str) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def _homes() -> Iterator[Path]:
    """Of people and of root: those of services lie with their programs, and are covered as such."""
    try:
        lines = Path("/etc/passwd").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        fields = line.split(":")
        if len(fields) == 7 and fields[2].isdecimal() and fields[5].startswith("/"):
            number = int(fields[2])
            if number == 0 or 1000 <= number < 65534:
                yield Path(fields[5])


def _closed_directories() -> Iterator[str]:
    opened = stat.S_IROTH | stat.S_IXOTH
    for path, mode in _searched():
        if stat.S_ISDIR(mode) and mode & opened != opened:
            yield path


def _searched() -> Iterator[tuple[str, int]]:
    """What lies in the trees that are looked through, with its mode: no links, and not what package managers keep."""
    waiting = list(_SEARCHED.items())
    while waiting:
        directory, levels = waiting.pop()
        try:
            entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            if entry.is_symlink() or any(_within(entry.path, kept) for kept in _MANAGERS):
                continue
            try:
                mode = entry.stat(follow_symlinks=False).st_mode
            except OSError:
                continue
            yield entry.path, mode
            if stat.S_ISDIR(mode) and mode & stat.S_IXOTH and levels > 1:
                waiting.append((entry.path, levels - 1))


def _locked(path: Path) -> str:
    """The accounts of a file, with which nobody can sign in (shadow(5), gshadow(5))."""
    rest: Mapping[str, str] = {"/etc/shadow": "*:19000:0:99999:7:::", "/etc/gshadow": "*::"}
    try:
        names = [line.partition(":")[0] for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError:
        names = ["root"]
    return "".join(f"{name}:{rest[str(path)]}\n" for name in names if name)


def _within(path: str, directory: str) -> bool:
    return path == directory or path.startswith(f"{directory.rstrip('/')}/")


def _holds_system(path: str) -> bool:
    return any(_within(place, path) for place in ("/usr/bin", "/usr/lib", "/etc/passwd", "/var/lib/dpkg", "/rootfs"))
