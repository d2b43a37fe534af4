"""The sources of ADD and APP that are not files of the context."""

from __future__ import annotations

import re

from sealer.redaction import HIDDEN

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?=://)")
_LOGIN = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^/\s?#]*@")
_GIT = re.compile(r"(git|ssh|git\+\w+)://|git@|https?://[^?#]*\.git/?(#|$)", re.IGNORECASE)


def scheme(source: str) -> str:
    """`https` of a URL, in lower case; empty for a path."""
    found = _SCHEME.match(source)
    return found[0].lower() if found else ""


def is_remote(source: str) -> bool:
    """Whether it is a URL that is fetched."""
    return scheme(source) in ("http", "https")


def refused(source: str) -> str:
    """Why a source can be no URL of an ADD; empty if it can, or if it is a path."""
    if _GIT.match(source):
        return "a git repository is not fetched: clone it before the build, or with RUN"
    if scheme(source) and not is_remote(source):
        return f"'{scheme(source)}://' is not fetched: only http:// and https:// are"
    return ""


def without_login(text: str) -> str:
    """The text with asterisks for the user and the password of every URL in it."""
    return _LOGIN.sub(rf"\1{HIDDEN}@", text)
