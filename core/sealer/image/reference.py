"""Names of images: `[domain[:port]/]path[:tag][@digest]`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sealer.errors import InputError

DEFAULT_TAG = "latest"
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
SHORT_ID = re.compile(r"(?:sha256:)?[0-9a-f]{4,64}")
LONGEST_NAME = 255
_WHOLE_ID = re.compile(r"[0-9a-f]{64}")

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:.]+\])(?::[0-9]{{1,5}})?")
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True)
class Reference:
    """A parsed name.

    :param domain: with its port; empty for a short name, which means this store before any registry.
    :param path: `ns/dashboard`.
    :param tag: empty where there is a digest and no tag.
    :param digest: `sha256:<hex>`, or empty.
    """

    domain: str
    path: str
    tag: str
    digest: str = ""

    @property
    def name(self) -> str:
        """Domain and path, without tag and digest."""
        return f"{self.domain}/{self.path}" if self.domain else self.path

    @property
    def tagged(self) -> str:
        """The name the local store knows it by: without the digest."""
        return f"{self.name}:{self.tag}" if self.tag else self.name

    def __str__(self) -> str:
        return f"{self.tagged}@{self.digest}" if self.digest else self.tagged

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read a name; without tag and digest it gets the tag `latest`.

        :raises InputError: it cannot be the name of an image.
        """
        rest, digest = _split_digest(text)
        rest, tag = _split_tag(text, rest)
        head, slash, tail = rest.partition("/")
        has_domain = bool(slash) and (
            any(mark in head for mark in ".:[") or head == "localhost" or head.lower() != head
        )
        domain, path = (head, tail) if has_domain else ("", rest)
        if domain and not (_DOMAIN.fullmatch(domain) and _is_address(domain)):
            raise _malformed(text, f"'{domain}' is no registry's name")
        if not _PATH.fullmatch(path):
            lower = path.lower()
            hint = (
                f"names are written in lower case: '{lower}'"
                if _PATH.fullmatch(lower)
                else f"'{path}' is not a valid name"
            )
            raise _malformed(text, hint if path else "the name is missing")
        if len(rest) > LONGEST_NAME:
            raise _malformed(text, f"a name has at most {LONGEST_NAME} characters")
        return cls(domain, path, tag or ("" if digest else DEFAULT_TAG), digest)

    @classmethod
    def to_give(cls, text: str) -> Reference:
        """Read a name that an image is to get.

        :raises InputError: it cannot be the name of an image, or is a digest.
        """
        found = cls.parse(text)
        if found.digest or _WHOLE_ID.fullmatch(text):
            raise InputError(
                f"'{text}' cannot be given to an image as its name",
                why="a digest says what an image is, and not what it is called",
                remedy="give it a name with a tag alone",
            )
        return found


def _is_address(domain: str) -> bool:
    """Whether what stands in brackets, if anything does, is an IPv6 address."""
    if not domain.startswith("["):
        return True
    import socket  # noqa: PLC0415  # for the few names that need it

    try:
        socket.inet_pton(socket.AF_INET6, domain[1:].partition("]")[0])
    except OSError:
        return False
    return True


def _split_digest(text: str) -> tuple[str, str]:
    rest, at, digest = text.partition("@")
    if at and not DIGEST.fullmatch(digest):
        raise _malformed(text, f"'{digest}' is no digest: 'sha256:' and 64 hexadecimal digits are needed")
    return rest, digest


def _split_tag(text: str, rest: str) -> tuple[str, str]:
    head, colon, tag = rest.rpartition(":")
    if not colon or "/" in tag or tag.endswith("]"):
        return rest, ""
    if not _TAG.fullmatch(tag):
        raise _malformed(
            text, f"'{tag}' is not a valid tag: letters, digits, '_', '.' and '-' are allowed, at most 128"
        )
    return head, tag


def _malformed(text: str, why: str) -> InputError:
    return InputError(
        f"'{text}' is not the name of an image", why=why, remedy="write it as [registry[:port]/]name[:tag][@sha256:...]"
    )
