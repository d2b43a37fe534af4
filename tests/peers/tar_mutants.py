"""Tars that are nearly right: real ones, changed where formats leave room, with checksums that fit again."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

BLOCK = 512
USTAR, GNU, V7 = b"ustar\x0000", b"ustar  \0", bytes(8)
_FIELDS = {
    "name": (0, 100),
    "mode": (100, 108),
    "uid": (108, 116),
    "gid": (116, 124),
    "size": (124, 136),
    "mtime": (136, 148),
    "type": (156, 157),
    "linkname": (157, 257),
    "magic": (257, 265),
    "uname": (265, 297),
    "devices": (329, 345),
    "prefix": (345, 500),
    "pad": (500, 512),
}
_NAMES = (
    b"a", b"d", b"d/", b"d/a", b"./d/a", b"d//b", b"s", b"s/x", b"t", b"h", b"", b".", b"./", b"/", b"/a", b"../a",
    b"d/../a", b"a\0b", b"\0a", b"a\0\0b", b"d/\xc3\xa9", b"\xff", b"a b", b"a\nb", b"a\\b", b".wh.a", b".wh.d/a",
    b"d/.wh..wh..opq", b"x" * 99, b"d/" + b"y" * 98, b"z" * 100, b"d/" + b"w" * 300, b"a -> b", b" a", b"a/",
)  # fmt: skip
_NUMBERS = (
    b"0000644\0", b"0000755 ", b"   644 \0", b"644\0\0\0\0\0", b"\0000644\0", b"-000001\0", b"+000644\0", b"0004755\0",
    b"0000644x", b"00006449", b"\x80\0\0\0\0\0\1\xa4", b"\xff\xff\xff\xff\xff\xff\xff\xff", b"\0\0\0\0\0\0\0\0",
    b"        ", b"0000000\0", b"0002755\0", b"0001777\0", b"0100644\0", b"0x1a4\0\0\0", b"\t000644\0", b"0000 644",
    b"000644\0 ", b"64\0004\0\0\0\0", b"00000644", b"0777777\0",
)  # fmt: skip
_SIZES = (
    b"00000000000\0", b"00000000000 ", b"           0", b"          0\0", b"\0" + b"0000001000\0", b"00000001000\0",
    b"00000000005\0", b"5\0\0\0\0\0\0\0\0\0\0\0", b"\0" * 12, b" " * 12, b"\x80" + b"\0" * 10 + b"\5", b"-0000000001\0",
    b"\x80" + b"\0" * 10 + b"\0", b"\xff" * 12, b"0000000000\0005", b"00000000000x", b"000000000005", b"77777777777\0",
    b"+0000000005\0", b"0000000005 \0", b"\t0000000005\0", b"5 5\0\0\0\0\0\0\0\0\0",
)  # fmt: skip
_TYPES = b"0\x001257LKxgXAS346VMDN"
_KEYS = (
    b"path", b"linkpath", b"size", b"mtime", b"uid", b"gid", b"uname", b"comment", b"hdrcharset", b"charset", b"atime",
    b"ctime", b"SCHILY.xattr.user.a", b"GNU.sparse.name", b"GNU.volume.label", b"SCHILY.realsize", b" path", b"Path",
    b"path ", b"LIBARCHIVE.creationtime", b"vendor.key",
)  # fmt: skip
_VALUES = (
    *_NAMES, b"0", b"5", b"05", b"512", b"-1", b"1.5", b"1700000000.123456789", b"\xd9\xa5", b"5 ", b" 5", b"+5",
    b"0x5", b"BINARY", b"5\0", b"a=b", b"99999999999999999999", b"4294967295",
)  # fmt: skip


@dataclass(frozen=True)
class Piece:
    """A header with what stands behind it.

    :param right: whether its checksum is made to fit.
    """

    header: bytes
    data: bytes = b""
    right: bool = True

    def with_field(self, name: str, value: bytes) -> Piece:
        """The same with one field changed; what is too short is filled with NULs."""
        start, end = _FIELDS[name]
        value = value[: end - start].ljust(end - start, b"\0")
        return replace(self, header=self.header[:start] + value + self.header[end:])

    def written(self, form: bytes = b"%06o\0 ") -> bytes:
        """Its bytes, with a checksum of that form."""
        header = self.header
        if self.right:
            total = sum(header) - sum(header[148:156]) + 8 * 32
            header = header[:148] + (form % total)[:8].ljust(8, b"\0") + header[156:]
        return header + self.data + bytes(-len(self.data) % BLOCK)


def piece(name: bytes, kind: bytes = b"0", data: bytes = b"", link: bytes = b"", magic: bytes = USTAR) -> Piece:
    """A member, or an extended header, as a tidy program writes it."""
    made = Piece(bytes(BLOCK), data).with_field("name", name).with_field("type", kind).with_field("linkname", link)
    made = made.with_field("mode", b"0000755\0" if kind == b"5" else b"0000644\0")
    made = made.with_field("uid", b"0000000\0").with_field("gid", b"0000000\0").with_field("magic", magic)
    return made.with_field("size", b"%011o\0" % len(data)).with_field("mtime", b"00000000000\0")


def record(key: bytes, value: bytes) -> bytes:
    """A record of a pax header."""
    length = len(key) + len(value) + 3
    while length != len(key) + len(value) + 3 + len(str(length)):
        length = len(key) + len(value) + 3 + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def pieces(archive: bytes) -> list[Piece]:
    """The members and extended headers of a tar that is right."""
    found, at = [], 0
    while at + BLOCK <= len(archive) and archive[at : at + BLOCK] != bytes(BLOCK):
        header = archive[at : at + BLOCK]
        size = int(header[124:136].strip(b"\0 ") or b"0", 8)
        found.append(Piece(header, archive[at + BLOCK : at + BLOCK + size]))
        at += BLOCK + size + -size % BLOCK
    return found


class Mutator:
    """Makes archives that nobody has seen, the same ones for the same seed.

    :param seeds: archives that are right.
    """

    def __init__(self, seeds: list[bytes], seed: int) -> None:
        self._seeds = [pieces(archive) for archive in seeds]
        self._random = random.Random(seed)

    def archive(self) -> bytes:
        """One more."""
        chosen = list(self._random.choice(self._seeds))
        start = self._random.randrange(len(chosen))
        found = chosen[start : start + self._random.randint(1, 6)] if self._random.random() < 0.7 else chosen
        for _ in range(self._random.choice((1, 1, 1, 2, 2, 3, 5))):
            found = self._changed(found) or [piece(b"a")]
        form = b"%06o\0 " if self._random.random() < 0.95 else self._random.choice((b"%07o\0", b"%6o\0 ", b"\0%06o "))
        end = self._random.choice((2, 2, 2, 2, 2, 20, 1, 0)) * BLOCK
        return b"".join(one.written(form) for one in found) + bytes(end)

    def _changed(self, found: list[Piece]) -> list[Piece]:
        at = self._random.randrange(len(found))
        one = found[at]
        change = self._random.randrange(14)
        if change <= 4:
            return [*found[:at], self._field(one), *found[at + 1 :]]
        if change <= 7:
            return [*found[:at], self._extension(), *found[at:]]
        if change == 8:
            other = self._random.randrange(len(found))
            return [*found[:other], one, *found[other:]]
        if change == 9:
            return [*found[:at], *found[at + 1 :]]
        if change == 10 and one.data:
            return [*found[:at], self._data(one), *found[at + 1 :]]
        if change == 11:
            where, bit = self._random.randrange(BLOCK), 1 << self._random.randrange(8)
            header = one.header[:where] + bytes([one.header[where] ^ bit]) + one.header[where + 1 :]
            return [*found[:at], replace(one, header=header, right=self._random.random() < 0.98), *found[at + 1 :]]
        if change == 12:
            made = piece(self._name(), self._random.choice((b"0", b"1", b"2", b"5")), link=self._name())
            return [*found[:at], made.with_field("magic", self._random.choice((USTAR, GNU, V7))), *found[at:]]
        return [*found[:at], Piece(bytes(BLOCK), right=False), *found[at:]] if self._random.random() < 0.1 else found

    def _name(self) -> bytes:
        return self._random.choice(_NAMES)

    def _field(self, one: Piece) -> Piece:
        name = self._random.choice(tuple(_FIELDS))
        if name in ("mode", "uid", "gid"):
            return one.with_field(name, self._random.choice(_NUMBERS))
        if name in ("size", "mtime"):
            return one.with_field(name, self._random.choice(_SIZES))
        if name == "type":
            return one.with_field(name, bytes([self._random.choice(_TYPES)]))
        if name == "magic":
            return one.with_field(
                name, self._random.choice((USTAR, GNU, V7, b"ustar\0\0\0", b"ustar  1", b"tar", b"USTAR\0"))
            )
        if name in ("devices", "pad"):
            return one.with_field(name, self._random.choice((b"", b"0000001\0", b"x", b"\0\0x", b"\0" * 8 + b"tar\0")))
        return one.with_field(name, self._name())

    def _extension(self) -> Piece:
        kind = self._random.choice((b"x", b"x", b"x", b"g", b"L", b"K", b"X"))
        if kind in (b"L", b"K"):
            end = self._random.choice((b"\0", b"\0", b"\0", b"", b"\0\0", b"\0x"))
            return piece(b"././@LongLink", kind, self._name() + end, magic=GNU)
        count = self._random.choice((1, 1, 1, 2, 3))
        data = b"".join(record(self._random.choice(_KEYS), self._random.choice(_VALUES)) for _ in range(count))
        made = piece(b"./PaxHeaders/a", kind, data)
        return self._data(made) if self._random.random() < 0.1 else made

    def _data(self, one: Piece) -> Piece:
        """What an extended header says, or a file has in it, spoiled."""
        if not one.data:
            return one
        where = self._random.randrange(len(one.data))
        put = self._random.choice((b"\0", b" ", b"\n", b"=", b"9", b"0", b"", b"\xff", b"\t"))
        data = one.data[:where] + put + one.data[where + self._random.choice((0, 1)) :]
        return replace(one, data=data).with_field("size", b"%011o\0" % len(data))
