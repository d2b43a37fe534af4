"""Go's notation of texts and numbers, both ways."""

from __future__ import annotations

import re

_ESCAPE = re.compile(r"\\(?:([abfnrtv\\\"])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3}))")
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"'}
_WRITTEN = {sign: "\\" + letter for letter, sign in _SIMPLE.items()}
LARGEST = 2**63 - 1


class LiteralError(ValueError):
    """A literal that Go would refuse."""


def unquoted(literal: str) -> str:
    """The text that a Go string literal, quotes or back-quotes included, stands for.

    :raises LiteralError: an escape is unknown, or the bytes are not UTF-8.
    """
    if literal.startswith("`"):
        return literal[1:-1].replace("\r", "")
    body, result, position = literal[1:-1], bytearray(), 0
    while position < len(body):
        if body[position] != "\\":
            end = body.find("\\", position)
            end = len(body) if end < 0 else end
            result += body[position:end].encode("utf-8", "surrogatepass")
            position = end
            continue
        match = _ESCAPE.match(body, position)
        if not match:
            raise LiteralError(f"the escape '{body[position : position + 2]}' is unknown")
        result += _escaped(match)
        position = match.end()
    try:
        return result.decode()
    except UnicodeDecodeError:
        raise LiteralError("the bytes of this text are not UTF-8") from None


def _escaped(match: re.Match[str]) -> bytes:
    simple, byte, short, long, octal = match.groups()
    if simple:
        return _SIMPLE[simple].encode()
    if byte or octal:
        value = int(byte, 16) if byte else int(octal, 8)
        if value > 0xFF:
            raise LiteralError(f"the escape '{match[0]}' is larger than a byte")
        return bytes([value])
    value = int(short or long, 16)
    if value > 0x10FFFF or 0xD800 <= value <= 0xDFFF:
        raise LiteralError(f"the escape '{match[0]}' is no character")
    return chr(value).encode()


def quoted(text: str) -> str:
    """A text as Go's `%q` writes it."""
    return '"' + "".join(_quoted_sign(sign) for sign in text) + '"'


def _quoted_sign(sign: str) -> str:
    if sign in _WRITTEN:
        return _WRITTEN[sign]
    if sign.isprintable():
        return sign
    code = ord(sign)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def number(literal: str) -> int | float:
    """The number that a Go literal stands for.

    :raises LiteralError: it does not fit into 64 bits, or is no number.
    """
    plain = literal.replace("_", "")
    try:
        if re.search(r"[.eE]", plain) and not re.match(r"[+-]?0[xX]", plain):
            value: int | float = float(plain)
        else:
            value = _whole(plain)
    except ValueError:
        raise LiteralError("this is no number") from None
    if not -LARGEST - 1 <= value <= LARGEST:  # also refuses an infinite float
        raise LiteralError("this number does not fit into 64 bits")
    return value


def _whole(text: str) -> int:
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if len(digits) > 24:  # past 64 bits in every base; int() would take quadratic time over it
        return LARGEST + 1
    if digits[:2] in ("0x", "0X"):
        return sign * int(digits[2:], 16)
    base = 8 if len(digits) > 1 and digits.startswith("0") else 10
    return sign * int(digits, base)
