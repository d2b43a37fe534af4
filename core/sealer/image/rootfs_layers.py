"""The layers of a rootfs while it is built: found in the cache or made, and the files in them where they are needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from sealer.events import Json
from sealer.image.cache import BuildCache
from sealer.image.copy import Context, Made
from sealer.image.discovery.files import DirectoryFiles, stage
from sealer.image.inputs import CopyInputs, FileDigests
from sealer.image.layer import Entry, FileRead, has_capabilities, write_layer
from sealer.image.model import Layer
from sealer.image.progress import Progress
from sealer.image.staging import Staging
from sealer.image.storage import shown, storage_errors
from sealer.image.tree import Tree
from sealer.image.unpack import Unpacked


class RootfsLayers:
    """The layers so far.

    :param digests: of the files of the context.
    :param work: a directory for the unpacked rootfs; it is made when something needs it.
    :param warn: is told of what no layer keeps.
    :ivar all: lowest first.
    """

    def __init__(
        self,
        staging: Staging,
        cache: BuildCache,
        *,
        context: Context,
        digests: FileDigests,
        work: Path,
        warn: Callable[[str], None],
    ) -> None:
        self._staging = staging
        self._cache = cache
        self._context = context
        self._digests = digests
        self._work = work
        self._warn = warn
        self._base = 0
        self._unpacked: Unpacked | None = None
        self._applied = 0
        self._tree = Tree()
        self._laid = 0
        self.all: list[Layer] = []

    def begin(self, base: Sequence[Layer]) -> None:
        """Start from what the base brings."""
        self.all = list(base)
        self._base = len(base)

    def own(self, *, base: bool) -> list[Layer]:
        """The layers of the image.

        :param base: False to leave out what the base brought.
        """
        return self.all if base else self.all[self._base :]

    def add_command(self, how: list[Json], execute: Callable[[], list[Entry]], progress: Progress) -> bool:
        """Add the layer that a command makes, unless it is known; whether it was.

        :param how: all that decides about it but the layers below.
        :param execute: runs it in the unpacked rootfs.
        """
        key = self._cache.key(self.all, how)
        known = self._cache.find(key)
        if known is not None:
            return self._take(known)
        self._cache.keep(key, self._add(execute(), progress))
        return False

    def add_files(
        self,
        how: list[Json],
        sources: Sequence[str | Made],
        entries: Callable[[], list[Entry]],
        progress: Progress,
        *,
        unpacks: bool = False,
    ) -> bool:
        """Add the layer that files make, unless it is known; whether it was.

        :param how: all that decides about it but the layers below and the files.
        :param sources: of the files: in the context, or made.
        :param entries: gives what goes into the layer.
        :param unpacks: archives of the context are unpacked to make the entries.
        """
        made: list[Json] = [source.key if isinstance(source, Made) else None for source in sources]
        inputs = CopyInputs.of(self._context, sources)
        key = self._cache.key(self.all, [*how, made], inputs.structure)
        known = self._cache.find(key, lambda: self._digests.content(inputs.files))
        if known is not None:
            return self._take(known)
        archives = self._digests.content(inputs.files) if unpacks else ""
        of_context = frozenset(inputs.files)
        seen: dict[str, str] = {}

        def learn(read: FileRead) -> None:
            if read.source in of_context:
                seen[read.source] = read.digest
                self._digests.learn(read)

        layer = self._add(entries(), progress, learn)
        # What the layer was made from is known only now; what changed meanwhile is recorded for nothing.
        content = self._digests.content(inputs.files, seen)
        if archives in ("", content) and CopyInputs.of(self._context, sources) == inputs:
            self._cache.keep(key, layer, content)
        return False

    def _add(self, entries: list[Entry], progress: Progress, files: Callable[[FileRead], None] | None = None) -> Layer:
        capable = [shown(entry.path) for entry in entries if has_capabilities(entry)]
        self._warn_of_capabilities(capable)
        progress.expect(entries)
        descriptor, diff_id = write_layer(self._staging, entries, progress=progress.bytes, files=files)
        path = self._staging.blobs / descriptor.digest.removeprefix("sha256:")
        layer = Layer(descriptor.digest, descriptor.size, diff_id, path)
        self.all.append(layer)
        self._cache.keep_members(layer, entries)
        self._cache.keep_capabilities(layer, capable)
        return layer

    def _take(self, known: Layer) -> bool:
        """Add a layer that was made before; True: it was."""
        self.all.append(known)
        self._warn_of_capabilities(self._cache.capabilities(known))
        return True

    def _warn_of_capabilities(self, paths: Sequence[str]) -> None:
        for path in paths:
            self._warn(
                f"{path}: its file capabilities do not go into the image; let scripts/init.sh run setcap on the hosts"
            )

    def lay_over(self) -> Tree:
        """The rootfs so far, as names."""
        if self._unpacked is not None:
            self.unpack()
            return self._unpacked.tree
        for layer in self.all[self._laid :]:
            self._cache.lay(self._tree, layer)
        self._laid = len(self.all)
        return self._tree

    def unpack(self) -> Path:
        """The directory of the rootfs so far."""
        if self._unpacked is None:
            with storage_errors("the rootfs could not be prepared", self._work):
                self._work.mkdir()
                self._unpacked = Unpacked(self._work / "rootfs")
            self._tree = Tree()  # from now on the unpacked rootfs has one
        for layer in self.all[self._applied :]:
            self._unpacked.apply(layer)
        self._applied = len(self.all)
        return self._unpacked.directory

    def files(self, *, base: bool) -> DirectoryFiles:
        """The files of the finished rootfs.

        :param base: False: of what the base brought, none.
        """
        if self._unpacked is None or not base:
            return stage(self.own(base=base), self._work / "discovered", self._cache)
        return DirectoryFiles(self.unpack())
