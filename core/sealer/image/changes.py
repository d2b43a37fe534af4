"""What a RUN changed: the difference between the rootfs before and after, as entries of a layer.

An overlay's upper directory says where to look; without one, both trees are compared as a whole. Either way only the
difference counts, so both give the same layer: a file that was rewritten as it was is no change, and a directory that
was removed and made again is described by what is missing from it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sealer.errors import ImageError
from sealer.image.layer import Entry, Scanner, check_depth, order, whiteout
from sealer.image.links import stays_inside
from sealer.image.storage import shown, storage_errors
from sealer.image.tarstream import CHUNK, Kind

_OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque")


@dataclass(frozen=True)
class Change:
    """A path that may have changed.

    :param gone: it was there before and is no more.
    :param new: it was not there before, so there is nothing to compare it with.
    """

    path: str
    gone: bool = False
    new: bool = False


def overlay_changes(before: Path, upper: Path) -> Iterator[Change]:
    """What an overlay's upper directory holds."""
    yield from _upper(before, upper, "", opaque=False)


def tree_changes(before: Path, after: Path) -> Iterator[Change]:
    """All paths of two whole trees. Nothing is said about what a gone directory held."""
    yield from _both(before, after, "")


def layer_entries(before: Path, after: Path, changes: Iterable[Change], top: Path) -> list[Entry]:
    """The entries of the layer that leads from one tree to the other, in order.

    :param after: where the new files are (the upper directory of an overlay, or the whole new tree).
    :param top: the rootfs's name while the command ran: links that are absolute and below it are made relative.
    :raises ImageError: a link leads out of the rootfs, or there is a device.
    """
    scanner = Scanner()
    entries: list[Entry] = []
    for change in sorted(changes, key=lambda change: order(change.path)):
        if change.gone:
            entries.append(whiteout(change.path))
            continue
        source = after / change.path
        if not change.new and _same(before / change.path, source):
            continue
        entry = scanner.entry(source, change.path)
        if entry is not None:
            entries.append(contained(entry, top))
    return entries


def contained(entry: Entry, top: Path) -> Entry:
    """The entry with a link that stays in the rootfs.

    An absolute target means the rootfs's root, as it does in the packages that are unpacked into one.

    :raises ImageError: the link climbs out.
    """
    if entry.kind is not Kind.SYMLINK:
        return entry
    target = entry.link
    if target == str(top) or target.startswith(f"{top}/"):
        target = target[len(str(top)) :] or "/"
    if target.startswith("/"):
        target = os.path.relpath(target, f"/{entry.path.rpartition('/')[0]}")
    if not stays_inside(entry.path, target):
        raise ImageError(
            "a link leads out of the rootfs",
            where=shown(entry.path),
            why=f"to {shown(entry.link)}",
            remedy="make it relative, or remove it",
        )
    return Entry(entry.path, entry.kind, entry.mode, link=target)


def _upper(before: Path | None, upper: Path, prefix: str, *, opaque: bool) -> Iterator[Change]:
    """`before` is the lower layers' directory of the same name, or None if they have none."""
    check_depth(prefix)
    lower = _kinds(before)
    names = _kinds(upper)
    for name, status in names.items():
        path = f"{prefix}{name}"
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
            if name in lower:
                yield Change(path, gone=True)
            continue
        yield Change(path, new=name not in lower)
        if stat.S_ISDIR(status.st_mode):
            yield from _upper(_below(before, lower, name), upper / name, f"{path}/", opaque=_is_opaque(upper / name))
    if opaque:
        yield from (Change(f"{prefix}{name}", gone=True) for name in lower if name not in names)


def _both(before: Path | None, after: Path, prefix: str) -> Iterator[Change]:
    check_depth(prefix)
    lower = _kinds(before)
    names = _kinds(after)
    yield from (Change(f"{prefix}{name}", gone=True) for name in lower if name not in names)
    for name, status in names.items():
        yield Change(f"{prefix}{name}", new=name not in lower)
        if stat.S_ISDIR(status.st_mode):
            yield from _both(_below(before, lower, name), after / name, f"{prefix}{name}/")


def _kinds(directory: Path | None) -> dict[str, os.stat_result]:
    if directory is None:
        return {}
    with storage_errors("a directory could not be read", directory), os.scandir(directory) as entries:
        return {entry.name: entry.stat(follow_symlinks=False) for entry in entries}


def _below(before: Path | None, lower: dict[str, os.stat_result], name: str) -> Path | None:
    status = lower.get(name)
    return before / name if before and status and stat.S_ISDIR(status.st_mode) else None


def _is_opaque(directory: Path) -> bool:
    for name in _OPAQUE:
        try:
            if os.getxattr(directory, name, follow_symlinks=False) == b"y":
                return True
        except OSError:
            continue
    return False


def _same(before: Path, after: Path) -> bool:
    old, new = before.lstat(), after.lstat()
    if stat.S_IFMT(old.st_mode) != stat.S_IFMT(new.st_mode):
        return False
    if stat.S_ISLNK(new.st_mode):
        return before.readlink() == after.readlink()
    if stat.S_IMODE(old.st_mode) != stat.S_IMODE(new.st_mode):
        return False
    if stat.S_ISREG(new.st_mode):
        return old.st_size == new.st_size and _same_content(before, after)
    return stat.S_ISDIR(new.st_mode)


def _same_content(before: Path, after: Path) -> bool:
    with storage_errors("a file could not be compared", after), before.open("rb") as old, after.open("rb") as new:
        while chunk := old.read(CHUNK):
            if chunk != new.read(CHUNK):
                return False
    return True
