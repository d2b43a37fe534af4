"""Headers that programs read differently are refused, by the member's name; what real programs write is read."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from typing import Literal

import pytest
from tar_mutants import GNU, USTAR, V7, Piece, piece, record

from sealer.errors import ImageError
from sealer.image.tarstream import BLOCK, Kind, Member, members

FILE = piece(b"dir/it", data=b"x")
LINK = piece(b"dir/it", b"2", link=b"there")
LONG = piece(b"././@LongLink", b"L", b"dir/it\0", magic=GNU)
TARGET = piece(b"././@LongLink", b"K", b"there\0", magic=GNU)


def pax(*records: tuple[bytes, bytes], kind: bytes = b"x") -> Piece:
    return piece(b"headers", kind, b"".join(record(key, value) for key, value in records))


def raw(data: bytes) -> Piece:
    return piece(b"headers", b"x", data)


def read(*pieces: Piece) -> list[Member]:
    archive = b"".join(one.written() for one in pieces) + bytes(2 * BLOCK)
    return [member for member, _ in members(io.BytesIO(archive))]


REFUSED: dict[str, tuple[list[Piece], str]] = {
    "a size behind a NUL": ([FILE.with_field("size", b"\0" + b"0000000001\0")], "size"),
    "a size of NULs": ([FILE.with_field("size", b"")], "size"),
    "a small size in binary": ([FILE.with_field("size", b"\x80" + bytes(10) + b"\1")], "size"),
    "a negative size": ([FILE.with_field("size", b"\xff" * 12)], "size"),
    "a size with something behind it": ([FILE.with_field("size", b"00000000001x")], "size"),
    "a size that begins with a tab": ([FILE.with_field("size", b"\t0000000001\0")], "size"),
    "a signed mode": ([FILE.with_field("mode", b"-000001\0")], "mode"),
    "a mode in base 64": ([FILE.with_field("mode", b"+000644\0")], "mode"),
    "blanks for a user": ([FILE.with_field("uid", b"        ")], "user"),
    "a user that is too large": ([FILE.with_field("gid", b"\x80\0\0\1\0\0\0\0")], "group"),
    "a time that no clock shows": ([FILE.with_field("mtime", b"\x80" + b"\x7f" * 11)], "time"),
    "a NUL within a name": ([FILE.with_field("name", b"dir/it\0x")], "its name has a NUL"),
    "a NUL within a prefix": ([FILE.with_field("prefix", b"a\0b")], "its name has a NUL"),
    "a NUL within a link target": ([LINK.with_field("linkname", b"..\0x")], "its link target has a NUL"),
    "a name in another encoding": ([FILE.with_field("name", b"dir/it\xe9")], "no UTF-8"),
    "a link target in another encoding": ([LINK.with_field("linkname", b"\xe9")], "no UTF-8"),
    "a name of two meanings": ([piece(b"dir/it/", b"7")], "a file by its type"),
    "no name": ([FILE.with_field("name", b"")], "empty"),
    "a component that is too long": ([pax((b"path", b"n" * 256)), FILE], "no file system"),
    "a global path": ([pax((b"path", b"a"), kind=b"g"), FILE], "global pax header"),
    "a global size": ([pax((b"comment", b"a"), (b"size", b"0"), kind=b"g"), FILE], "global pax header"),
    "a global header between": ([pax((b"path", b"dir/it")), pax((b"comment", b""), kind=b"g"), FILE], "stands between"),
    "two pax headers": ([pax((b"path", b"dir/it")), pax((b"mtime", b"1")), FILE], "two extended headers"),
    "two long names": ([LONG, LONG, FILE], "two extended headers"),
    "pax before GNU": ([pax((b"mtime", b"1")), TARGET, LINK], "both"),
    "GNU before pax": ([LONG, pax((b"mtime", b"1")), FILE], "both"),
    "a record twice": ([pax((b"path", b"a"), (b"path", b"b")), FILE], "twice"),
    "an empty path": ([pax((b"path", b"")), FILE], "path"),
    "an empty link target": ([pax((b"linkpath", b"")), LINK], "linkpath"),
    "a NUL in a path": ([pax((b"path", b"a\0b")), FILE], "NUL"),
    "a NUL in a link target": ([pax((b"linkpath", b"..\0")), LINK], "NUL"),
    "a path in another encoding": ([pax((b"path", b"\xe9")), FILE], "no UTF-8"),
    "digits of another script": ([pax((b"size", b"\xd9\xa1")), FILE], "size"),
    "a size with zeros before it": ([pax((b"size", b"01")), FILE], "size"),
    "two sizes": ([pax((b"size", b"2")), FILE], "in another"),
    "a user below nothing": ([pax((b"uid", b"-2")), FILE], "uid"),
    "a time that is none": ([pax((b"mtime", b"now")), FILE], "mtime"),
    "a key behind a blank": ([pax((b" path", b"a")), FILE], "malformed"),
    "no key": ([raw(b"7 =abc\n"), FILE], "malformed"),
    "no line end": ([raw(b"9 path=a "), FILE], "malformed"),
    "a length with zeros before it": ([raw(b"010 path=a\n"), FILE], "malformed"),
    "a length that is too large": ([raw(b"99 path=a\n"), FILE], "malformed"),
    "something behind the records": ([raw(record(b"path", b"a") + b"\0"), FILE], "malformed"),
    "a long name without an end": ([piece(b"././@LongLink", b"L", b"dir/it", magic=GNU), FILE], "NUL"),
    "a long name with two ends": ([piece(b"././@LongLink", b"L", b"dir/it\0x\0", magic=GNU), FILE], "NUL"),
    "an empty long name": ([piece(b"././@LongLink", b"L", b"\0", magic=GNU), FILE], "empty"),
    "a format that nobody knows": ([FILE.with_field("magic", b"USTAR\0")], "no format"),
    "a prefix where GNU has times": ([piece(b"dir/it", magic=GNU).with_field("prefix", b"up")], "time"),
    "something behind the prefix": ([FILE.with_field("pad", b"\0\0tar\0")], "no format"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_programs_read_differently_is_refused(name: str) -> None:
    pieces, why = REFUSED[name]
    with pytest.raises(ImageError, match=why) as caught:
        read(*pieces)
    own = pieces[-1].header[:100].partition(b"\0")[0].decode(errors="replace")
    assert own.startswith("dir/it") == caught.value.where.startswith(("dir/it", "a\\x00", "n" * 100)) or not own


READ: dict[str, tuple[list[Piece], Member]] = {
    "V7": ([piece(b"f", b"\0", b"x", magic=V7).with_field("mode", b"100644 \0")], Member("f", Kind.FILE, 0o644, 1)),
    "a directory of V7": ([piece(b"d/", b"\0", magic=V7)], Member("d", Kind.DIRECTORY, 0o644)),
    "blanks before numbers": ([FILE.with_field("size", b"          1 ")], Member("dir/it", Kind.FILE, 0o644, 1)),
    "a large user": ([FILE.with_field("uid", b"\x80\0\0\0\x7f\0\0\0")], Member("dir/it", Kind.FILE, 0o644, 1)),
    "a time before 1970": ([FILE.with_field("mtime", b"\xff" * 11 + b"\0")], Member("dir/it", Kind.FILE, 0o644, 1)),
    "nobody": ([FILE.with_field("uid", b"").with_field("mtime", b"")], Member("dir/it", Kind.FILE, 0o644, 1)),
    "GNU's long names": (
        [TARGET, LONG, piece(b"cut", b"2", magic=GNU)],
        Member("dir/it", Kind.SYMLINK, 0o644, 0, "there"),
    ),
    "a name cut within a letter": (
        [pax((b"path", "d/é".encode())), piece(b"d/\xc3")],
        Member("d/é", Kind.FILE, 0o644),
    ),
    "binary attributes": (
        [pax((b"SCHILY.xattr.security.capability", b"\1\0\0\2\0"), (b"mtime", b"1.5")), FILE],
        Member("dir/it", Kind.FILE, 0o644, 1),
    ),
    "what git archive writes": (
        [pax((b"comment", b"5" * 40), kind=b"g"), piece(b"dir/it", magic=USTAR)],
        Member("dir/it", Kind.FILE, 0o644),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_what_real_programs_write_is_read(name: str) -> None:
    pieces, member = READ[name]
    assert read(*pieces) == [member]


def large(tar_format: Literal[1, 2]) -> bytes:
    info = tarfile.TarInfo("big")
    info.size = 9 * 1024**3
    return info.tobuf(tar_format)


@pytest.mark.parametrize("tar_format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_sizes_that_octal_digits_cannot_say(tar_format: Literal[1, 2]) -> None:
    member, _ = next(members(io.BytesIO(large(tar_format))))
    assert member == Member("big", Kind.FILE, 0o644, 9 * 1024**3)


def test_an_extended_header_without_a_member() -> None:
    with pytest.raises(ImageError, match="without a member"):
        read(pax((b"path", b"a")))


def test_a_checksum_of_another_form() -> None:
    forms: list[Callable[[int], bytes]] = [lambda n: b"\0%06o " % n, lambda n: b"%07d\0" % n]
    for form in forms:
        header = bytearray(FILE.written()[:BLOCK])
        header[148:156] = form(sum(header) - sum(header[148:156]) + 8 * 32)
        with pytest.raises(ImageError, match="checksum"):
            next(members(io.BytesIO(bytes(header) + bytes(3 * BLOCK))))
