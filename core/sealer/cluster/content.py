"""What the kernel reads out of the image of an operation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from sealer.cluster.documents import image_documents
from sealer.clusterfile.model import ConfigDocument, PluginDocument
from sealer.image.files import RootfsFiles
from sealer.image.model import ClusterImage, Rootfs
from sealer.templates.hostfiles import config_target, host_files, is_template


class ImageContent:
    """The files of an image's rootfs, read once and only when asked for."""

    def __init__(self, image: ClusterImage) -> None:
        self.image = image
        self._files: dict[str, RootfsFiles] = {}

    def _of(self, rootfs: Rootfs) -> RootfsFiles:
        return self._files.setdefault(rootfs.digest, RootfsFiles(rootfs))

    @cached_property
    def paths(self) -> Sequence[str]:
        """The files, relative to the rootfs."""
        return self._of(self.image.first).paths()

    @property
    def has_templates(self) -> bool:
        """Whether any file is rendered."""
        return any(map(is_template, self.paths))

    @cached_property
    def documents(self) -> tuple[PluginDocument, ...]:
        """The Plugin documents that the image carries."""
        return image_documents(self.paths, self._of(self.image.first).read)

    def removals(self, rootfs: Rootfs) -> Sequence[Sequence[str]]:
        """For each layer, the paths of lower layers that it takes away."""
        return self._of(rootfs).removals

    def files_for(
        self,
        environment: Mapping[str, str],
        configs: Sequence[ConfigDocument],
        architecture: str,
        before: Sequence[ConfigDocument] = (),
    ) -> Mapping[str, bytes | None]:
        """Templates rendered and Config documents applied, for one host.

        :param architecture: of the host, in OCI's words; empty while it is not known.
        :param before: documents that were applied there; what is no longer changed becomes what the image has.
        :returns: content by path; None: the host is to have no such file.
        :raises InputError: a template or a document is wrong.
        """
        files = self._of(self.image.on(architecture) or self.image.first)
        paths = files.paths()
        made = host_files(paths, files.read, environment, configs)
        left = {config_target(document) for document in before} - made.keys()
        return {**{path: files.read(path) if path in paths else None for path in left}, **made}
