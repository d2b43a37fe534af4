"""From a name as a user writes it to a place in a registry: short names are completed."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass

from sealer.errors import InputError
from sealer.image.reference import DEFAULT_TAG, Reference

DOCKER_HUB = "docker.io"
DEFAULT_REPOSITORY = "docker.io/sealerio"
CONTAINER_REPOSITORY = "docker.io/library"
_OTHER_NAMES_OF_THE_HUB = ("index.docker.io", "registry-1.docker.io")


@dataclass(frozen=True)
class Place:
    """Where an image is, or will be, in a registry.

    :param registry: `docker.io`, `registry.example.com:5000`.
    :param repository: `library/nginx`.
    :param tag: may be empty where there is a digest.
    :param digest: may be empty.
    """

    registry: str
    repository: str
    tag: str
    digest: str = ""

    @property
    def wanted(self) -> str:
        """What to ask the registry for: the digest, which pins, before the tag."""
        return self.digest or self.tag

    @property
    def name(self) -> str:
        """Registry and repository."""
        return f"{self.registry}/{self.repository}"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.name}{tag}@{self.digest}" if self.digest else f"{self.name}{tag}"


def complete(text: str, default: str = DEFAULT_REPOSITORY) -> Place:
    """Where a cluster image is: `kubernetes:v1` is `docker.io/sealerio/kubernetes:v1`.

    :param default: registry and namespace of short names; a name with a namespace gets the registry alone.
    :raises InputError: it cannot be the name of an image.
    """
    reference = Reference.parse(text)
    domain, _, namespace = default.partition("/")
    path = reference.path
    if not reference.domain and namespace and "/" not in path:
        path = f"{namespace}/{path}"
    domain = reference.domain or domain
    if domain in _OTHER_NAMES_OF_THE_HUB:
        domain = DOCKER_HUB
    if domain == DOCKER_HUB and "/" not in path:
        path = f"library/{path}"
    return Place(domain, path, reference.tag or ("" if reference.digest else DEFAULT_TAG), reference.digest)


def complete_container(text: str) -> Place:
    """Where a container image is: `nginx` is `docker.io/library/nginx:latest`.

    :raises InputError: it cannot be the name of an image.
    """
    return complete(text, CONTAINER_REPOSITORY)


def registry_of(text: str) -> str:
    """The registry that `sealer login` is about: a domain, perhaps written as an address with a path.

    :raises InputError: it cannot be the name of a registry.
    """
    bare = text.removeprefix("https://").removeprefix("http://").rstrip("/")
    host = bare.partition("/")[0]
    try:
        name = Reference.parse(f"{host}/name").domain or Reference.parse(f"{host}:443/name").domain.removesuffix(":443")
    except InputError:
        name = ""
    if not name:
        raise InputError(
            f"'{text}' is not the name of a registry", remedy="write it as registry.example.com or with a port"
        )
    return DOCKER_HUB if name in _OTHER_NAMES_OF_THE_HUB else name


def host_and_port(registry: str) -> tuple[str, int]:
    """Split a domain; the port is 0 where none is written."""
    host, port = registry, ""
    if registry.startswith("["):
        host, _, port = registry[1:].partition("]")
        port = port.removeprefix(":")
    elif ":" in registry:
        host, _, port = registry.partition(":")
    return host, int(port or 0)


def is_loopback(host: str) -> bool:
    """Whether it is this machine, to which no wire leads; in each way that a connection understands (RFC 6761 6.3)."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        try:
            address = ipaddress.IPv4Address(socket.inet_aton(name))  # 127.1, 2130706433
        except (OSError, UnicodeError):
            return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback or address.is_unspecified
