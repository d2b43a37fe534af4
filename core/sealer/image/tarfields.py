"""The fields of a tar's headers, in the forms that every program reads alike.

A layer is read by sealer, which checks it, and by GNU tar on the hosts, which unpacks it. Wherever the formats leave
room, programs differ: in what a NUL ends, in which of two names counts, in how a number may be written. What real
programs write needs none of that, so that everything else is refused.

Formats: POSIX ustar and pax (https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html), GNU, and V7.
"""

from __future__ import annotations

import re

USTAR, GNU, V7 = b"ustar\0", b"ustar  \0", bytes(8)
LARGEST_OCTAL = 8 * 1024**3 - 1  # what the eleven digits of a size can say
LARGEST_SIZE = 2**62
_LARGEST_OWNER = 2**32 - 2
_LARGEST_TIME = 2**47  # seconds
_OCTAL = re.compile(rb" *([0-7]+)[ \0]*")
_TIDY = re.compile(rb"([0-7]{7})\0[0-7]{7}\0[0-7]{7}\0([0-7]{11})[\0 ][0-7]{11}[\0 ]")  # as nearly all are written
_LENGTH = re.compile(rb"([1-9][0-9]{0,6}) ")
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_TIME = re.compile(r"-?[0-9]{1,14}(?:\.[0-9]*)?", re.ASCII)
_BINARY = "SCHILY.xattr."  # keys whose values are bytes: nobody takes them for a text


class FieldError(ValueError):
    """A field that two programs could read differently; the message says which, and what is wrong."""


def number(field: bytes, what: str) -> int:
    """An octal number, as all programs write it.

    :param what: the field is called, for the error.
    :raises FieldError: it has another form.
    """
    found = _OCTAL.fullmatch(field)
    if found is None:
        raise FieldError(f"its {what} is {field!r}, which programs read differently")
    return int(found[1], 8)


def size(field: bytes) -> int:
    """The size of a member; in GNU's binary form only where octal digits cannot say it.

    :raises FieldError: it has another form.
    """
    if field[0] != 0x80:
        return number(field, "size")
    value = int.from_bytes(field[1:], "big")
    if not LARGEST_OCTAL < value < LARGEST_SIZE:
        raise FieldError(f"its size is {field!r}, which programs read differently")
    return value


def mode_and_size(header: bytes) -> tuple[int, int]:
    """The mode and the size in a header, whose other numbers are checked.

    :raises FieldError: a number has a form that programs read differently.
    """
    if tidy := _TIDY.fullmatch(header, 100, 148):
        return int(tidy[1], 8), int(tidy[2], 8)
    mode = number(header[100:108], "mode")
    check_owner(header[108:116], "user")
    check_owner(header[116:124], "group")
    check_time(header[136:148])
    return mode, size(header[124:136])


def check_owner(field: bytes, what: str) -> None:
    """Check a user or group, which no reader of ours applies, but which GNU tar fails at.

    :raises FieldError: it is none.
    """
    if field[0] == 0x80 and 0o7777777 < int.from_bytes(field[1:], "big") <= _LARGEST_OWNER:
        return
    _check_unused(field, what)


def check_time(field: bytes, what: str = "time") -> None:
    """The same for a time, which may lie before 1970.

    :raises FieldError: it is none.
    """
    if field[0] in (0x80, 0xFF) and abs(int.from_bytes(field, "big", signed=True) + _sign(field)) < _LARGEST_TIME:
        return
    _check_unused(field, what)


def _sign(field: bytes) -> int:
    return 1 << (8 * len(field) - 1) if field[0] == 0x80 else 0


def _check_unused(field: bytes, what: str) -> None:
    if field.count(0) != len(field):
        number(field, what)


def terminated(field: bytes, what: str) -> bytes:
    """The bytes of a name before the NULs that fill its field.

    :raises FieldError: there is something behind the first NUL.
    """
    name, _, rest = field.partition(b"\0")
    if rest.count(0) != len(rest):
        raise FieldError(f"its {what} has a NUL in it")
    return name


def utf8(name: bytes, what: str) -> str:
    """A name as text.

    :raises FieldError: it is none.
    """
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise FieldError(f"its {what} is no UTF-8") from None


def check_format(header: bytes) -> None:
    """Check that a header is of one of the formats, and has nothing where that format has nothing.

    :raises FieldError: it is not.
    """
    if header[257:265] == GNU:
        check_time(header[345:357], "access time")
        check_time(header[357:369], "change time")
        rest = header[369:]
    elif header[257:263] == USTAR:
        rest = header[500:]
    else:
        rest = header[257:265] + header[345:]
    if rest.count(0) != len(rest):
        raise FieldError("its header is of no format that all programs know")


def long_name(raw: bytes, what: str) -> str:
    """What a GNU header for a long name or link target says.

    :raises FieldError: it says nothing, or has a NUL in it.
    """
    if not raw.endswith(b"\0"):
        raise FieldError(f"its {what} does not end with a NUL")  # GNU tar goes on reading
    name = utf8(terminated(raw, what), what)
    if not name:
        raise FieldError(f"its {what} is empty")
    return name


def pax(raw: bytes) -> dict[str, str]:
    """The records of a pax header.

    :raises FieldError: it is malformed, says a thing twice, or something that programs understand differently.
    """
    found: dict[str, str] = {}
    while raw:
        length = _LENGTH.match(raw)
        end = int(length[1]) if length else 0
        key, equals, value = raw[length.end() if length else 0 : max(0, end - 1)].partition(b"=")
        if not equals or not key or end > len(raw) or raw[end - 1 : end] != b"\n" or key[:1] in b" \t":
            raise FieldError("its pax header is malformed")
        name = utf8(terminated(key, "pax header"), "pax header")
        if name in found:
            raise FieldError(f"its pax header has {name[:60]!a} twice")
        found[name] = value.decode("utf-8", "replace") if name.startswith(_BINARY) else _value(name, value)
        raw = raw[end:]
    return found


def _value(name: str, value: bytes) -> str:
    if b"\0" in value:
        raise FieldError(f"{name[:60]!a} of its pax header has a NUL in it")
    if name.startswith("GNU.sparse.") or name in ("SCHILY.realsize", "SCHILY.filetype"):
        raise FieldError("a GNU sparse file" if name.startswith("GNU.") else "a file of a special type of star")
    if name.startswith("GNU."):
        raise FieldError(f"its pax header has {name[:60]!a}")
    text = utf8(value, f"pax header's {name[:60]!a}")
    if name == "size":
        wrong = not _DECIMAL.fullmatch(text) or int(text) >= LARGEST_SIZE
    elif name in ("uid", "gid"):
        wrong = not _DECIMAL.fullmatch(text) or int(text) > _LARGEST_OWNER
    elif name in ("mtime", "atime", "ctime"):
        wrong = not _TIME.fullmatch(text)
    else:
        wrong = name in ("path", "linkpath") and not text
    if wrong:
        raise FieldError(f"its pax header has {text[:60]!a} for {name}")
    return text
