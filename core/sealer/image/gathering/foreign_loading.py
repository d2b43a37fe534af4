"""`sealer load` of what other programs wrote: each image becomes a cluster image, whose rootfs are its files.

A docker-archive, an OCI archive, or the directory of an OCI layout, in which cluster images may be, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from sealer.errors import ImageError, InputError
from sealer.events import Json
from sealer.image.adoption.adopt import adopt
from sealer.image.archive_errors import blamed
from sealer.image.catalogue import tell_moved
from sealer.image.containers import CONTAINER_CONVERTED
from sealer.image.gathering.bundles import Bundle, DirectoryBundle, TarBundle
from sealer.image.gathering.forms import CONTAINERD_NAME, DOCKER_ARCHIVE, DockerForm, OciForm, names_of
from sealer.image.oci import CLUSTER_IMAGE, REF_NAME, Descriptor, decode
from sealer.image.oci_image import read_cluster_image
from sealer.image.oci_loading import name_of, require_cluster_image
from sealer.image.reference import Reference
from sealer.image.staged import StagedStore
from sealer.image.staging import Staging
from sealer.image.store import Store

_Named = tuple[Descriptor, Sequence[str]]


def load_foreign(
    store: Store, source: Path, name: str = "", warn: Callable[[str], None] = lambda _: None
) -> tuple[tuple[str, str], ...]:
    """Take the images of an archive or a layout into the store, all of them or none.

    :param name: what the user knows it as; empty: by its path.
    :param warn: is told of what cannot come along.
    :returns: name (empty: none) and digest, one for each name; nothing: it is an archive of no known kind.
    :raises ImageError: it is damaged, or holds what no image may.
    """
    with store.stage() as staging, blamed(source, name):
        bundle: Bundle = (
            DirectoryBundle(source) if source.is_dir() else TarBundle(source, staging.directory / "archive.tar")
        )
        loading = _Loading(store, staging, warn)
        if bundle.size("manifest.json") is not None:
            docker = DockerForm(bundle)
            images = [loading.from_docker(docker, entry) for entry in docker.entries]
        elif bundle.size("index.json") is not None and bundle.size("oci-layout") is not None:
            form = OciForm(bundle)
            images = [loading.from_oci(form, entry) for entry in form.entries]
        else:
            return ()
        if not images:
            raise ImageError("the archive holds no image")
        loading.staged.drop_others(*(index for index, _ in images))
        moved = store.commit_all(staging, images)
    loaded = tuple((name, index.digest) for index, names in images for name in (names or [""]))
    tell_moved(loaded, moved, warn)
    return loaded


class _Loading:
    """The images of one archive on their way into a staging area."""

    def __init__(self, store: Store, staging: Staging, warn: Callable[[str], None]) -> None:
        self.staged = StagedStore(store, staging)
        self._staging = staging
        self._warn = warn

    def from_docker(self, form: DockerForm, entry: dict[str, Json]) -> _Named:
        """An image of a docker-archive, and its names."""
        manifest = form.convert(entry, self._staging)
        names = names_of(entry)
        where = ", ".join(names) or str(entry.get("Config"))
        return self._adopted([manifest], where, {CONTAINER_CONVERTED: DOCKER_ARCHIVE}), _usable(names)

    def from_oci(self, form: OciForm, entry: Descriptor) -> _Named:
        """An image of an OCI archive, and its names; a cluster image stays what it is."""
        root = form.document(entry)
        kind = decode(root.content, entry.digest).get("artifactType", entry.artifact_type)
        if root.is_index and kind == CLUSTER_IMAGE:
            for document in (root, *(form.document(part) for part in root.children())):
                form.stage(document, self._staging)
            own = replace(root.descriptor, artifact_type=CLUSTER_IMAGE)
            require_cluster_image(self.staged, replace(own, annotations=entry.annotations))
            return own, [name for name in [name_of(entry)] if name]
        manifests = form.manifests(root)
        if not manifests:
            why = "it has no manifest for any platform"
            raise ImageError("the archive is not complete", where=entry.digest, why=why)
        for document, platform in manifests:
            if platform.get("os") == "linux":
                form.stage(document, self._staging)
        found = [replace(document.descriptor, platform=platform) for document, platform in manifests]
        return self._adopted(found, entry.digest), _names(entry)

    def _adopted(
        self, manifests: Sequence[Descriptor], where: str, annotations: dict[str, str] | None = None
    ) -> Descriptor:
        if not all(manifest.platform for manifest in manifests):
            raise ImageError("the image names no platform", where=where)
        linux = [manifest for manifest in manifests if manifest.platform.get("os") == "linux"]
        if not linux:
            raise ImageError("an image of the archive has nothing for Linux", where=where)
        index = adopt(self._staging, linux, self._warn, annotations)
        read_cluster_image(self.staged, index.digest, index)
        return index


def _names(entry: Descriptor) -> list[str]:
    return _usable([entry.annotations.get(CONTAINERD_NAME, ""), entry.annotations.get(REF_NAME, "")])[:1]


def _usable(names: Sequence[str]) -> list[str]:
    """Names in other programs' archives may be free text; what is none of an image is left out."""
    found: list[str] = []
    for name in names:
        with suppress(InputError):
            found.append(Reference.to_give(name).tagged)
    return found
