"""Whether a text names a container image, and the one way in which each name is written."""

from __future__ import annotations

import re

from sealer.errors import InputError
from sealer.image.reference import Reference

DOCKER_HUB = "docker.io"
DOCKER_SCHEME = "docker://"
LONGEST = 600  # characters: a name has 255, a tag 128, a digest 71; what is longer is not looked at

_HUB_NAMES = (DOCKER_HUB, "index.docker.io", "registry-1.docker.io")
_OFFICIAL = "library"

# Names of files, of pictures and disks above all: a key that ends in `image` may well mean one of these.
_FILE = re.compile(
    r"\.(?:png|jpe?g|gif|svg|ico|webp|bmp|tiff?|avif|heic|iso|img|qcow2|vmdk|vhdx?|ova|raw|tar|tgz|gz|xz|zst|zip|html?"
    r"|css|js|json|ya?ml|md|txt|pdf|sh|service|conf)(?:[?#].*)?$",
    re.IGNORECASE,
)
# Disks of virtual machines: of Google, Amazon and OpenStack.
_DISK = re.compile(r"projects/.+/global/images/.*|ami-[0-9a-f]{8,17}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NEVER_FIRST = "/.~#%@-<>()[]{}=&*+,;!?|\\'\"`:_"
_NEVER_INSIDE = re.compile(r"[\s*<>\"'`(){}|\\,;!?=&]|://")
_COMPLETE = re.compile(
    r"(?:localhost(?::\d{1,5})?|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}(?::\d{1,5})?"
    r"|[A-Za-z0-9.-]+:\d{1,5})"  # a registry: a name with a dot in it, or with a port
    r"(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)+"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?P<digest>@sha256:[0-9a-f]{64})?"
)
_PORT = re.compile(r"(?:80|443|\d{4,5})")
_REGISTRY = re.compile(r"(?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+):\d{1,5}")


def normalised(text: str) -> str:
    """A reference as every tool understands it: with its registry, and with a tag or digest.

    `nginx` is `docker.io/library/nginx:latest`.

    :raises InputError: it cannot be the name of an image.
    """
    reference = Reference.parse(text.removeprefix(DOCKER_SCHEME))
    domain, path = reference.domain.lower() or DOCKER_HUB, reference.path
    if domain in _HUB_NAMES:
        domain = DOCKER_HUB
        if "/" not in path:
            path = f"{_OFFICIAL}/{path}"
    return str(Reference(domain, path, reference.tag, reference.digest))


def is_valid(text: str) -> bool:
    """Whether it can be the name of an image."""
    try:
        Reference.parse(text.removeprefix(DOCKER_SCHEME))
    except InputError:
        return False
    return True


def is_plausible(text: str) -> bool:
    """Whether a text may be meant as an image where a key suggests one: no address of a page, no file, no sentence."""
    text = text.removeprefix(DOCKER_SCHEME)
    if not text or len(text) > LONGEST:
        return False
    if text[0] in _NEVER_FIRST or _NEVER_INSIDE.search(text) or _FILE.search(text):
        return False
    return not _DISK.fullmatch(text)


def is_specific(text: str) -> bool:
    """Whether it has more than a bare word: a path, a tag or a digest."""
    return any(mark in text for mark in "/:@")


def is_complete(text: str) -> bool:
    """Whether it is a reference and hardly anything else: registry, path, and a tag or digest."""
    if len(text) > LONGEST:
        return False
    match = _COMPLETE.fullmatch(text.removeprefix(DOCKER_SCHEME))
    if not match or not (match["tag"] or match["digest"]) or not is_valid(text):
        return False
    if not match["digest"] and _PORT.fullmatch(match["tag"]):
        return text.startswith(DOCKER_SCHEME)  # `example.com/path:8080` is the address of a service
    return True


def is_registry(text: str) -> bool:
    """Whether it is a registry with its port and nothing else: no image is called `sea.hub:5000`."""
    return bool(_REGISTRY.fullmatch(text))


def has_tag(text: str) -> bool:
    """Whether the name has a tag or a digest."""
    return "@" in text or ":" in text.rpartition("/")[2]
