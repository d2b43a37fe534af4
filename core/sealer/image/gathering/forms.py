"""What is in an image archive: the two forms that there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from sealer.documents import load_json
from sealer.errors import ImageError, InputError
from sealer.events import Json
from sealer.image.discovery.names import normalised
from sealer.image.gathering.bundles import Bundle, read
from sealer.image.gathering.layers import stage_layer
from sealer.image.model import ContainerImage
from sealer.image.oci import (
    DOCKER_CONFIG,
    DOCKER_MANIFEST,
    INDEX,
    MANIFEST,
    MANIFESTS,
    REF_NAME,
    Descriptor,
    decode,
    digest_of,
    items,
)
from sealer.image.platforms import config_platform
from sealer.image.reference import Reference
from sealer.image.registry.documents import (
    LARGEST_MANIFEST,
    Document,
    Flattened,
    choose,
    document_of,
    flatten,
    offers,
)
from sealer.image.staging import Staging

CONTAINERD_NAME = "io.containerd.image.name"
DOCKER_ARCHIVE = "docker-archive"
LARGEST_CONFIG = 8 * 1024 * 1024


class Form(Protocol):
    """The images of one archive."""

    @property
    def references(self) -> Iterable[str]:
        """The names of its images, normalised."""
        raise NotImplementedError

    def find(self, reference: Reference, platform: str, staging: Staging) -> ContainerImage | None:
        """Stage an image; None: it is not there.

        :param reference: normalised.
        :raises ImageError: the archive is damaged, or the image is one that cannot be carried.
        """
        raise NotImplementedError


def form_of(bundle: Bundle) -> Form:
    """How to read an archive. One that has both forms, as Docker writes them since 25, is read as OCI.

    :raises ImageError: it has neither.
    """
    if bundle.size("index.json") is not None and bundle.size("oci-layout") is not None:
        return OciForm(bundle)
    if bundle.size("manifest.json") is not None:
        return DockerForm(bundle)
    raise ImageError("not an image archive", why="it has neither index.json and oci-layout nor manifest.json")


class OciForm:
    """An OCI layout: manifests with their own digests."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        document = decode(read(bundle, "index.json") or b"", "index.json")
        self.entries = [Descriptor.from_json(entry, "index.json") for entry in items(document.get("manifests"))]
        self._names: dict[str, Descriptor] = {}
        tags = self._docker_tags()
        for entry in self.entries:
            name = entry.annotations.get(CONTAINERD_NAME) or entry.annotations.get(REF_NAME, "")
            for text in (name, *(tags.get(self._config_digest(entry), ()) if tags else ())):
                if key := _key(text):
                    self._names.setdefault(key, entry)

    @property
    def references(self) -> Iterable[str]:
        """The names of its images."""
        return self._names

    def find(self, reference: Reference, platform: str, staging: Staging) -> ContainerImage | None:
        """An image by its digest, else by its name; byte for byte as the archive has it."""
        root = self._by_digest(reference.digest) if reference.digest else self._root(reference)
        if root is None:
            return None
        manifest = self._manifest(root, platform)
        if manifest is None or not all(self._has(part) for part in manifest.children()):
            return None
        found = self.stage(manifest, staging)
        if not (reference.digest and root.is_index):
            return ContainerImage(str(reference), platform, found)
        inner = tuple(_staged(staging, self.document(part)) for part in self._flat(root).inner)
        return ContainerImage(str(reference), platform, found, _staged(staging, root), inner_indexes=inner)

    def manifests(self, root: Document) -> list[tuple[Document, dict[str, str]]]:
        """The manifests of an image that are here, each with its platform.

        :param root: the document of an entry.
        :raises ImageError: the archive is damaged.
        """
        if not root.is_index:
            own = next((entry.platform for entry in self.entries if entry.digest == root.descriptor.digest), {})
            return [(root, dict(own) or self._platform_of(root.children()[0]))]
        found: dict[str, tuple[Document, dict[str, str]]] = {}
        for part in self._flat(root).manifests:
            if self._has(part) and part.platform.get("os") != "unknown":  # as attestations have it
                found.setdefault(part.digest, self._with_platform(part))
        return list(found.values())

    def stage(self, document: Document, staging: Staging) -> Descriptor:
        """Stage a document, and the config and layers of a manifest.

        :raises ImageError: something is missing or damaged.
        """
        for part in () if document.is_index else document.children():
            staging.add(self.blob(part), "", digest=part.digest, size=part.size)
        return _staged(staging, document)

    def blob(self, part: Descriptor) -> Iterator[bytes]:
        """The bytes of a blob, unverified.

        :raises ImageError: it is not there.
        """
        if not self._has(part):
            raise ImageError("the archive is not complete", where=part.digest, why="this blob is missing")
        return self._bundle.chunks(_path(part.digest))

    def _with_platform(self, part: Descriptor) -> tuple[Document, dict[str, str]]:
        """A manifest of an index, and what it is for: where the index does not say, its config does."""
        document = self.document(part)
        return document, dict(part.platform) or self._platform_of(document.children()[0])

    def _docker_tags(self) -> dict[str, Sequence[str]]:
        """Names by the digest of the config, as a `manifest.json` beside the index has them."""
        content = read(self._bundle, "manifest.json")
        found: dict[str, Sequence[str]] = {}
        for entry in _docker_entries(content) if content else ():
            config = str(entry.get("Config", "")).removeprefix("blobs/sha256/").removesuffix(".json")
            found[f"sha256:{config}"] = names_of(entry)
        return found

    def _config_digest(self, entry: Descriptor) -> str:
        if entry.media_type not in MANIFESTS or not self._has(entry):
            return ""
        return self.document(entry).children()[0].digest

    def _root(self, reference: Reference) -> Document | None:
        entry = self._names.get(reference.tagged)
        return self.document(entry) if entry and self._has(entry) else None

    def _by_digest(self, digest: str) -> Document | None:
        """A digest that is only somewhere below the entries will do, too."""
        size = self._bundle.size(_path(digest))
        if size is None or size > LARGEST_MANIFEST:
            return None
        known = next((entry.media_type for entry in self.entries if entry.digest == digest), "")
        content = read(self._bundle, _path(digest)) or b""
        document = decode(content, digest)
        kind = document.get("mediaType") or known or (INDEX if "manifests" in document else MANIFEST)
        return document_of(content, str(kind), digest, Descriptor(str(kind), digest, size))

    def _manifest(self, root: Document, platform: str) -> Document | None:
        if not root.is_index:
            own = next((entry.platform for entry in self.entries if entry.digest == root.descriptor.digest), {})
            own = own or self._platform_of(root.children()[0])
            return root if offers(replace(root.descriptor, platform=own), [platform]) else None
        here = [part for part in self._flat(root).manifests if self._has(part)]
        chosen = choose(here, [platform])
        return self.document(chosen[0]) if chosen else None

    def _platform_of(self, config: Descriptor) -> dict[str, str]:
        if not self._has(config):
            return {}
        content = read(self._bundle, _path(config.digest), LARGEST_CONFIG) or b""
        if digest_of(content) != config.digest:
            raise ImageError("a blob is not what it should be", where=config.digest, why=f"it is {digest_of(content)}")
        return config_platform(decode(content, config.digest))

    def _flat(self, index: Document) -> Flattened:
        return flatten(index, lambda part: self.document(part) if self._has(part) else None)

    def _has(self, part: Descriptor) -> bool:
        size = self._bundle.size(_path(part.digest))
        if size is not None and size != part.size:
            raise ImageError("a blob is not what it should be", where=part.digest, why=f"{size} bytes, not {part.size}")
        return size is not None

    def document(self, part: Descriptor) -> Document:
        """A manifest or index.

        :raises ImageError: it is not there, or not what it should be.
        """
        content = read(self._bundle, _path(part.digest), LARGEST_MANIFEST)
        if content is None:
            raise ImageError("the archive is not complete", where=part.digest, why="this manifest is missing")
        return document_of(content, part.media_type, part.digest, part)


class DockerForm:
    """What `docker save` wrote before 25, and podman and skopeo write: no manifests, layers that are mostly plain."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._layers: dict[str, tuple[Descriptor, str]] = {}
        self.entries = _docker_entries(read(bundle, "manifest.json") or b"")
        self._names: dict[str, list[dict[str, Json]]] = {}
        for entry in self.entries:
            for tag in names_of(entry):
                if key := _key(tag):
                    self._names.setdefault(key, []).append(entry)

    @property
    def references(self) -> Iterable[str]:
        """The names of its images."""
        return self._names

    def find(self, reference: Reference, platform: str, staging: Staging) -> ContainerImage | None:
        """An image by its name. A digest pins a manifest, which such an archive does not have."""
        if reference.digest:
            return None
        for entry in self._names.get(reference.tagged, ()):
            if offers(Descriptor("", "", 0, platform=config_platform(self._config(entry)[1])), [platform]):
                manifest = replace(self.convert(entry, staging), platform={})
                return ContainerImage(str(reference), platform, manifest, converted=DOCKER_ARCHIVE)
        return None

    def convert(self, entry: dict[str, Json], staging: Staging) -> Descriptor:
        """Stage an image with a manifest made for it; its descriptor has the platform of the config.

        :param entry: one of `entries`.
        :raises ImageError: the archive is damaged.
        """
        content, config = self._config(entry)
        layers = [self._layer(str(path), staging) for path in items(entry.get("Layers"))]
        rootfs = config.get("rootfs")
        diff_ids = items(rootfs.get("diff_ids")) if isinstance(rootfs, dict) else []
        if diff_ids != [diff_id for _, diff_id in layers]:
            raise ImageError("the layers are not what the config says", where=str(entry.get("Config")))
        document: dict[str, Json] = {
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST,
            "config": staging.add([content], DOCKER_CONFIG).as_json(),
            "layers": [layer.as_json() for layer, _ in layers],
        }
        return replace(staging.add_document(document, DOCKER_MANIFEST), platform=config_platform(config))

    def _config(self, entry: dict[str, Json]) -> tuple[bytes, dict[str, Json]]:
        path = str(entry.get("Config", ""))
        content = read(self._bundle, path, LARGEST_CONFIG)
        if content is None:
            raise ImageError("the archive is not complete", where=path, why="this config is missing")
        return content, decode(content, path)

    def _layer(self, path: str, staging: Staging) -> tuple[Descriptor, str]:
        if path not in self._layers:
            if self._bundle.size(path) is None:
                raise ImageError("the archive is not complete", where=path, why="this layer is missing")
            self._layers[path] = stage_layer(self._bundle.chunks(path), staging)
        return self._layers[path]


def _docker_entries(content: bytes) -> list[dict[str, Json]]:
    try:
        value = load_json(content)
    except ValueError as error:
        raise ImageError("not a JSON document", where="manifest.json", why=str(error)) from error
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise ImageError("not an image archive", where="manifest.json", why="it is no list of images")
    return value


def names_of(entry: dict[str, Json]) -> list[str]:
    """The names that a docker-archive gives to one of its images."""
    return [str(tag) for tag in items(entry.get("RepoTags"))]


def _key(text: str) -> str:
    """The name under which an image is looked up; empty for what is none."""
    try:
        return Reference.parse(normalised(text)).tagged if text else ""
    except InputError:
        return ""


def _path(digest: str) -> str:
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"


def _staged(staging: Staging, document: Document) -> Descriptor:
    own = document.descriptor
    return staging.add([document.content], own.media_type, digest=own.digest, size=own.size)
