"""tar.gz files that are the same bytes whenever, wherever and by whomever they are made."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

LEVEL = 9  # of gzip: these files are made once and carried often


def write(archive: Path, members: Iterable[tuple[str, bytes, int]], moment: int) -> None:
    """Write files into a tar.gz, sorted by name.

    :param members: the name, content and mode of each.
    :param moment: seconds since 1970 that all of them bear.
    """
    partial = archive.with_name(f".{archive.name}.partial")
    with (
        partial.open("wb") as file,
        gzip.GzipFile("", "wb", LEVEL, file, mtime=moment) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, content, mode in sorted(members):
            tar.addfile(_entry(name, len(content), mode, moment), io.BytesIO(content))
    partial.rename(archive)


def rewrite(archive: Path, moment: int) -> None:
    """Write a tar.gz of regular files anew, without what differs each time that it is built."""
    members = []
    with tarfile.open(archive) as tar:
        for entry in tar:
            if entry.isfile():
                content = tar.extractfile(entry)
                assert content
                members.append((entry.name, content.read(), 0o755 if entry.mode & 0o100 else 0o644))
    write(archive, members, moment)


def unpack(archive: Path, target: Path) -> None:
    """Unpack a tar that git made."""
    with tarfile.open(archive) as tar:
        if hasattr(tarfile, "tar_filter"):  # Python 3.11.2 of Debian 12 has none
            tar.extraction_filter = tarfile.tar_filter
        tar.extractall(target)  # noqa: S202  # git made it, of our own files


def _entry(name: str, size: int, mode: int, moment: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = size, mode, moment
    return entry
