"""What a plain YAML scalar means where its type is open: as Kubernetes' own tools read it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from sealer.events import Json

NULL_WORDS = frozenset({"", "~", "null", "Null", "NULL"})
TRUE_WORDS = frozenset({"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"})
FALSE_WORDS = frozenset({"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"})
_WORDS: Mapping[str, bool | None] = {
    **dict.fromkeys(NULL_WORDS),
    **dict.fromkeys(TRUE_WORDS, True),
    **dict.fromkeys(FALSE_WORDS, False),
}

_BASES = {"0x": 16, "0o": 8, "0b": 2}
_WHOLE = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|0[0-7_]*|[1-9][0-9_]*)\Z")
_FRACTION = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
# Longer ones are no quantity of anything, and CPython refuses to convert them beyond 4300 digits.
_MOST_DIGITS = 300


def resolve(text: str) -> Json:
    """The value of a plain scalar: null, boolean, whole number, fraction, or else the text itself.

    Sexagesimal numbers (`22:22`), dates and infinities stay text: JSON has none of them, and Kubernetes reads them so.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in "+-.0123456789" and len(text) <= _MOST_DIGITS:
        number = _number(text)
        return text if number is None else number
    return text


def _number(text: str) -> int | float | None:
    if _WHOLE.match(text):
        return _whole(text)
    fraction = float(text) if _FRACTION.match(text) else math.nan
    return fraction if math.isfinite(fraction) else None


def _whole(text: str) -> int | None:
    sign, digits = (text[0], text[1:]) if text[0] in "+-" else ("", text)
    digits = digits.replace("_", "")
    base = _BASES.get(digits[:2].lower(), 0)
    if base:
        digits = digits[2:]
    elif len(digits) > 1 and digits[0] == "0":
        base = 8
    return int(sign + digits, base or 10) if digits else None


def changes_when_read(text: str) -> bool:
    """Whether YAML makes a number of `text` that is written differently: 1.20 becomes 1.2, 010 becomes 8."""
    value = resolve(text)
    return isinstance(value, int | float) and not isinstance(value, bool) and str(value) != text
