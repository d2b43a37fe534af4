"""Members of a tar, from their headers: what each of them is, where all programs agree about that."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from sealer.errors import ImageError
from sealer.image import tarfields as fields
from sealer.image.tarfields import FieldError

BLOCK = 512
LONGEST_PATH = 4096  # bytes, with the NUL behind it
LONGEST_NAME = 255
DEEPEST = 200


class Kind(enum.StrEnum):
    """What a member is."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    HARDLINK = "hardlink"


_KINDS = {
    b"0": Kind.FILE,
    b"\0": Kind.FILE,
    b"7": Kind.FILE,
    b"1": Kind.HARDLINK,
    b"2": Kind.SYMLINK,
    b"5": Kind.DIRECTORY,
}
EXTENSIONS = (b"x", b"g", b"L", b"K")
_REFUSED = {
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a named pipe",
    b"S": "a GNU sparse file",
    b"M": "part of a multi-volume archive",
    b"V": "a volume label",
}


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a tar.

    :param path: relative, without `.` and `..`; empty for the root itself.
    :param mode: permission bits.
    :param size: bytes of content; 0 for all but files.
    :param link: target of a symlink as written, or path of what a hard link links to.
    """

    path: str
    kind: Kind
    mode: int
    size: int = 0
    link: str = ""


class RefusedMemberError(ImageError):
    """A member that no layer may hold."""


class Extended:
    """What the headers before a member's own say about it: GNU's, or one of pax, but never both."""

    def __init__(self) -> None:
        self.kinds = b""
        self.path = ""
        self.linkpath = ""
        self.size: int | None = None
        self.fault = ""

    def add(self, kind: bytes, raw: bytes) -> None:
        """Take over what one of them says; what is wrong with it is kept, and told of the member."""
        try:
            self._add(kind, raw)
        except FieldError as error:
            self.fault = self.fault or str(error)

    def _add(self, kind: bytes, raw: bytes) -> None:
        records = _records(kind, raw)
        if kind == b"g":
            told = sorted(set(records) - {"comment"})
            if told:
                raise FieldError(f"a global pax header before it sets {told[0][:60]!a} for all that follows")
            if self.kinds:
                raise FieldError("a global pax header stands between it and its own extended header")
            return
        if kind in self.kinds:
            raise FieldError("it has two extended headers of one kind")
        self.kinds += kind
        self.path = records.get("path", self.path)
        self.linkpath = records.get("linkpath", self.linkpath)
        self.size = int(records["size"]) if "size" in records else None
        if b"x" in self.kinds and len(self.kinds) > 1:
            raise FieldError("it has both a pax header and one of GNU's")


def _records(kind: bytes, raw: bytes) -> dict[str, str]:
    if kind == b"L":
        return {"path": fields.long_name(raw, "name")}
    if kind == b"K":
        return {"linkpath": fields.long_name(raw, "link target")}
    return fields.pax(raw)


def read_member(header: bytes, kind: bytes, extended: Extended) -> Member:
    """The member that a header is of, with what stood before it.

    :raises FieldError: programs could read it differently.
    :raises ImageError: no layer may hold it.
    """
    if extended.fault:
        raise FieldError(extended.fault)
    name = _name(header, extended.path)
    if kind in _REFUSED:
        raise refused(name, _REFUSED[kind])
    if kind not in _KINDS:
        raise refused(name, f"a member of the unknown type {kind!r}")
    fields.check_format(header)
    mode, size = fields.mode_and_size(header)
    if extended.size is not None:
        if size not in (0, extended.size, fields.LARGEST_OCTAL):
            raise FieldError(f"its size is {size} in one header and {extended.size} in another")
        size = extended.size
    what = _KINDS[kind]
    if what is Kind.FILE and name.endswith("/"):
        if kind == b"7":
            raise FieldError("it is a file by its type and a directory by its name")
        what = Kind.DIRECTORY
    if what is not Kind.FILE and size:
        raise refused(name, f"a {what} with content")
    path = clean(name, name)
    if not path and what is not Kind.DIRECTORY:
        raise refused(name, "a member without a name")
    return Member(path, what, mode & 0o7777, size, _link(header, what, name, extended.linkpath))


def _name(header: bytes, extended: str) -> str:
    name = fields.terminated(header[:100], "name")
    if header[257:263] == fields.USTAR and (prefix := fields.terminated(header[345:500], "name")):
        name = prefix + b"/" + name
    found = extended or fields.utf8(name, "name")  # else it may be cut within a character
    if not found:
        raise FieldError("its name is empty")
    return found


def _link(header: bytes, kind: Kind, name: str, extended: str) -> str:
    own = fields.terminated(header[157:257], "link target")
    if kind not in (Kind.HARDLINK, Kind.SYMLINK):
        return ""
    link = extended or fields.utf8(own, "link target")
    if kind is Kind.HARDLINK:
        if link.endswith("/"):
            raise refused(name, "a hard link to a directory")
        link = clean(link, name)
    if not link:
        raise refused(name, "a link to nothing")
    if len(link.encode()) >= LONGEST_PATH:
        raise refused(name, "a link target that no file system takes")
    return link


def shown_name(header: bytes) -> str:
    """The name in a header, as far as it can be read; for messages."""
    return header[:100].partition(b"\0")[0].decode("utf-8", "replace")


def clean(path: str, name: str) -> str:
    """A member's path without `.` and doubled slashes.

    :param name: the member to blame.
    :raises ImageError: it is absolute, climbs, or is too long.
    """
    if path.startswith("/"):
        raise refused(name, "an absolute path")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if "\0" in path or (len(path) * 4 > LONGEST_NAME and _too_long(path)):
        raise refused(name, "a path that no file system takes")
    if ".." in parts:
        raise refused(name, "a path with '..'")
    if len(parts) > DEEPEST:
        raise refused(name, f"a path of more than {DEEPEST} names")
    return "/".join(parts)


def _too_long(path: str) -> bool:
    encoded = path.encode("utf-8", "surrogateescape")
    return len(encoded) >= LONGEST_PATH or any(len(part) > LONGEST_NAME for part in encoded.split(b"/"))


def refused(name: str, why: str) -> ImageError:
    """The error for a member that no layer may hold."""
    remedy = "make it again without that, if it is yours; otherwise do not trust it"
    return RefusedMemberError("a layer is refused", where=ascii(name[:200])[1:-1], why=why, remedy=remedy)
