"""The published files of one architecture: downloaded, compared with their published checksums, unpacked.

What was downloaded lies in the image store's directory of downloads, by its checksum: it is not downloaded again as
long as it lies there (a week, or until `sealer prune`), and what was cut off goes on.
"""

from __future__ import annotations

import hashlib
import re
import urllib.parse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sealer.errors import BuildError, ImageError, LockHeldError
from sealer.image.download import Limits, download
from sealer.image.downloads import PARTIAL, Downloads
from sealer.image.storage import storage_errors
from sealer.image.tarstream import CHUNK, Kind, gunzip, members
from sealer_plugin_kubeadm.base.versions import Versions, downloads

LARGEST_SUMS = 1024 * 1024  # bytes
_SUM = re.compile(
    r"^(?:SHA256 \((?P<bsd>[^)]+)\) = )?(?P<sum>[0-9a-f]{64})(?:[ \t]+\*?(?:\./)?(?P<name>\S+))?[ \t\r]*$", re.M
)


@dataclass(frozen=True)
class Release:
    """A published file.

    :param sums: URL of its checksums.
    :param programs: the members of the archive that are taken; none: the file is the program called `name`.
    :param into: directory of the rootfs, `bin` or `cni`.
    """

    name: str
    url: str
    sums: str
    programs: tuple[str, ...] = ()
    into: str = "bin"


def releases(versions: Versions, architecture: str, mirror: str = "") -> list[Release]:
    """What is to be downloaded for one architecture.

    :param mirror: URL below which each host's files lie under its name; empty: the hosts themselves.
    """
    found = []
    for entry in downloads():
        name = entry["name"]
        words = {"tag": versions.kubernetes, "version": versions.parts.get(name, ""), "arch": architecture}
        url, sums = (mirrored(str(entry[key]).format(**words), mirror) for key in ("url", "sums"))
        found.append(Release(name, url, sums, tuple(entry.get("programs", ())), entry.get("into", "bin")))
    return found


def mirrored(url: str, mirror: str) -> str:
    """`https://dl.k8s.io/x` below a mirror is `<mirror>/dl.k8s.io/x`."""
    return f"{mirror.rstrip('/')}/{url.removeprefix('https://')}" if mirror else url


class Fetcher:
    """Gets published files.

    :param directory: of downloads.
    :param scratch: an empty directory for checksums.
    """

    def __init__(self, directory: Path, scratch: Path, limits: Limits | None = None) -> None:
        self._downloads = Downloads(directory)
        self._scratch = scratch
        self._limits = limits or Limits()

    def fetch(self, release: Release, told: Callable[[int, int], None] = lambda done, total: None) -> tuple[Path, bool]:
        """The file, its checksum right; and whether it was there already.

        :param told: is called with the bytes that are there, and how many there will be.
        :raises BuildError: it cannot be downloaded.
        :raises ImageError: it is not what its checksum says.
        :raises LockHeldError: another process downloads it.
        """
        try:
            wanted = self._published_sum(release)
        except BuildError as error:
            raise _offline(error) from error
        known = self._downloads.directory / wanted
        if known.is_file() and _digest(known) == wanted:
            return known, True
        with self._downloads.partial(wanted) as file:
            if file is None:
                raise LockHeldError(f"{release.url} is being downloaded by another process", remedy="wait for that one")
            partial = known.with_name(wanted + PARTIAL)
            if _digest(partial) != wanted:
                got = download(release.url, partial, self._limits, resume=True, told=told).removeprefix("sha256:")
                if got != wanted:
                    self._downloads.drop(wanted)
                    raise ImageError(
                        f"{release.url} is not what it should be",
                        why=f"its checksum is {got}, and {release.sums} says {wanted}",
                        remedy="run the same command again; if it stays so, somebody changed one of the two",
                    )
            return self._downloads.complete(wanted, file), False

    def _published_sum(self, release: Release) -> str:
        target = self._scratch / "sums"
        download(release.sums, target, Limits(size=LARGEST_SUMS, seconds=120, pause=self._limits.pause))
        text = target.read_text(encoding="utf-8", errors="replace")
        file_name = urllib.parse.urlsplit(release.url).path.rpartition("/")[2]
        found = checksum(text, file_name)
        if not found:
            raise ImageError(f"{release.sums} has no checksum of {file_name}", remedy="is the version right?")
        return found


def _offline(error: BuildError) -> BuildError:
    """The same error, with what helps where there is no way to the publishers: one that answers is no matter of it."""
    if "the server answered" in error.why:
        return error
    return BuildError(
        error.what,
        where=error.where,
        why=error.why,
        remedy="without internet, give the programs with --from DIRECTORY (bin/, cni/, images/), or name a mirror of "
        "the publishers with --mirror URL",
    )


def checksum(text: str, file_name: str) -> str:
    """The SHA-256 of a file in a list of checksums, signed or not; a checksum alone is that of the only file."""
    lines = [(match["name"] or match["bsd"] or "", match["sum"]) for match in _SUM.finditer(text)]
    named = [digest for name, digest in lines if name.rpartition("/")[2] == file_name]
    alone = [digest for name, digest in lines if not name] if len(lines) == 1 else []
    return next(iter([*named, *alone]), "")


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with storage_errors("a download cannot be read", path), path.open("rb") as file:
        while data := file.read(CHUNK):
            digest.update(data)
    return digest.hexdigest()


def unpack(release: Release, file: Path, target: Path) -> Sequence[Path]:
    """Put the programs of a downloaded file into a directory.

    :raises ImageError: the archive is damaged, or lacks a program.
    """
    if not release.programs:
        return [_write(target / release.name, file)]
    found = {}
    with gunzip(file) as stream:
        for member, content in members(stream):
            name = member.path.rpartition("/")[2]
            if member.kind is Kind.FILE and name in release.programs:
                place = target / name
                with storage_errors("a program could not be written", place), place.open("wb") as program:
                    program.writelines(content.chunks())
                place.chmod(0o755)
                found[name] = place
    if not found or (release.into == "bin" and len(found) < len(release.programs)):
        missing = ", ".join(sorted(set(release.programs) - set(found)))
        raise ImageError(f"{release.url} lacks {missing}", remedy=f"try another version of {release.name}")
    return list(found.values())


def _write(place: Path, source: Path) -> Path:
    with (
        storage_errors("a program could not be written", place),
        source.open("rb") as file,
        place.open("wb") as program,
    ):
        while data := file.read(CHUNK):
            program.write(data)
    place.chmod(0o755)
    return place
