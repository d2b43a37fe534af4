"""From an index in the store to a cluster image, and from the parts of a rootfs to its documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sealer.documents import load_json
from sealer.errors import ImageError
from sealer.events import Json
from sealer.image.applications import Applications
from sealer.image.containers import read_containers
from sealer.image.model import CMDS_LABEL, ClusterImage, Layer, Rootfs
from sealer.image.oci import (
    CLUSTER_IMAGE,
    CONFIG,
    INDEX,
    INDEXES,
    LAYERS,
    MANIFEST,
    MANIFESTS,
    Descriptor,
    children,
    decode,
    items,
    platform_text,
    texts,
)
from sealer.image.platforms import platform_object
from sealer.image.storage import storage_errors

if TYPE_CHECKING:
    from sealer.image.staging import Staging
    from sealer.image.store import Store


MOST_LAYERS = 1000  # of a rootfs; Docker takes 127


class NoClusterImageError(ImageError):
    """It is something else than a cluster image."""


@dataclass(frozen=True)
class RootfsParts:
    """What the documents of one rootfs are made from.

    :param layers: with their diff ids, lowest first.
    :param history: the instruction that made each layer, or that made none (`empty` true).
    """

    platform: str
    layers: tuple[tuple[Descriptor, str], ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    history: tuple[tuple[str, bool], ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)


def read_cluster_image(store: Store, reference: str, entry: Descriptor) -> ClusterImage:
    """All that the rest of sealer wants to know about an image.

    :raises ImageError: it is no cluster image, or not whole.
    """
    if entry.media_type not in INDEXES:
        raise _no_cluster_image(reference)
    document = decode(store.read(entry), entry.digest)
    if document.get("artifactType", entry.artifact_type) != CLUSTER_IMAGE:
        raise _no_cluster_image(reference)
    parts = list(children(INDEX, document, entry.digest))
    if nested := next((part for part in parts if part.media_type in INDEXES), None):
        raise ImageError("an index within the index", where=reference, why=f"{nested.digest} is one: no tool copies it")
    manifests = [part for part in parts if part.platform]
    if not manifests:
        raise ImageError("the image has no rootfs", where=reference)
    rootfs = tuple(_rootfs(store, part) for part in manifests)
    return ClusterImage(reference, entry.digest, rootfs, read_containers(store, parts, reference))


def read_config(store: Store, manifest: str) -> bytes:
    """The config of a rootfs, byte for byte.

    :param manifest: digest of the rootfs's manifest.
    :raises ImageError: a part of it is missing or damaged.
    """
    document = decode(store.read(_manifest(store, manifest)), manifest)
    return store.read(Descriptor.from_json(document.get("config"), manifest))


def read_history(store: Store, manifest: str) -> tuple[tuple[str, bool], ...]:
    """The instructions a rootfs was made by, each with whether it made no layer.

    :param manifest: digest of the rootfs's manifest.
    """
    config = _config(store, _manifest(store, manifest))[0]
    steps = [step for step in items(config.get("history")) if isinstance(step, dict)]
    return tuple((str(step.get("created_by", "")), step.get("empty_layer") is True) for step in steps)


def stage_rootfs(staging: Staging, parts: RootfsParts) -> Descriptor:
    """Write config and manifest; what is returned belongs into the image's index."""
    platform = platform_object(parts.platform)
    history: list[Json] = [
        {"created_by": text, "empty_layer": True} if empty else {"created_by": text} for text, empty in parts.history
    ]
    config: dict[str, Json] = {
        **platform,
        "config": {
            "Env": [f"{key}={value}" for key, value in parts.env.items()],
            "Labels": dict(sorted(parts.labels.items())),
        },
        "rootfs": {"type": "layers", "diff_ids": [diff_id for _, diff_id in parts.layers]},
        "history": history,
    }
    manifest: dict[str, Json] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": staging.add_document(config, CONFIG).as_json(),
        "layers": [layer.as_json() for layer, _ in parts.layers],
        **_annotations(parts.annotations),
    }
    return replace(staging.add_document(manifest, MANIFEST), platform=platform)


def stage_index(
    staging: Staging, manifests: Sequence[Descriptor], annotations: Mapping[str, str] | None = None
) -> Descriptor:
    """Write the index that is the cluster image."""
    document: dict[str, Json] = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "artifactType": CLUSTER_IMAGE,
        "manifests": [manifest.as_json() for manifest in manifests],
        **_annotations(annotations or {}),
    }
    return replace(staging.add_document(document, INDEX), artifact_type=CLUSTER_IMAGE)


def _manifest(store: Store, digest: str) -> Descriptor:
    with storage_errors("a blob of the image is missing", store.path(digest)):
        return Descriptor(MANIFEST, digest, store.path(digest).stat().st_size)


def _annotations(annotations: Mapping[str, str]) -> dict[str, Json]:
    return {"annotations": dict(sorted(annotations.items()))} if annotations else {}


def _config(store: Store, manifest: Descriptor) -> tuple[dict[str, Json], list[Descriptor]]:
    if manifest.media_type not in MANIFESTS:
        raise ImageError(
            "a rootfs is no image manifest", where=manifest.digest, why=f"it is {manifest.media_type!r:.80}"
        )
    document = decode(store.read(manifest), manifest.digest)
    config, *layers = list(children(MANIFEST, {"config": None, **document}, manifest.digest))
    return decode(store.read(config), config.digest), layers


def _rootfs(store: Store, manifest: Descriptor) -> Rootfs:
    config, layers = _config(store, manifest)
    rootfs, settings = config.get("rootfs"), config.get("config")
    diff_ids = items(rootfs.get("diff_ids")) if isinstance(rootfs, dict) else []
    if len(layers) > MOST_LAYERS:
        raise ImageError("the image has too many layers", where=manifest.digest, why=f"{len(layers)} of them")
    if len(diff_ids) != len(layers):
        raise ImageError("manifest and config disagree about the layers", where=manifest.digest)
    settings = settings if isinstance(settings, dict) else {}
    labels = texts(settings.get("Labels"))
    env = [text for text in items(settings.get("Env")) if isinstance(text, str)]
    return Rootfs(
        platform=platform_text(manifest.platform),
        digest=manifest.digest,
        layers=tuple(_layer(store, layer, str(diff_id)) for layer, diff_id in zip(layers, diff_ids, strict=True)),
        env={key: value for key, _, value in (text.partition("=") for text in env)},
        labels=labels,
        own_cmds=_cmds(labels, manifest.digest),
        applications=Applications.of(labels, manifest.digest),
    )


def _layer(store: Store, layer: Descriptor, diff_id: str) -> Layer:
    path = store.path(layer.digest)
    if layer.media_type not in LAYERS:
        raise ImageError("a layer is no gzipped tar", where=layer.digest, why=f"it is {layer.media_type!r:.80}")
    if not path.is_file() or path.stat().st_size != layer.size:
        raise ImageError("a layer is missing or cut off", where=str(path), remedy="load or build the image again")
    return Layer(layer.digest, layer.size, diff_id, path)


def _cmds(labels: Mapping[str, str], where: str) -> tuple[str, ...]:
    try:
        cmds = load_json(labels.get(CMDS_LABEL, "[]"))
    except ValueError:
        cmds = None
    if not isinstance(cmds, list) or not all(isinstance(cmd, str) for cmd in cmds):
        raise ImageError(f"the label {CMDS_LABEL} is no list of commands", where=where)
    return tuple(cmds)


def _no_cluster_image(reference: str) -> ImageError:
    return NoClusterImageError(
        "not a cluster image",
        where=reference,
        why=f"its artifactType is not {CLUSTER_IMAGE}",
        remedy="sealer runs images made by `sealer build`; container images belong into one",
    )
