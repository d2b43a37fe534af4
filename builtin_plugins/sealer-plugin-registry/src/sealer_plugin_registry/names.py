"""Where an image lies in the private registry: below its own domain, so that no two domains can be confused."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from sealer.errors import InputError
from sealer.image.model import ContainerImage
from sealer.image.reference import Reference


def below(domain: str) -> str:
    """The path that images of a domain get: `docker.io`, `registry.example.com_5000`.

    A repository's path takes neither colons nor capitals nor brackets.
    """
    host, bracket, port = domain.rpartition("]")
    if bracket:
        address = ipaddress.IPv6Address(host.removeprefix("["))
        return "ip6." + address.exploded.replace(":", ".") + port.replace(":", "_")
    return domain.lower().replace(":", "_")


def domains(images: Iterable[ContainerImage]) -> tuple[str, ...]:
    """The domains of some images, sorted.

    :raises InputError: two of them would get the same path.
    """
    found = sorted({Reference.parse(image.reference).domain for image in images})
    paths: dict[str, str] = {}
    for domain in found:
        other = paths.setdefault(below(domain), domain)
        if other != domain:
            raise InputError(
                f"the registries '{other}' and '{domain}' would be one in the private registry",
                why=f"both become '{below(domain)}'",
                remedy="name the images by one of them only",
            )
    return tuple(found)


def repository(reference: Reference) -> str:
    """The repository of an image: `docker.io/library/nginx`."""
    return f"{below(reference.domain)}/{reference.path}"


def union(*many: Sequence[str]) -> tuple[str, ...]:
    """All of them once, sorted."""
    return tuple(sorted({one for some in many for one in some}))
