"""The world of a RUN, and its first process. A program of its own: `python -I -S containment.py REPORT PARENT`.

It gets a :class:`Request` as JSON on its standard input and makes namespaces for mounts, processes, IPC, host name and,
where asked, network. In them `/` is an overlay over the machine's file systems whose upper part is thrown away, and
`/rootfs` one over the rootfs whose upper part becomes the layer. What is the operator's own is left out of it
(:attr:`Request.private`). Then it starts the command, without the privileges that would lead out, and waits.

A program that nobody vouches for is shown far less: :attr:`Request.shown`.

Nothing outlives sealer. This process dies with the process PARENT, the first process of the namespace with this one;
then the kernel ends everything in the namespace and takes all mounts away. Each asks for its own end first, and looks
then whether the other one still lives, so that no death goes unnoticed.

To the descriptor REPORT go JSON objects, one a line: `{"started": true}`, then `{"status": wait status}` when the
command ended; or `{"error": text}` when it could not be started. Only the standard library is imported, and little of
it: a RUN waits for it.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
from collections.abc import Iterator
from typing import TypedDict

SECRETS = "/run/secrets"

_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_READ, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 23, 24, 38
_CAPABILITY_VERSION = 0x20080522
_NEWNS, _NEWUTS, _NEWIPC, _NEWPID, _NEWNET = 0x00020000, 0x04000000, 0x08000000, 0x20000000, 0x40000000
_NEWUSER = 0x10000000
_RDONLY, _NOSUID, _NODEV, _NOEXEC, _REMOUNT, _BIND, _REC, _PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
_NOATIME, _RELATIME = 1024, 1 << 21
_KEPT = {  # by statvfs's names of them
    _NOSUID: os.ST_NOSUID,
    _NODEV: os.ST_NODEV,
    _NOEXEC: os.ST_NOEXEC,
    _NOATIME: os.ST_NOATIME,
    _RELATIME: os.ST_RELATIME,
}
_DETACH = 2
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1

_OWN = ("/proc", "/sys", "/dev")  # the command gets new ones
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2", "ptmx": "pts/ptmx"}
_PUBLIC = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_NARROW_MEMORY = _LARGEST_OUTPUT = 64 * 1024 * 1024
_OF_THE_KERNEL = ("/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs")
_UNREADABLE = ("/proc/kcore", "/proc/keys", "/proc/kmsg", "/proc/sched_debug", "/proc/timer_list")  # of the machine
# What package managers and the scripts of packages use (capabilities(7)): no mounts, no devices, no kernel settings.
_CAPABILITIES = {
    "CAP_CHOWN": 0,
    "CAP_DAC_OVERRIDE": 1,
    "CAP_FOWNER": 3,
    "CAP_FSETID": 4,
    "CAP_KILL": 5,
    "CAP_SETGID": 6,
    "CAP_SETUID": 7,
    "CAP_SETPCAP": 8,
    "CAP_NET_BIND_SERVICE": 10,
    "CAP_SYS_CHROOT": 18,
    "CAP_SETFCAP": 31,
}
# They hold no files: a directory in their place stays empty.
_NO_FILES = frozenset(
    [
        *("autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs"),
        *("fusectl", "hugetlbfs", "mqueue", "nsfs", "proc", "pstore", "rpc_pipefs", "securityfs", "selinuxfs", "sysfs"),
        "tracefs",
    ]
)


class Request(TypedDict):
    """What is asked for.

    :param directory: of the build; it holds `rootfs`, and empty `upper`, `work`, `machine` and `world`.
    :param copied: work on the directory `copy` instead of an overlay over `rootfs`, with all overlays in memory.
    :param top: where the command finds the rootfs.
    :param secrets: contents (Latin-1: a character a byte) by the absolute path where the command finds them.
    :param private: directories of the operator; an empty one is in their place.
    :param rewritten: files, with what they contain there; None: they are not there.
    :param network: False for a network of its own, with nothing in it.
    :param shown: None for all that is said above. Else directories by the place where the command finds them: these can
        be read, and the machine's public programs; there is nothing else, no network, and no privilege. `copied` and
        `secrets` do not count then, and a user who is not root may ask for it.
    """

    directory: str
    copied: bool
    top: str
    command: str
    environment: dict[str, str]
    secrets: dict[str, str]
    private: list[str]
    rewritten: dict[str, str | None]
    network: bool
    shown: dict[str, str] | None


_libc = ctypes.CDLL(None, use_errno=True)


def main() -> int:
    """Make the namespaces, and wait for their first process."""
    report, parent = int(sys.argv[1]), int(sys.argv[2])
    os.set_inheritable(report, False)
    _die_with_parent()
    if os.getppid() != parent:
        return 1
    request: Request = json.loads(sys.stdin.buffer.read())
    try:
        _unshare(request)
    except OSError as error:
        _tell(report, error=_reason(error))
        return 1
    alive, hold = os.pipe()
    first = os.fork()
    if first == 0:
        os.close(hold)
        _first_process(request, report, alive)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(first, signal.SIGKILL))
    os.close(report)
    os.waitpid(first, 0)  # over when everything in the namespace is gone
    return 0


def _unshare(request: Request) -> None:
    network = 0 if request["network"] and request["shown"] is None else _NEWNET
    user, group = os.geteuid(), os.getegid()
    _call("unshare", _NEWNS | _NEWUTS | _NEWIPC | _NEWPID | network | (_NEWUSER if user else 0))
    if user:  # root is then what the user is
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)


def _first_process(request: Request, report: int, alive: int) -> None:
    try:
        _die_with_parent()
        if not select.select([alive], [], [], 0)[0]:  # readable: its end
            if request["shown"] is None:
                _make_world(request)
            else:
                _make_narrow_world(request["directory"] + "/world", request["shown"])
            shell = os.open("/bin/sh", os.O_PATH | os.O_CLOEXEC)
            command = os.fork()
            if command == 0:
                _become(request, shell)
            _tell(report, started=True)
            for stream in (1, 2):
                os.dup2(os.open(os.devnull, os.O_RDWR), stream)
            while (ended := os.wait())[0] != command:
                pass
            _tell(report, status=ended[1])
    except OSError as error:
        _tell(report, error=_reason(error))
    finally:
        os._exit(0)


def _become(request: Request, shell: int) -> None:
    try:
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)  # Python ignores some of them
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.umask(0o022)
        os.chdir(request["top"])
        if request["shown"] is None:
            _drop_privileges(frozenset(_CAPABILITIES.values()))
        else:
            _drop_privileges()
            resource.setrlimit(resource.RLIMIT_FSIZE, (_LARGEST_OUTPUT, _LARGEST_OUTPUT))
        os.execve(shell, ["/bin/sh", "-c", request["command"]], request["environment"])  # noqa: S606
    finally:
        os._exit(127)


def _make_world(request: Request) -> None:
    _mount("none", "/", "", _REC | _PRIVATE)
    if not request["network"]:
        _raise_loopback()
    directory = request["directory"]
    world = f"{directory}/world"
    # Before anything is mounted: these are the machine's.
    others = list(_file_systems())
    others = [path for path in others if not f"{path}/".startswith(tuple(f"{own}/" for own in request["private"]))]
    if request["copied"]:
        _mount("tmpfs", f"{directory}/machine", "tmpfs", _NOSUID, "mode=700")
    for number, path in enumerate(["/", *others]):
        _copy_of_machine(path, f"{directory}/machine/{number}", world)
    _hide(request["private"], f"{directory}/machine", world)
    _rewrite(request["rewritten"], world)
    top = world + request["top"]
    os.makedirs(top, exist_ok=True)
    if request["copied"]:
        _mount(f"{directory}/copy", top, "", _BIND)
    else:
        _overlay(f"{directory}/rootfs", f"{directory}/upper", f"{directory}/work", top)
    _mount("proc", world + "/proc", "proc", _NOSUID | _NODEV | _NOEXEC)
    _mount("sysfs", world + "/sys", "sysfs", _RDONLY | _NOSUID | _NODEV | _NOEXEC)
    _make_devices(world)
    _place_secrets(request["secrets"], world)
    _enter(world)
    for path in _OF_THE_KERNEL:
        if os.path.exists(path):
            _bind_read_only(path, path)
    for path in _UNREADABLE:
        if os.path.exists(path):
            _mount("/dev/null", path, "", _BIND)


def _make_narrow_world(world: str, shown: dict[str, str]) -> None:
    """In memory, but for what is shown."""
    _mount("none", "/", "", _REC | _PRIVATE)
    _mount("tmpfs", world, "tmpfs", _NOSUID | _NODEV, f"mode=755,size={_NARROW_MEMORY}")
    for path in _PUBLIC:
        if os.path.islink(path):
            os.symlink(os.readlink(path), world + path)
        elif os.path.isdir(path):
            os.mkdir(world + path)
            _bind_read_only(path, world + path)
    for place, source in shown.items():
        os.mkdir(world + place)
        _bind_read_only(source, world + place)
    for name in ("proc", "dev", "tmp"):
        os.mkdir(f"{world}/{name}")
    _mount("proc", f"{world}/proc", "proc", _RDONLY | _NOSUID | _NODEV | _NOEXEC)
    _make_devices(world)
    _enter(world)


def _enter(world: str) -> None:
    os.chdir(world)
    _call("pivot_root", b".", b".")
    _call("umount2", b".", _DETACH)
    os.chdir("/")


def _drop_privileges(kept: frozenset[int] = frozenset()) -> None:
    """For good: no other capability comes back with an `exec`, and no setuid program gives any."""
    _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    number = 0
    while _libc.prctl(_PR_CAPBSET_READ, number, 0, 0, 0) >= 0:  # until there is none of that number
        if number not in kept:
            _call("prctl", _PR_CAPBSET_DROP, number, 0, 0, 0)
        number += 1
    held = sum(1 << number for number in kept) & _effective()
    words = [held & 0xFFFFFFFF, held >> 32]  # effective, permitted, inheritable, a word of each at a time
    _call(
        "capset", struct.pack("=Ii", _CAPABILITY_VERSION, 0), struct.pack("=6I", *[words[0]] * 2, 0, *[words[1]] * 2, 0)
    )


def _effective() -> int:
    """The capabilities of this process, a bit each: of a container's root some are missing."""
    found = ctypes.create_string_buffer(24)
    _call("capget", struct.pack("=Ii", _CAPABILITY_VERSION, 0), found)
    low, _, _, high, _, _ = struct.unpack("=6I", found.raw)
    return int(low | high << 32)


def _file_systems() -> Iterator[str]:
    """Where the machine has mounted file systems with files besides the root; of several in one place the last."""
    found: dict[str, str] = {}
    with open("/proc/self/mountinfo", "rb") as file:
        for line in file:
            fields, _, rest = line.partition(b" - ")
            path = os.fsdecode(fields.split()[4].decode("unicode_escape").encode("latin-1"))
            found.pop(path, None)
            found[path] = rest.split()[0].decode()
    for path, kind in sorted(found.items()):
        of_kernel = kind in _NO_FILES or any(path == own or path.startswith(f"{own}/") for own in _OWN)
        if path != "/" and not of_kernel and os.path.exists(path):
            yield path


def _copy_of_machine(path: str, scratch: str, world: str) -> None:
    target = world + path
    if path != "/" and not os.path.exists(target):
        return
    if not os.path.isdir(path):
        _bind_read_only(path, target)
        return
    os.makedirs(f"{scratch}/upper")
    os.makedirs(f"{scratch}/work")
    try:
        status = os.stat(path)
        _overlay(path, f"{scratch}/upper", f"{scratch}/work", target)
        os.chmod(target, status.st_mode & 0o7777)
        os.chown(target, status.st_uid, status.st_gid)
    except OSError:
        if path == "/":
            raise
        _bind_read_only(path, target)  # a file system that no overlay takes can be read, not written


def _hide(private: list[str], scratch: str, world: str) -> None:
    """Put an empty directory in the place of each."""
    for number, path in enumerate(private):
        place = world + path
        if os.path.isdir(place) and not os.path.islink(place):
            status, empty = os.stat(place), f"{scratch}/empty-{number}"
            os.mkdir(empty)
            os.chmod(empty, status.st_mode & 0o7777)
            os.chown(empty, status.st_uid, status.st_gid)
            _mount(empty, place, "", _BIND)
    if os.path.isdir(f"{world}/run"):
        os.mkdir(f"{world}/run/lock")
        os.chmod(f"{world}/run/lock", 0o1777)  # noqa: S103  # as everywhere: packages' scripts lock there


def _rewrite(files: dict[str, str | None], world: str) -> None:
    for path, content in files.items():
        place = world + path
        try:
            if content is None:
                os.unlink(place)
                continue
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, "w", encoding="utf-8") as file:
                file.write(content)
        except FileNotFoundError:
            continue
        except OSError:  # a file system that cannot be written
            _mount("/dev/null", place, "", _BIND)


def _make_devices(world: str) -> None:
    _mount("tmpfs", f"{world}/dev", "tmpfs", _NOSUID, "mode=755")
    for name in _DEVICES:
        if os.path.exists(f"/dev/{name}"):
            os.close(os.open(f"{world}/dev/{name}", os.O_CREAT | os.O_WRONLY))
            _mount(f"/dev/{name}", f"{world}/dev/{name}", "", _BIND)
    for name, target in _LINKS.items():
        os.symlink(target, f"{world}/dev/{name}")
    for name, kind, options in (("pts", "devpts", "newinstance,ptmxmode=0666,mode=620"), ("shm", "tmpfs", "mode=1777")):
        os.mkdir(f"{world}/dev/{name}")
        _mount(kind, f"{world}/dev/{name}", kind, _NOSUID | _NOEXEC, options)


def _place_secrets(secrets: dict[str, str], world: str) -> None:
    """In memory alone; what is wanted elsewhere is bound there."""
    if not secrets:
        return
    os.makedirs(world + SECRETS, exist_ok=True)
    _mount("tmpfs", world + SECRETS, "tmpfs", _NOSUID | _NODEV | _NOEXEC, "mode=700")
    for number, (path, content) in enumerate(secrets.items()):
        direct = os.path.dirname(path) == SECRETS
        source = world + (path if direct else f"{SECRETS}/.{number}")
        with open(os.open(source, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o400), "wb") as file:
            file.write(content.encode("latin-1"))
        if not direct:
            os.makedirs(os.path.dirname(world + path), exist_ok=True)
            os.close(os.open(world + path, os.O_CREAT | os.O_WRONLY, 0o400))
            _mount(source, world + path, "", _BIND)


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        request = struct.pack("16sh14x", b"lo", 0)
        name, flags = struct.unpack("16sh14x", fcntl.ioctl(device, _SIOCGIFFLAGS, request))
        fcntl.ioctl(device, _SIOCSIFFLAGS, struct.pack("16sh14x", name, flags | _IFF_UP))


def _overlay(lower: str, upper: str, work: str, target: str) -> None:
    # By descriptors: a comma or a colon in a path would mean something to mount.
    descriptors = [os.open(path, os.O_PATH | os.O_DIRECTORY) for path in (lower, upper, work)]
    places = zip(("lowerdir", "upperdir", "workdir"), descriptors, strict=True)
    options = ",".join(f"{name}=/proc/self/fd/{descriptor}" for name, descriptor in places)
    try:
        _mount("sealer", target, "overlay", 0, f"{options},index=off,metacopy=off,redirect_dir=off")
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _bind_read_only(source: str, target: str) -> None:
    _mount(source, target, "", _BIND)
    # What a file system already forbids must be said again: in a namespace of a user's own nothing of it may go.
    forbids = os.statvfs(target).f_flag
    flags = sum(flag for flag, said in _KEPT.items() if forbids & said)
    _mount("none", target, "", _BIND | _REMOUNT | _RDONLY | flags)


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    texts = [os.fsencode(text) or None for text in (source, target, kind)]
    _call("mount", *texts, ctypes.c_ulong(flags), os.fsencode(options) or None, about=target)


def _die_with_parent() -> None:
    _call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _call(name: str, *arguments: object, about: str = "") -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}", about or None)


def _reason(error: OSError) -> str:
    return f"{error.strerror} at {error.filename}" if error.filename else str(error.strerror)


def _tell(report: int, **what: object) -> None:
    os.write(report, json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
