"""`sealer load` of what other programs wrote: each image becomes a cluster image, whose rootfs are its files.

A docker-archive, an OCI archive, or the directory of an OCI layout, in which cluster images may be, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from sealer.errors import ImageError, InputError
from sealer.events import Json
from sealer.image.archive_errors import blamed
from sealer.image.containers import CONTAINER_CONVERTED
from sealer.image.files import lay_over
from sealer.image.gathering.bundles import Bundle, DirectoryBundle, TarBundle
from sealer.image.gathering.forms import CONTAINERD_NAME, DOCKER_ARCHIVE, DockerForm, OciForm, names_of
from sealer.image.gathering.layers import stage_layer
from sealer.image.oci import CLUSTER_IMAGE, LAYER, LAYERS, MANIFEST, REF_NAME, Descriptor, decode, items
from sealer.image.oci_image import read_cluster_image, stage_index
from sealer.image.oci_loading import name_of, require_cluster_image
from sealer.image.reference import Reference
from sealer.image.registry.documents import Document
from sealer.image.staged import StagedStore
from sealer.image.staging import Staging
from sealer.image.store import Store

OCI_ARCHIVE = "oci-archive"
_Named = tuple[Descriptor, Sequence[str]]


def load_foreign(store: Store, source: Path, name: str = "") -> tuple[tuple[str, str], ...]:
    """Take the images of an archive or a layout into the store, all of them or none.

    :param name: what the user knows it as; empty: by its path.
    :returns: name (empty: none) and digest, one for each name; nothing: it is an archive of no known kind.
    :raises ImageError: it is damaged, or holds what no image may.
    """
    with store.stage() as staging, blamed(source, name):
        bundle: Bundle = (
            DirectoryBundle(source) if source.is_dir() else TarBundle(source, staging.directory / "archive.tar")
        )
        if bundle.size("manifest.json") is not None:
            docker = DockerForm(bundle)
            images = [_from_docker(store, staging, docker, entry) for entry in docker.entries]
        elif bundle.size("index.json") is not None and bundle.size("oci-layout") is not None:
            form = OciForm(bundle)
            images = [_from_oci(store, staging, form, entry) for entry in form.entries]
        else:
            return ()
        if not images:
            raise ImageError("the archive holds no image")
        store.commit_all(staging, images)
    return tuple((name, index.digest) for index, names in images for name in (names or [""]))


def _from_docker(store: Store, staging: Staging, form: DockerForm, entry: dict[str, Json]) -> _Named:
    manifest = form.convert(entry, staging)
    if not manifest.platform:
        raise ImageError("the image names no platform", where=str(entry.get("Config")))
    rootfs = replace(manifest, annotations={CONTAINER_CONVERTED: DOCKER_ARCHIVE})
    return _index(store, staging, [rootfs]), _usable(names_of(entry))


def _from_oci(store: Store, staging: Staging, form: OciForm, entry: Descriptor) -> _Named:
    root = form.document(entry)
    if root.is_index and decode(root.content, entry.digest).get("artifactType", entry.artifact_type) == CLUSTER_IMAGE:
        for document in (root, *(form.document(part) for part in root.children())):
            form.stage(document, staging)
        own = replace(root.descriptor, artifact_type=CLUSTER_IMAGE)
        require_cluster_image(StagedStore(store, staging), replace(own, annotations=entry.annotations))
        return own, [name for name in [name_of(entry)] if name]
    manifests = form.manifests(root)
    if not manifests:
        raise ImageError("the archive is not complete", where=entry.digest, why="it has no manifest for any platform")
    return _index(store, staging, [_rootfs(staging, form, *one) for one in manifests]), _names(entry)


def _index(store: Store, staging: Staging, rootfs: Sequence[Descriptor]) -> Descriptor:
    index = stage_index(staging, rootfs)
    for one in read_cluster_image(StagedStore(store, staging), index.digest, index).rootfs:
        lay_over(one.layers, verify=True)  # a host unpacks them without looking
    return index


def _rootfs(staging: Staging, form: OciForm, manifest: Document, platform: dict[str, str]) -> Descriptor:
    """The image's own manifest; one made from it where a layer is not compressed as hosts can unpack it."""
    if not platform:
        raise ImageError("the image names no platform", where=manifest.descriptor.digest)
    config, *layers = manifest.children()
    if all(layer.media_type in LAYERS for layer in layers):
        form.stage(manifest, staging)
        return replace(manifest.descriptor, annotations={}, platform=platform)
    made = [stage_layer(form.blob(layer), staging) for layer in layers]
    settings = decode(b"".join(form.blob(config)), config.digest).get("rootfs")
    if items(settings.get("diff_ids") if isinstance(settings, dict) else None) != [diff_id for _, diff_id in made]:
        raise ImageError("the layers are not what the config says", where=config.digest)
    document: dict[str, Json] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": staging.add(form.blob(config), config.media_type, digest=config.digest, size=config.size).as_json(),
        "layers": [replace(layer, media_type=LAYER).as_json() for layer, _ in made],
    }
    described = staging.add_document(document, MANIFEST)
    return replace(described, platform=platform, annotations={CONTAINER_CONVERTED: OCI_ARCHIVE})


def _names(entry: Descriptor) -> list[str]:
    return _usable([entry.annotations.get(CONTAINERD_NAME, ""), entry.annotations.get(REF_NAME, "")])[:1]


def _usable(names: Sequence[str]) -> list[str]:
    """Names in other programs' archives may be free text; what is none of an image is left out."""
    found: list[str] = []
    for name in names:
        with suppress(InputError):
            found.append(Reference.to_give(name).tagged)
    return found
