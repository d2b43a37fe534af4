"""A cluster image as the rest of sealer sees it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sealer.image.applications import Applications
from sealer.image.discovery.model import Place
from sealer.image.oci import Descriptor

TYPE_LABEL = "io.sealer.type"
RUNTIME_LABEL = "io.sealer.runtime"
REGISTRY_LABEL = "io.sealer.registry"
KUBERNETES_VERSION_LABEL = "io.sealer.kubernetes.version"
CMDS_LABEL = "io.sealer.cmds"
VERSION_LABEL = "io.sealer.version"

KUBE_INSTALLER = "kube-installer"
APP_INSTALLER = "app-installer"


@dataclass(frozen=True)
class Layer:
    """A gzipped tar in the local store.

    :param digest: of the compressed bytes, `sha256:<hex>`.
    :param size: of the compressed bytes.
    :param diff_id: digest of the uncompressed tar.
    :param path: the blob's file.
    """

    digest: str
    size: int
    diff_id: str
    path: Path


@dataclass(frozen=True)
class Rootfs:
    """The rootfs of one platform: its layers, lowest first, and what its config says.

    :param platform: `linux/amd64`, `linux/arm64/v8`, ...
    :param digest: of its manifest.
    :param own_cmds: the CMDs, the base's first.
    """

    platform: str
    digest: str
    layers: tuple[Layer, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    own_cmds: tuple[str, ...] = ()
    applications: Applications = field(default_factory=Applications)

    @property
    def cmds(self) -> tuple[str, ...]:
        """What runs when the cluster is up: the CMDs, then what installs the applications of LAUNCH."""
        return self.launching(self.applications.launch)

    def launching(self, names: Iterable[str]) -> tuple[str, ...]:
        """The same with other applications than those of LAUNCH.

        :raises KeyError: the image has no application of a name.
        """
        return (*self.own_cmds, *self.applications.commands(names))

    @property
    def type(self) -> str:
        """`kube-installer` or `app-installer`."""
        return self.labels.get(TYPE_LABEL, KUBE_INSTALLER)

    @property
    def runtime(self) -> str:
        """Name of the runtime driver the image wants; empty: the default."""
        return self.labels.get(RUNTIME_LABEL, "")

    @property
    def registry(self) -> str:
        """Name of the registry driver the image wants on its hosts; empty: none."""
        return self.labels.get(REGISTRY_LABEL, "")


@dataclass(frozen=True)
class ContainerImage:
    """A container image inside a cluster image.

    :param reference: its full original name, `docker.io/library/nginx:1.25`, with a digest if it is pinned by one.
    :param platform: `linux/amd64`.
    :param manifest: the bytes are those that its registry served, unless `converted` says otherwise.
    :param index: what the digest in the reference is of, if that is an index; it is in the image, too.
    :param found: where it is mentioned, the first places only.
    :param converted: `docker-archive`: the manifest was made from one; else empty.
    :param inner_indexes: the indexes that lie in `index`, each after those that lie in it; they are in the image, too.
    """

    reference: str
    platform: str
    manifest: Descriptor
    index: Descriptor | None = None
    found: tuple[Place, ...] = ()
    converted: str = ""
    inner_indexes: tuple[Descriptor, ...] = ()

    @property
    def indexes(self) -> tuple[Descriptor, ...]:
        """What its digest pins beside the manifest, each after those that lie in it; mostly nothing."""
        return (*self.inner_indexes, self.index) if self.index else ()


@dataclass(frozen=True)
class ClusterImage:
    """An image in the local store.

    :param reference: the name it was asked for by.
    :param digest: of its index: what it is, whatever it is called.
    :param rootfs: one a platform.
    :param containers: the container images inside, by reference and platform.
    """

    reference: str
    digest: str
    rootfs: tuple[Rootfs, ...]
    containers: tuple[ContainerImage, ...] = ()

    def on(self, architecture: str) -> Rootfs | None:
        """The rootfs for hosts of an OCI architecture (`amd64`, `arm64`), or None. Hosts run Linux."""
        for rootfs in self.rootfs:
            if rootfs.platform.split("/")[:2] == ["linux", architecture]:
                return rootfs
        return None

    @property
    def first(self) -> Rootfs:
        """Any one of them, where they must agree: labels, CMDs, type."""
        return self.rootfs[0]
