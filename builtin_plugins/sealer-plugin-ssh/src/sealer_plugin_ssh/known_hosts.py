"""Known host keys, by OpenSSH's rules (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""

from __future__ import annotations

import base64
import binascii
import errno
import fcntl
import fnmatch
import hashlib
import hmac
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sealer.errors import HostKeyError, SealerError

SYSTEM_FILE = Path("/etc/ssh/ssh_known_hosts")
STANDARD_PORT = 22
# The types of key that can be asked for; entries of other types say nothing about these.
USABLE = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")


class RecordedKeyError(HostKeyError):
    """The host shows another key than the one recorded of it, and no file that this one is right."""


@dataclass(frozen=True)
class HostKey:
    """A public key as a server shows it.

    :param type: e.g. `ssh-ed25519`.
    :param blob: RFC 4253, section 6.6.
    """

    type: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """As OpenSSH prints it."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")


@dataclass(frozen=True)
class Entry:
    """A line of a known_hosts file."""

    file: Path
    line: int
    marker: str
    patterns: tuple[str, ...]
    key: HostKey

    def named(self, names: Iterable[str]) -> set[str]:
        """Those of `names` that the line names as they are, or hashed; patterns speak of others too."""
        return {
            name
            for name in names
            for pattern in self.patterns
            if pattern == name or (pattern.startswith("|1|") and _matches(pattern, name))
        }

    def matches(self, name: str) -> bool:
        """Whether it speaks of the host called `name`; a `!pattern` that matches decides against it."""
        found = False
        for pattern in self.patterns:
            negated = pattern.startswith("!")
            if _matches(pattern.lstrip("!"), name):
                if negated:
                    return False
                found = True
        return found


def host_name(address: str, port: int) -> str:
    """What known_hosts files call a server."""
    return address if port == STANDARD_PORT else f"[{address}]:{port}"


class KnownHosts:
    """What some files say, and the file that new keys are added to.

    :param own: the file that is written.
    :param others: files that are only read.
    :param accept_new: whether a host that no file knows is believed, once.
    :param names: what else the host is called; what a file says of one of them counts, too.
    """

    def __init__(
        self, own: Path, others: Sequence[Path] = (), *, accept_new: bool = True, names: Sequence[str] = ()
    ) -> None:
        self._own = own
        self._names = tuple(names)
        self._files = (own, *others)
        self._accept_new = accept_new

    def types(self, address: str, port: int) -> list[str]:
        """The key types by which the server is known: the ones to ask it for."""
        return [entry.key.type for entry in self._about(address, port) if not entry.marker]

    def check(self, address: str, port: int, key: HostKey, recorded: str = "") -> None:
        """Believe the key, and remember a new one, or refuse it.

        :param recorded: fingerprint of the key that is recorded of the host elsewhere; empty: none is. Only the file
            that is written tells of a newer one.
        :raises HostKeyError: another key is known, or this one is revoked, or a new host is not to be believed: there
            is an authority for it, or none is.
        """
        with self._locked():
            if recorded and key.fingerprint != recorded and not self._vouched(address, port, key):
                raise RecordedKeyError(
                    "the host's key is not the one recorded of it",
                    where=address,
                    why=f"it shows {key.type} {key.fingerprint}, recorded is {recorded}: another machine may have "
                    "taken its place",
                    remedy=f"if the machine was replaced, `sealer delete -n {address} --force` (-m for a master) "
                    "forgets the host and leaves the new machine alone; if its keys were renewed, compare them with "
                    "its own, then add them: "
                    f"ssh-keyscan -p {port} {address} >> {self._own}",
                )
            if not self._known(address, port, key):
                self._add(host_name(address, port), key)

    def forget(self, address: str, port: int) -> None:
        """Take every line that names the host out of the file that is written, as `ssh-keygen -R` does."""
        names = {host_name(address, port), address}
        with self._locked():
            gone = {entry.line for entry in read(self._own) if not entry.marker and entry.named(names)}
            if not gone:
                return
            lines = self._own.read_text(errors="surrogateescape").splitlines(keepends=True)
            left = "".join(line for number, line in enumerate(lines, 1) if number not in gone)
            temporary = self._own.with_name(f".{self._own.name}.new")
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "w", errors="surrogateescape") as stream:
                stream.write(left)
                stream.flush()
                os.fsync(handle)
            temporary.replace(self._own)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Two connections to one new host must not both be the first.

        :raises SealerError: nothing can be written here.
        """
        try:
            self._own.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with Path(f"{self._own}.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise SealerError(
                "the keys of hosts cannot be recorded",
                where=str(self._own),
                why=error.strerror or str(error),
                remedy="check permissions and free space there, then run the same command again",
            ) from error

    def _vouched(self, address: str, port: int, key: HostKey) -> bool:
        """Whether somebody put this very key into the file that is written."""
        name = host_name(address, port)
        return any(entry.key == key and not entry.marker and entry.matches(name) for entry in read(self._own))

    def _known(self, address: str, port: int, key: HostKey) -> bool:
        names = [host_name(one, port) for one in (address, *self._names)]
        entries = self._about(address, port)
        for entry in entries:
            if entry.marker == "@revoked" and entry.key == key:
                raise HostKeyError(
                    "the host's key is revoked",
                    where=address,
                    why=f"{entry.file}:{entry.line}",
                    remedy="give the host a new key: the old one lets others impersonate it",
                )
        plain = [entry for entry in entries if not entry.marker and entry.key.type in USABLE]
        of_name = [entry for entry in plain if any(map(entry.matches, names))]
        if any(entry.key == key for entry in of_name or plain):
            return True
        if of_name:
            name = next(one for one in names if any(entry.matches(one) for entry in of_name))
            raise _changed(address, name, key, of_name)
        if any(entry.marker == "@cert-authority" and any(map(entry.matches, names)) for entry in entries):
            raise HostKeyError(
                "the host is known by a certificate authority, and sealer cannot check certificates of hosts",
                where=address,
                why=f"it shows {key.type} {key.fingerprint}",
                remedy=f"compare that with the host's own, then add it: ssh-keyscan -p {port} {address} >> {self._own}",
            )
        if not self._accept_new:
            raise HostKeyError(
                "the host's key is not known",
                where=address,
                why=f"it shows {key.type} {key.fingerprint}, and strictHostKeyChecking is yes",
                remedy=f"compare that with the host's own, then add it: ssh-keyscan -p {port} {address} >> {self._own}",
            )
        return False

    def _about(self, address: str, port: int) -> list[Entry]:
        """Entries for the server's name, and for an unusual port those of the plain address: they may confirm a key."""
        names = {name for one in (address, *self._names) for name in (host_name(one, port), one)}
        return [entry for file in self._files for entry in read(file) if any(map(entry.matches, names))]

    def _add(self, name: str, key: HostKey) -> None:
        line = f"{name} {key.type} {base64.b64encode(key.blob).decode()}\n".encode()
        handle = os.open(self._own, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            size = os.fstat(handle).st_size
            if size and os.pread(handle, 1, size - 1) != b"\n":  # somebody's last line, or a crash in the middle of one
                line = b"\n" + line
            if os.write(handle, line) != len(line):
                os.ftruncate(handle, size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(handle)


def read(file: Path) -> list[Entry]:
    """The entries of a file; none if there is no such file. Lines that make no sense are passed over, as ssh does."""
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError:
        return []
    return [entry for number, line in enumerate(lines, 1) if (entry := _parse(file, number, line)) is not None]


def _parse(file: Path, number: int, line: str) -> Entry | None:
    fields = line.split()
    if not fields or fields[0].startswith("#"):
        return None
    marker = fields.pop(0) if fields[0].startswith("@") else ""
    if len(fields) < 3:
        return None
    try:
        blob = base64.b64decode(fields[2], validate=True)
    except binascii.Error:
        return None
    return Entry(file, number, marker, tuple(fields[0].split(",")), HostKey(fields[1], blob))


def _matches(pattern: str, name: str) -> bool:
    if not pattern.startswith("|1|"):
        # fnmatch knows [...] as a set, known_hosts does not.
        return fnmatch.fnmatchcase(name.lower(), pattern.lower().replace("[", "[[]"))
    try:
        salt, digest = (base64.b64decode(part, validate=True) for part in pattern[3:].split("|"))
    except ValueError:
        return False
    return hmac.compare_digest(hmac.new(salt, name.encode(), "sha1").digest(), digest)


def _changed(address: str, name: str, key: HostKey, known: Sequence[Entry]) -> HostKeyError:
    old = next((entry for entry in known if entry.key.type == key.type), known[0])
    return HostKeyError(
        "the host's key has changed",
        where=address,
        why=f"{old.file}:{old.line} knows it by {old.key.type} {old.key.fingerprint}, "
        f"now it shows {key.type} {key.fingerprint}: another machine may have taken its place",
        remedy=f"if the host was reinstalled: ssh-keygen -R '{name}' -f {old.file}",
    )
