"""From images that sealer did not build to a cluster image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sealer.errors import ImageError
from sealer.events import Json
from sealer.image.adoption.registry_directory import DIRECTORY, RegistryDirectory
from sealer.image.adoption.survey import Survey, rewritten
from sealer.image.adoption.upstream import Original, read_original, version_label
from sealer.image.containers import CONTAINER_CONVERTED, stage_containers
from sealer.image.discovery.discover import discover
from sealer.image.discovery.files import stage
from sealer.image.discovery.model import FoundImage
from sealer.image.discovery.readers import Readers
from sealer.image.gathering.layers import pieces, stage_layer, unpacked
from sealer.image.model import ContainerImage, Layer
from sealer.image.oci import CONFIG, DOCKER_CONFIG, LAYER, LAYERS, Descriptor, decode, items, platform_text, texts
from sealer.image.oci_image import MOST_LAYERS, RootfsParts, stage_index, stage_rootfs
from sealer.image.registry.documents import Document, document_of
from sealer.image.staging import Staging
from sealer.image.tarstream import Content, Member

ADOPTED = "image"  # the manifest was made from another image's
LARGEST_CONFIG = 8 * 1024 * 1024


@dataclass(frozen=True)
class Adopted:
    """The rootfs of one platform.

    :param manifest: with its platform: the image's own, or one that was made from it.
    :param stays: it is the image's own.
    """

    manifest: Descriptor
    containers: tuple[ContainerImage, ...] = ()
    stays: bool = False


def adopt(
    staging: Staging,
    manifests: Sequence[Descriptor],
    warn: Callable[[str], None],
    annotations: Mapping[str, str] | None = None,
) -> Descriptor:
    """Make a cluster image of image manifests; the descriptor of its index is returned.

    Manifests that can stay as they are do: no bytes change. Others are made again: layers with links that lead out of
    a directory, layers that are not compressed with gzip, and images of the original sealer, whose `registry/` becomes
    container images and whose labels and annotations become sealer's.

    :param manifests: each with its platform; they and all their blobs are in the staging area.
    :param warn: is told of what cannot come along.
    :param annotations: of the manifests that stay.
    :raises ImageError: one is damaged, is no image of files, or holds what no rootfs may.
    """
    adopted = [_Adoption(staging, manifest, number, warn).run() for number, manifest in enumerate(manifests)]
    containers = [container for one in adopted for container in one.containers]
    rootfs = [replace(one.manifest, annotations=annotations or {}) if one.stays else one.manifest for one in adopted]
    return stage_index(staging, [*rootfs, *stage_containers(staging, containers)])


class _Adoption:
    def __init__(self, staging: Staging, manifest: Descriptor, number: int, warn: Callable[[str], None]) -> None:
        self._staging = staging
        self._manifest = manifest
        self._warn = warn
        self._work = staging.directory / f"adopted-{number}"
        self._document = self._read_manifest()
        config, *self._layers = self._document.children()
        self._config = self._read_config(config)
        self._survey = Survey()
        self._registry = RegistryDirectory(staging)
        self._wanted: dict[tuple[int, Member], list[str]] = {}

    def run(self) -> Adopted:
        """Look at it, and make what has to be made."""
        annotations = texts(decode(self._document.content, self._manifest.digest).get("annotations"))
        original = read_original(annotations, self._config, self._manifest.digest)
        if len(self._layers) > MOST_LAYERS:
            why = f"{len(self._layers)} of them"
            raise ImageError("the image has too many layers", where=self._manifest.digest, why=why)
        for layer in self._layers:
            self._survey.add(self._path(layer))
        self._check_diff_ids(required=original is None)
        for path, node in self._survey.tree.files():
            if path.startswith(f"{DIRECTORY}/"):
                self._wanted.setdefault(node.origin, []).append(path)
        fits = all(layer.media_type in LAYERS for layer in self._layers) and all(self._survey.zipped)
        if original is None and not self._wanted and not self._survey.changed and fits:
            return Adopted(self._manifest, stays=True)
        return self._made(original)

    def _made(self, original: Original | None) -> Adopted:
        layers = [self._layer(number) for number in range(len(self._layers))]
        known = original or Original()
        env = {**self._env(), **known.env}
        of_original = version_label(self._survey.metadata) if original or self._wanted else {}
        labels = {**of_original, **self._settings_texts("Labels"), **known.labels}
        platform = platform_text(self._manifest.platform)
        containers: list[ContainerImage] = []
        if self._wanted:
            names = [*known.images, *self._mentioned(layers, env)]
            containers, problems = self._registry.images(platform, _merged(names))
            for problem in problems:
                self._warn(f"a container image in the base's {DIRECTORY} is left out: {problem}")
        parts = RootfsParts(platform, tuple(layers), env=env, labels=labels, history=self._history())
        manifest = stage_rootfs(self._staging, parts)
        return Adopted(replace(manifest, annotations={CONTAINER_CONVERTED: ADOPTED}), tuple(containers))

    def _layer(self, number: int) -> tuple[Descriptor, str]:
        """A layer as it goes into the rootfs, and its diff id."""
        layer, path = self._layers[number], self._path(self._layers[number])
        changed = any(of == number for of, _ in (*self._survey.changed, *self._wanted))
        if changed:
            return rewritten(self._staging, path, number, self._survey.changed, self._drop)
        if not self._survey.zipped[number]:
            with unpacked(path) as stream:
                made, diff_id = stage_layer(pieces(stream), self._staging)
            return replace(made, media_type=LAYER), diff_id
        return Descriptor(LAYER, layer.digest, layer.size), self._survey.diff_ids[number]

    def _drop(self, number: int, member: Member, content: Content) -> bool:
        if not f"{member.path}/".startswith(f"{DIRECTORY}/"):
            return False
        for path in self._wanted.get((number, member), ()):
            self._registry.take(path, member, content)
            break
        return True

    def _mentioned(self, layers: Sequence[tuple[Descriptor, str]], env: Mapping[str, str]) -> Sequence[FoundImage]:
        """The images that the files of the rootfs mention; no program of the image is run for that."""
        found = [Layer(one.digest, one.size, diff_id, self._path(one)) for one, diff_id in layers]
        return discover(stage(found, self._work), Readers(variables=env).read).images

    def _check_diff_ids(self, *, required: bool) -> None:
        rootfs = self._config.get("rootfs")
        told = items(rootfs.get("diff_ids")) if isinstance(rootfs, dict) else []
        if (told or required) and told != self._survey.diff_ids:
            raise ImageError("the layers are not what the config says", where=self._manifest.digest)

    def _history(self) -> tuple[tuple[str, bool], ...]:
        steps = [step for step in items(self._config.get("history")) if isinstance(step, dict)]
        return tuple((str(step.get("created_by", "")), step.get("empty_layer") is True) for step in steps)

    def _env(self) -> dict[str, str]:
        settings = self._config.get("config")
        lines = items(settings.get("Env")) if isinstance(settings, dict) else []
        return {name: text for name, _, text in (str(line).partition("=") for line in lines) if name}

    def _settings_texts(self, name: str) -> dict[str, str]:
        settings = self._config.get("config")
        return texts(settings.get(name)) if isinstance(settings, dict) else {}

    def _read_manifest(self) -> Document:
        content = self._path(self._manifest).read_bytes()
        return document_of(content, self._manifest.media_type, self._manifest.digest, self._manifest)

    def _read_config(self, config: Descriptor) -> dict[str, Json]:
        require_files(self._document)
        return read_config(self._staging, config)

    def _path(self, blob: Descriptor) -> Path:
        return self._staging.blobs / blob.digest.removeprefix("sha256:")


def require_files(manifest: Document) -> None:
    """Refuse what is an artifact of another kind, as a Helm chart is.

    :raises ImageError: it is.
    """
    kind = manifest.children()[0].media_type
    if kind not in (CONFIG, DOCKER_CONFIG):
        where = manifest.descriptor.digest
        raise ImageError("not an image of files", where=where, why=f"its config is {kind!r:.80}")


def read_config(staging: Staging, config: Descriptor) -> dict[str, Json]:
    """The staged config of an image.

    :raises ImageError: it is too large, or not JSON.
    """
    if config.size > LARGEST_CONFIG:
        raise ImageError("the config of an image is too large", where=config.digest, why=f"{config.size} bytes")
    content = (staging.blobs / config.digest.removeprefix("sha256:")).read_bytes()
    return decode(content, config.digest)


def _merged(names: Sequence[FoundImage]) -> Sequence[FoundImage]:
    """Each name once, with all its places."""
    found: dict[str, FoundImage] = {}
    for one in names:
        before = found.get(one.image)
        found[one.image] = replace(one, found=tuple(dict.fromkeys((*before.found, *one.found)))) if before else one
    return tuple(found.values())
