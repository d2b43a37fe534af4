"""The directory `registry/` in images of the original sealer: container images, as docker-registry keeps them on disk.

https://github.com/distribution/distribution/blob/v2.8.3/registry/storage/paths.go
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sealer.errors import ImageError
from sealer.image.discovery.model import FoundImage, Place
from sealer.image.model import ContainerImage
from sealer.image.oci import INDEX, INDEXES, MANIFEST, Descriptor, decode, digest_of
from sealer.image.reference import DIGEST, Reference
from sealer.image.registry.documents import LARGEST_MANIFEST, Document, choose, document_of
from sealer.image.staging import Staging
from sealer.image.tarstream import Content, Member

DIRECTORY = "registry/docker/registry/v2"
_BLOB = re.compile(rf"{DIRECTORY}/blobs/sha256/[0-9a-f]{{2}}/([0-9a-f]{{64}})/data")
_TAG = re.compile(rf"{DIRECTORY}/repositories/(.+)/_manifests/tags/([^/]+)/current/link")
_REVISION = re.compile(rf"{DIRECTORY}/repositories/(.+)/_manifests/revisions/sha256/([0-9a-f]{{64}})/link")
_LONGEST_LINK = 200  # bytes
HUB = "docker.io"
OFFICIAL = "library/"  # repositories that Docker Hub alone has
OWN_REGISTRY = "sea.hub:5000"  # the name under which the original's clusters serve all of them


@dataclass(frozen=True)
class _Named:
    """What a tag, or a digest without one, leads to."""

    repository: str
    tag: str
    digest: str


class RegistryDirectory:
    """Takes in the files of the directory, then says which container images they are.

    :param staging: gets the blobs.
    """

    def __init__(self, staging: Staging) -> None:
        self._staging = staging
        self._blobs: dict[str, int] = {}
        self._tags: dict[tuple[str, str], str] = {}
        self._revisions: set[tuple[str, str]] = set()

    def take(self, path: str, member: Member, content: Content) -> None:
        """Take in one file.

        :param path: in the rootfs.
        :raises ImageError: a blob has another digest than its name says, or a link leads to none.
        """
        if blob := _BLOB.fullmatch(path):
            digest = f"sha256:{blob[1]}"
            self._blobs[digest] = self._staging.add(content.chunks(), "", digest=digest, size=member.size).size
        elif tag := _TAG.fullmatch(path):
            self._tags[tag[1], tag[2]] = _digest(path, member, content)
        elif revision := _REVISION.fullmatch(path):
            self._revisions.add((revision[1], f"sha256:{revision[2]}"))

    def images(self, platform: str, known: Iterable[FoundImage]) -> tuple[list[ContainerImage], list[str]]:
        """The container images, and in words what of them is not whole.

        :param platform: of the rootfs: its hosts are served these images.
        :param known: names that the image mentions; the directory itself has forgotten the registries.
        """
        names: dict[str, list[tuple[Reference, FoundImage]]] = {}
        for one in known:
            reference = Reference.parse(one.image)
            names.setdefault(reference.path, []).append((reference, one))
        found: dict[str, ContainerImage] = {}
        problems: list[str] = []
        for named in self._named():
            try:
                root, manifest = self._whole(named, platform)
            except ImageError as error:
                problems.append(f"{_own_name(named)}: {error}")
                continue
            for name, places in _names(named, manifest.digest, names.get(named.repository, ())):
                index = root.descriptor if root.is_index and Reference.parse(name).digest == named.digest else None
                found[name] = ContainerImage(name, platform, manifest, index, places)
        return list(found.values()), problems

    def _named(self) -> list[_Named]:
        """Every tag, then every digest that no tag leads to."""
        tags = [_Named(repository, tag, digest) for (repository, tag), digest in sorted(self._tags.items())]
        reached = {(one.repository, digest) for one in tags for digest in (one.digest, *self._parts(one.digest))}
        lonely = sorted(self._revisions - reached)
        reached |= {(repository, part) for repository, digest in lonely for part in self._parts(digest)}
        return tags + [
            _Named(repository, "", digest) for repository, digest in lonely if (repository, digest) not in reached
        ]

    def _parts(self, digest: str) -> list[str]:
        """The manifests of an index."""
        try:
            document = self._document(digest)
            return [part.digest for part in document.children()] if document.is_index else []
        except ImageError:
            return []

    def _whole(self, named: _Named, platform: str) -> tuple[Document, Descriptor]:
        root = manifest = self._document(named.digest)
        if root.is_index:
            here = [part for part in root.children() if part.digest in self._blobs and part.media_type not in INDEXES]
            chosen = choose(here, [platform])
            if not chosen:
                raise ImageError("it is not there for the platform", why=platform)
            manifest = self._document(chosen[0].digest, chosen[0])
        for part in manifest.children():
            if self._blobs.get(part.digest) != part.size:
                raise ImageError("it is not whole", why=f"{part.digest} is missing")
        own = manifest.descriptor
        return root, Descriptor(own.media_type, own.digest, own.size)

    def _document(self, digest: str, expected: Descriptor | None = None) -> Document:
        if digest not in self._blobs:
            raise ImageError("it is not whole", why=f"{digest} is missing")
        if self._blobs[digest] > LARGEST_MANIFEST:
            raise ImageError("a manifest is too large", where=digest)
        content = (self._staging.blobs / digest.removeprefix("sha256:")).read_bytes()
        document = decode(content, digest)
        kind = document.get("mediaType") or (INDEX if "manifests" in document else MANIFEST)
        expected = expected or Descriptor(str(kind), digest_of(content), len(content))
        return document_of(content, expected.media_type, digest, expected)


def _digest(path: str, member: Member, content: Content) -> str:
    text = b"".join(content.chunks()).decode("ascii", "replace").strip() if member.size <= _LONGEST_LINK else ""
    if not DIGEST.fullmatch(text):
        raise ImageError("a link of the registry in the image leads to no digest", where=path)
    return text


def _names(
    named: _Named, manifest: str, known: Sequence[tuple[Reference, FoundImage]]
) -> list[tuple[str, tuple[Place, ...]]]:
    """The full names of an image, each with the places that mention it."""
    found = [
        (one.image, one.found)
        for reference, one in known
        if (reference.digest in (named.digest, manifest) if reference.digest else reference.tag == named.tag)
    ]
    return found or [(_own_name(named), ())]


def _own_name(named: _Named) -> str:
    registry = HUB if named.repository.startswith(OFFICIAL) else OWN_REGISTRY
    return f"{registry}/{named.repository}" + (f":{named.tag}" if named.tag else f"@{named.digest}")
