"""Constraints on the version of Kubernetes, as helm charts write them.

`>= 1.19.8, < 1.31`, `^1.22`, `~1.28.3`, `1.19.x`, `1.19 - 1.21`, alternatives joined by `||`.
https://github.com/Masterminds/semver#checking-version-constraints
"""

from __future__ import annotations

import re

_NUMBER = r"(?:0|[1-9]\d{0,8}|[xX*])"
_PARTS = rf"v?{_NUMBER}(?:\.{_NUMBER}){{0,2}}"
_VERSION = rf"{_PARTS}(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
_RANGE = re.compile(rf"{_VERSION}\s+-\s+{_VERSION}")
_TERM = re.compile(rf"(?:=|==|!=|>|<|>=|=>|<=|=<|~|~>|\^)?\s*{_VERSION}")
# A comma or blanks join terms; a blank after an operator belongs to its term.
_JOINT = re.compile(r"\s*,\s*|(?<![=<>~^!,\s])\s+")


def wrong_constraint(text: str) -> str:
    """What is wrong with a constraint; empty if nothing is."""
    for alternative in text.split("||"):
        part = alternative.strip()
        if not part:
            return f"'{text}' is no constraint: a version is missing"
        if _RANGE.fullmatch(part):
            continue
        for term in _JOINT.split(part):
            if not _TERM.fullmatch(term):
                return f"'{text}' is no constraint such as '>= 1.19.8, < 1.31': '{term}' is not understood"
    return ""
