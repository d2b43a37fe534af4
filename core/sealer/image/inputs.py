"""What a COPY or ADD takes in: the files of the build context, as the build cache compares them."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from sealer.errors import ImageError
from sealer.events import Json
from sealer.image.cache import DIRECTORY, replace_file
from sealer.image.copy import Context, Made
from sealer.image.layer import FileRead, files_now
from sealer.image.oci import decode, encode, texts
from sealer.image.storage import shown, storage_errors
from sealer.image.tarstream import CHUNK

# Times of a file are of this machine's clock on these; on a server's disk a change may be told with an earlier time.
_LOCAL = frozenset({"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "xfs", "zfs"})
_SECOND = 1_000_000_000  # nanoseconds, as all times here
_TICK = 100_000_000  # more than any other step in which file systems count
_MOST_FILES = 200_000


@dataclass(frozen=True)
class CopyInputs:
    """The sources of one COPY.

    :param structure: digest of all that counts but the content of files: names, kinds, modes, sizes, links.
    :param files: those with content, in the order in which they were found.
    """

    structure: str
    files: tuple[str, ...]

    @classmethod
    def of(cls, context: Context, sources: Sequence[str | Made]) -> CopyInputs:
        """Look at the sources; those that no build context has count elsewhere.

        :raises BuildError: one is not there.
        """
        structure = hashlib.sha256()
        files: list[str] = []
        first: dict[tuple[int, int], int] = {}
        numbers = count()
        for source in context.find_all(sources):
            if isinstance(source, Made):
                continue
            found, path = source
            inner = context.walk(found, path) if found.is_dir() else ()
            for number, (file, name) in zip(numbers, chain([(found, "")], inner)):  # noqa: B905
                with storage_errors("a file could not be read", file):
                    status = file.lstat()
                    link = file.readlink() if stat.S_ISLNK(status.st_mode) else Path()
                row: list[Json] = [status.st_mode, *(os.fsencode(text).hex() for text in (path, name, link))]
                if stat.S_ISREG(status.st_mode):
                    row.append(status.st_size)
                    same = number
                    if status.st_nlink > 1:
                        same = first.setdefault((status.st_dev, status.st_ino), number)
                        row.append(same)
                    if same == number:
                        files.append(os.fspath(file))
                structure.update(json.dumps(row).encode() + b"\n")
        return cls(structure.hexdigest(), tuple(files))


class FileDigests:
    """Digests of files, remembered between builds for those that have not changed since.

    A file counts as unchanged when its size, its times of change (of content, and of anything) and its inode are the
    same. As in git, that is believed only of a file whose last change lay further back than a step of its clock when it
    was read: one that is written again within the same step looks as before. Files on other machines' disks are read
    every time.

    :param root: of the store.
    :param context: the directory that the files lie in.
    """

    def __init__(self, root: Path, context: Path) -> None:
        self._path = root / DIRECTORY / "files" / hashlib.sha256(os.fsencode(context)).hexdigest()
        self._devices = _local_devices()
        self._known: dict[str, str] | None = None
        self._changed = False

    def content(self, files: Sequence[str], seen: Mapping[str, str] | None = None) -> str:
        """One digest for the content of all of them.

        :param seen: digests of some, as they are known otherwise.
        """
        digest = hashlib.sha256()
        for file in files:
            digest.update(((seen or {}).get(file) or self.of(file)).encode())
        return digest.hexdigest()

    def of(self, file: str) -> str:
        """The digest of one file's content."""
        with storage_errors("a file could not be read", file), Path(file).open("rb", buffering=0) as stream:
            begun, status = files_now(), os.fstat(stream.fileno())
            marks, _, remembered = self._load().get(shown(file), "").rpartition(" ")
            if remembered and marks == _marks(status):
                return remembered
            digest = hashlib.sha256()
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
            self.learn(FileRead(file, begun, status, os.fstat(stream.fileno()), digest.hexdigest()))
        return digest.hexdigest()

    def learn(self, read: FileRead) -> None:
        """Remember what was read, if it can be told from what the file may hold later."""
        before = read.before
        changed = before.st_ctime_ns  # that of the content, mtime, can be set to anything
        settled = changed + (_TICK if changed % _SECOND else 2 * _SECOND) < read.begun
        if settled and before.st_dev in self._devices and _marks(before) == _marks(read.after):
            self._load()[shown(read.source)] = f"{_marks(before)} {read.digest}"
            self._changed = True

    def save(self) -> None:
        """Write down what was learnt."""
        if self._known is not None and self._changed:
            kept = list(self._known.items())[-_MOST_FILES:]
            replace_file(self._path, encode({"files": dict(kept)}))
            self._changed = False

    def _load(self) -> dict[str, str]:
        if self._known is None:
            try:
                files = decode(self._path.read_bytes(), str(self._path)).get("files")
            except (OSError, ImageError):
                files = None
            self._known = texts(files)
        return self._known


def _marks(status: os.stat_result) -> str:
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino} {status.st_dev}"


def _local_devices() -> frozenset[int]:
    """The devices of file systems whose clock is this machine's; none where the system does not tell."""
    found = set()
    try:
        lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        return frozenset()
    for line in lines:
        fields, _, rest = line.partition(b" - ")
        major, _, minor = fields.split()[2].partition(b":")
        if rest.split()[0].decode() in _LOCAL:
            found.add(os.makedev(int(major), int(minor)))
    return frozenset(found)
