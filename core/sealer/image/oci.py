"""The documents of the OCI image specification, as far as sealer writes and reads them.

https://github.com/opencontainers/image-spec
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from sealer.documents import load_json
from sealer.errors import ImageError
from sealer.events import Json

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
INDEXES = (INDEX, DOCKER_LIST)
MANIFESTS = (MANIFEST, DOCKER_MANIFEST)
LAYERS = (LAYER, DOCKER_LAYER)

CLUSTER_IMAGE = "application/vnd.sealer.cluster-image.v1"

REF_NAME = "org.opencontainers.image.ref.name"
CREATED = "org.opencontainers.image.created"
CONTAINER_REFERENCE = "io.sealer.image.reference"  # a container image's full original name
CONTAINER_PLATFORM = "io.sealer.image.platform"
SOURCE = "io.sealer.image.source"  # in `index.json`: registry/repository@digest that an image was had from

DEEPEST_INDEX = 3  # an index in an index in an index
LARGEST_DOCUMENT = 16 * 1024 * 1024
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Descriptor:
    """What points at a blob.

    :param size: bytes.
    :param platform: the OCI platform object, as written; empty if there is none.
    """

    media_type: str
    digest: str
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)
    platform: Mapping[str, str] = field(default_factory=dict)
    artifact_type: str = ""

    def as_json(self) -> dict[str, Json]:
        """The object that the specification wants."""
        value: dict[str, Json] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        if self.artifact_type:
            value["artifactType"] = self.artifact_type
        if self.platform:
            value["platform"] = dict(self.platform)
        if self.annotations:
            value["annotations"] = dict(self.annotations)
        return value

    @classmethod
    def from_json(cls, value: Json, where: str) -> Descriptor:
        """Read an object that anyone may have written.

        :raises ImageError: it is no descriptor.
        """
        entry = value if isinstance(value, dict) else {}
        digest, size = entry.get("digest"), entry.get("size")
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            raise ImageError("a descriptor has no usable digest", where=where, why=f"found {digest!r:.80}")
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise ImageError("a descriptor has no usable size", where=where, why=f"found {size!r:.80}")
        return cls(
            media_type=_text(entry.get("mediaType")),
            digest=digest,
            size=size,
            annotations=texts(entry.get("annotations")),
            platform=texts(entry.get("platform")),
            artifact_type=_text(entry.get("artifactType")),
        )


def _text(value: Json | None) -> str:
    return value if isinstance(value, str) else ""


def texts(value: Json | None) -> dict[str, str]:
    """The members of an object that are strings."""
    return {key: text for key, text in value.items() if isinstance(text, str)} if isinstance(value, dict) else {}


def items(value: Json | None) -> list[Json]:
    """The items of a list; of anything else, none."""
    return value if isinstance(value, list) else []


def encode(document: Mapping[str, Json]) -> bytes:
    """The one way a document is written, so that the same content has the same digest."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def decode(content: bytes, where: str) -> dict[str, Json]:
    """Read a JSON object.

    :raises ImageError: it is none.
    """
    try:
        value = load_json(content)
    except ValueError as error:
        raise ImageError("not a JSON document", where=where, why=str(error)) from error
    if not isinstance(value, dict):
        raise ImageError("not a JSON object", where=where)
    return value


def digest_of(content: bytes) -> str:
    """`sha256:<hex>` of some bytes."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def children(media_type: str, document: Mapping[str, Json], where: str) -> Iterator[Descriptor]:
    """What an index or a manifest points at; nothing for any other document."""
    if media_type in INDEXES:
        for entry in items(document.get("manifests")):
            yield Descriptor.from_json(entry, where)
    elif media_type in MANIFESTS:
        if "config" in document:
            yield Descriptor.from_json(document["config"], where)
        for entry in items(document.get("layers")):
            yield Descriptor.from_json(entry, where)


def undated(entry: Descriptor) -> Descriptor:
    """An entry of `index.json` without what is true in one store alone: when the image came, and where from."""
    kept = {key: text for key, text in entry.annotations.items() if key not in (CREATED, SOURCE)}
    return replace(entry, annotations=kept)


def platform_text(platform: Mapping[str, str]) -> str:
    """`linux/arm64/v8` for a platform object."""
    return "/".join(
        part for part in (platform.get("os"), platform.get("architecture"), platform.get("variant")) if part
    )
