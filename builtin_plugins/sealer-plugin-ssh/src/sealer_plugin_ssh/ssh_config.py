"""What ssh's own configuration says of a host (ssh_config(5)); paramiko reads it."""

from __future__ import annotations

import getpass
import glob
import os
import re
import shlex
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from paramiko.config import SSHConfig  # noqa: TID253  # this module is imported by a running connection only
from paramiko.ssh_exception import ConfigParseError, SSHException  # noqa: TID253

from sealer.errors import InputError
from sealer.hosts import Host

NONE = "none"
SYSTEM_FILE = Path("/etc/ssh/ssh_config")
DEPTH = 16  # of files that include each other, as in ssh
# What changes where a connection goes, whom it trusts or how it logs in, and is not honoured.
_IGNORED = {
    name.lower(): name
    for name in (
        "AddressFamily",
        "BindAddress",
        "BindInterface",
        "CASignatureAlgorithms",
        "CertificateFile",
        "Ciphers",
        "GlobalKnownHostsFile",
        "HostKeyAlgorithms",
        "KexAlgorithms",
        "KnownHostsCommand",
        "MACs",
        "PKCS11Provider",
        "PreferredAuthentications",
        "PubkeyAcceptedAlgorithms",
        "RevokedHostKeys",
        "SecurityKeyProvider",
        "VerifyHostKeyDNS",
    )
}
_LINE = re.compile(r"\s*(\w+)(?:\s*=\s*|\s+)(.*)")
_NOBODY = "Host !*"  # a section that is for no host


@dataclass(frozen=True)
class HostConfig:
    """What counts for one name; what is not said is empty.

    :param name: what the host was looked up by.
    :param host_name: where it is: a name or an address.
    :param identity_files: in their order; they replace the default keys.
    :param identity_agent: socket of the agent; `none`: there is to be none; empty: the usual one.
    :param proxy_jump: the hosts on the way, `[USER@]HOST[:PORT]` each, the nearest first.
    :param known_hosts: files in place of `~/.ssh/known_hosts`; None: that one.
    :param not_honoured: what is said, and has no effect.
    """

    name: str
    host_name: str
    user: str = ""
    port: int = 0
    identity_files: tuple[str, ...] = ()
    identities_only: bool = False
    identity_agent: str = ""
    proxy_jump: tuple[str, ...] = ()
    proxy_command: str = ""
    host_key_alias: str = ""
    known_hosts: tuple[Path, ...] | None = None
    strict: bool = False
    not_honoured: tuple[str, ...] = ()


class SshConfig:
    """The files that count together.

    :param files: the first that says something wins; those that are not there say nothing.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._config = SSHConfig()
        self.ignored_sections: list[str] = []
        for file in files:
            try:
                self._config.parse(iter(self._lines(file, _base(file), DEPTH)))
            except ConfigParseError as error:
                raise InputError(
                    "ssh's configuration cannot be understood",
                    where=str(file),
                    why=str(error),
                    remedy="correct it, or choose another with --ssh-config FILE, or `--ssh-config none`",
                ) from error

    def lookup(self, name: str) -> HostConfig:
        """What counts for `name`.

        :raises InputError: a value cannot be understood.
        """
        try:
            found = self._config.lookup(name)
            return _understood(name, found)
        except (ValueError, KeyError, SSHException) as error:
            raise InputError(
                f"ssh's configuration for {name} cannot be understood",
                why=str(error),
                remedy="correct it, or choose another with --ssh-config FILE, or `--ssh-config none`",
            ) from error

    def _lines(self, file: Path, base: Path, depth: int, *, within: bool = False) -> list[str]:
        """The lines of a file, with those of the files that it includes in their place.

        :param base: where relative names of included files begin.
        :param within: the file is included by a section, and has none of its own then.
        """
        lines: list[str] = []
        section = ""
        try:
            text = file.read_text(errors="surrogateescape")
        except OSError:
            return lines
        for line in text.splitlines():
            match = _LINE.fullmatch(line)
            word = match[1].lower() if match else ""
            rest = match[2].strip() if match else ""
            if word == "include":
                for included in _included(rest, base):
                    lines += self._lines(included, base, depth - 1, within=bool(section)) if depth else []
                    lines.append(section or "Host *")
            elif word in ("host", "match"):
                section = line
                if within or (word == "match" and not _is_known(rest)):
                    self.ignored_sections.append(f"{file}: {line.strip()}")
                    section = _NOBODY
                lines.append(section)
            else:
                lines.append(line)
        return lines


def name_of(host: Host) -> str:
    """What a host is looked up by: as it was named, else its address."""
    return host.ssh.alias or host.address


def load(choice: str) -> SshConfig:
    """The configuration that a user chose.

    :param choice: a file; `none`: nothing counts; empty: what counts for ssh.
    :raises InputError: there is no such file, or it cannot be understood.
    """
    if choice.lower() == NONE:
        return SshConfig(())
    if not choice:
        own = Path.home() / ".ssh" / "config"
        return _cached((own, SYSTEM_FILE))
    file = Path(choice).expanduser()
    if not file.is_file() or not os.access(file, os.R_OK):
        raise InputError(
            f"ssh's configuration {choice} cannot be read",
            where=choice,
            why="there is no such file" if not file.exists() else "it is no file that this user may read",
            remedy="name another with --ssh-config FILE, or `--ssh-config none`",
        )
    return _cached((file,))


_loaded: dict[tuple[Path, ...], tuple[object, SshConfig]] = {}
_lock = threading.Lock()


def _cached(files: tuple[Path, ...]) -> SshConfig:
    """Read once for all hosts, and again when a file has changed."""
    state = [(status.st_mtime_ns, status.st_size) if (status := _status(file)) else None for file in files]
    with _lock:
        if files not in _loaded or _loaded[files][0] != state:
            _loaded[files] = (state, SshConfig(files))
        return _loaded[files][1]


def _base(file: Path) -> Path:
    """Where relative names of included files begin."""
    return SYSTEM_FILE.parent if file == SYSTEM_FILE else Path.home() / ".ssh"


def _status(file: Path) -> os.stat_result | None:
    try:
        return file.stat()
    except OSError:
        return None


def _is_known(criteria: str) -> bool:
    """Whether paramiko knows what a Match line asks for; it would take the rest for true. Commands are not run."""
    words = iter(shlex.split(criteria))
    for word in words:
        if word.lstrip("!") in ("host", "originalhost", "user", "localuser"):
            next(words, None)
        elif word.lstrip("!") not in ("all", "canonical", "final"):
            return False
    return True


def _included(rest: str, base: Path) -> list[Path]:
    """The files that an Include line names, in the order of their names."""
    found: list[Path] = []
    for pattern in (word.strip('"') for word in rest.split()):
        where = Path(pattern).expanduser()
        whole = str(where if where.is_absolute() else base / where)
        found += [Path(name) for name in sorted(glob.glob(whole))]  # noqa: PTH207  # Path.glob takes no absolute one
    return found


def _understood(name: str, found: Mapping[str, str | list[str] | None]) -> HostConfig:
    def text(key: str) -> str:
        value = found.get(key)
        return value.strip() if isinstance(value, str) else ""

    files = found.get("identityfile") or []
    known = text("userknownhostsfile")
    jump = text("proxyjump")
    strict = text("stricthostkeychecking").lower()
    ignored = [shown for key, shown in _IGNORED.items() if key in found]
    if strict in ("no", "off"):
        ignored.append("StrictHostKeyChecking")
    port = text("port")
    if port and not 0 < int(port) < 65_536:
        raise ValueError(f"Port {port}")
    return HostConfig(
        name,
        text("hostname") or name,
        text("user"),
        int(port or 0),
        tuple(_path(file) for file in files if file.lower() != NONE),
        text("identitiesonly").lower() == "yes",
        _agent(text("identityagent")),
        () if jump.lower() in ("", NONE) else tuple(part.strip() for part in jump.split(",")),
        text("proxycommand"),
        text("hostkeyalias"),
        tuple(Path(_path(file)) for file in known.split() if file.lower() != NONE) if known else None,
        strict == "yes",
        tuple(ignored),
    )


def _agent(value: str) -> str:
    if value in ("", "SSH_AUTH_SOCK"):
        return ""
    return os.environ.get(value[1:], NONE) if value.startswith("$") else _path(value)


def _path(text: str) -> str:
    """A path as ssh reads it: `~`, `%d` and `%u` are this user's."""
    text = text.strip('"').replace("%d", str(Path.home())).replace("%u", getpass.getuser())
    return text if text.lower() == NONE else str(Path(text).expanduser())


def parse_jump(text: str) -> tuple[str, str, int]:
    """User, host and port of `[USER@]HOST[:PORT]` or `ssh://[USER@]HOST[:PORT]`; not given: empty, 0.

    :raises ValueError: it is neither.
    """
    where = r"(?:\[(?P<six>[^\]]+)\]|(?P<host>[^:@/\[\]]+))(?::(?P<port>[0-9]{1,5}))?"
    match = re.fullmatch(rf"(?:ssh://)?(?:(?P<user>[^@/]+)@)?{where}/?", text)
    if not match:
        raise ValueError(f"ProxyJump {text}")
    return match["user"] or "", match["six"] or match["host"], int(match["port"] or 0)
