"""Unpacking layers into a directory of the build, with our own hands.

Every member goes through :class:`~sealer.image.tree.Tree` first, which knows where each name really lies and refuses
what would leave the rootfs; the directory on disk is the tree's image, and nobody else writes there.

All files have one time, so that a RUN that packs some of them (tar, zip, helm package) gives the same bytes each time.
"""

from __future__ import annotations

import os
from pathlib import Path

from sealer.image.expansion import Readable
from sealer.image.links import resolve
from sealer.image.model import Layer
from sealer.image.storage import remove_tree, storage_errors
from sealer.image.tarstream import Content, Kind, Member, gunzip, members
from sealer.image.tree import Tree

TIME = 315_532_800  # 1980-01-01, seconds: a zip archive knows no time before
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Unpacked:
    """A directory that holds the merged files of some layers.

    :param directory: where; it is made.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.tree = Tree()
        directory.mkdir(mode=0o755)

    def apply(self, layer: Layer) -> None:
        """Lay one more layer over what is there.

        :raises ImageError: the layer is damaged or refused, or the disk failed.
        """
        with gunzip(layer.path) as stream:
            self.apply_tar(stream)

    def apply_tar(self, stream: Readable) -> None:
        """The same for a tar that is no blob of the store. For the errors see :meth:`apply`."""
        modes: dict[str, int] = {}
        changed: set[str] = set()  # directories
        self.tree.begin()
        for member, content in members(stream):
            path = self.tree.add(member)
            with storage_errors("a layer could not be unpacked", self.directory / path):
                changed |= self._remove_hidden()
                if path:
                    changed |= self._write(path, member, content, modes)
        for path in changed:
            node = self.tree.get(path)
            if node is not None and node.member.kind is Kind.DIRECTORY:  # the same layer may have made a link of it
                os.utime(self.directory / path, (TIME, TIME))
        for path in sorted(modes, reverse=True):  # last, and the deepest first: a directory may forbid writing
            (self.directory / path).chmod(modes[path])

    def _remove_hidden(self) -> set[str]:
        """The directories in which something was removed."""
        for path in self.tree.hidden:
            target = self.directory / path
            if os.path.lexists(target):
                remove_tree(target)
        changed = {path.rpartition("/")[0] for path in self.tree.hidden}
        self.tree.hidden.clear()
        return changed

    def _write(self, path: str, member: Member, content: Content, modes: dict[str, int]) -> set[str]:
        """The directories in which something was written."""
        target = self.directory / path
        parent = path.rpartition("/")[0]
        changed = {parent, *self._make_parents(parent)}
        if member.kind is Kind.DIRECTORY:
            target.mkdir(mode=0o755, exist_ok=True)
            modes[path] = member.mode
            return {path, *changed}
        target.unlink(missing_ok=True)
        if member.kind is Kind.SYMLINK:
            target.symlink_to(member.link)
            os.utime(target, (TIME, TIME), follow_symlinks=False)
        elif member.kind is Kind.HARDLINK:
            target.hardlink_to(self.directory / resolve(member.link, self.tree.readlink, last=False))
        else:
            _write_file(target, member, content)
        return changed

    def _make_parents(self, path: str) -> set[str]:
        directory = self.directory / path
        if directory.is_dir():
            return set()
        parent = path.rpartition("/")[0]
        changed = self._make_parents(parent)
        directory.mkdir()
        directory.chmod(0o755)  # whatever the umask is
        return {path, parent, *changed}


def _write_file(target: Path, member: Member, content: Content) -> None:
    descriptor = os.open(target, _CREATE, 0o600)
    try:
        for chunk in content.chunks():
            rest = memoryview(chunk)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        os.fchmod(descriptor, member.mode)
        os.utime(descriptor, (TIME, TIME))
    finally:
        os.close(descriptor)
