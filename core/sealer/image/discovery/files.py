"""The files of a tree: a directory, or the layers of a rootfs."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sealer.errors import ImageError
from sealer.image.files import LARGEST_FILE
from sealer.image.model import Layer
from sealer.image.storage import remove_tree, storage_errors
from sealer.image.tarstream import Kind, Member, gunzip, members
from sealer.image.tree import Tree

if TYPE_CHECKING:
    from sealer.image.cache import BuildCache

HEAD = 8192
HELM = "bin/helm"  # of an image that brings its own


class Files(Protocol):
    """Reads files by their path, relative to the tree; :class:`~sealer.image.files.RootfsFiles` does so, too."""

    def paths(self) -> Sequence[str]:
        """Every regular file, sorted. Directories and symlinks are left out."""
        raise NotImplementedError

    def read(self, path: str, limit: int = LARGEST_FILE) -> bytes:
        """The content of a file.

        :raises ImageError: there is no such file, or it is larger than `limit` bytes.
        """
        raise NotImplementedError


class DirectoryFiles:
    """A directory. Symlinks are neither listed nor followed: nothing outside of it is read.

    :param root: the directory, or one file, which is then the only one of its tree.
    """

    def __init__(self, root: Path) -> None:
        self.root = root if root.is_dir() else root.parent
        self._only = None if root.is_dir() else root.name
        self._paths: list[str] | None = None

    def paths(self) -> Sequence[str]:
        """Every regular file, sorted.

        :raises ImageError: a directory cannot be read.
        """
        if self._paths is None:
            self._paths = [self._only] if self._only else sorted(_regular(self.root))
        return self._paths

    def read(self, path: str, limit: int = LARGEST_FILE) -> bytes:
        """The content of a file.

        :raises ImageError: it cannot be read, or is larger than `limit` bytes.
        """
        content = self._read(path, limit + 1)
        if len(content) > limit:
            raise ImageError("a file is too large to be read", where=path, why=f"more than {limit} bytes")
        return content

    def head(self, path: str) -> bytes:
        """The first bytes of a file, to see what it is.

        :raises ImageError: it cannot be read.
        """
        return self._read(path, HEAD)

    def _read(self, path: str, size: int) -> bytes:
        try:
            descriptor = os.open(self.root / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as file:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise ImageError("it is no regular file any more", where=path)
                return file.read(size)
        except OSError as error:
            raise ImageError("a file cannot be read", where=path, why=error.strerror or str(error)) from error


class ReadFiles:
    """Files that somebody else reads.

    :param paths: of all files.
    :param read: gives the content of one.
    """

    def __init__(self, paths: Iterable[str], read: Callable[[str], bytes]) -> None:
        self._paths = sorted(paths)
        self._read = read

    def paths(self) -> Sequence[str]:
        """Every file, sorted."""
        return self._paths

    def read(self, path: str, limit: int = LARGEST_FILE) -> bytes:
        """The content of a file.

        :raises ImageError: it is larger than `limit` bytes.
        """
        content = self._read(path)
        if len(content) > limit:
            raise ImageError("a file is too large to be read", where=path, why=f"{len(content)} bytes")
        return content


NO_FILES: Files = ReadFiles((), lambda path: b"")


def head(files: Files, path: str) -> bytes:
    """The first bytes of a file; read alone where that is possible.

    :raises ImageError: it cannot be read.
    """
    return files.head(path) if isinstance(files, DirectoryFiles) else files.read(path)[:HEAD]


def stage(layers: Sequence[Layer], directory: Path, cache: BuildCache | None = None) -> DirectoryFiles:
    """Lay layers over each other, and write the files that a reader may want into a directory.

    Each layer is read once, and one in which there was nothing for a reader the last time not at all. Binary files and
    those larger than 16 MiB are not written, but for `bin/helm`, which can be executed there.

    :param directory: is made.
    :param cache: remembers what is in the layers.
    :raises ImageError: a layer is damaged, or the disk failed.
    """
    tree = Tree()
    aside = directory.with_name(f"{directory.name}-members")
    with storage_errors("the files of the rootfs could not be looked through", directory):
        directory.mkdir(parents=True)
        aside.mkdir()
        written: dict[tuple[int, Member], Path] = {}
        for number, layer in enumerate(layers):
            if cache and cache.is_silent(layer):
                cache.lay(tree, layer)
                continue
            before = len(written)
            found = _lay(tree, number, layer, aside, written)
            if cache and len(written) == before:
                cache.keep_silent(layer, found)
        helm = tree.get(HELM)
        if helm and helm.member.kind is Kind.HARDLINK and helm.origin not in written:
            number, member = helm.origin
            _write_alone(layers[number], member.path, written.setdefault(helm.origin, aside / "helm"))
        _name(tree, written, directory)
        remove_tree(aside)
    return DirectoryFiles(directory)


def _lay(tree: Tree, number: int, layer: Layer, aside: Path, written: dict[tuple[int, Member], Path]) -> list[Member]:
    """Lay a layer over a tree, and write what a reader may want of it, whether an upper layer hides it or not.

    :returns: the layer's members.
    """
    found = []
    tree.begin()
    with gunzip(layer.path) as stream:
        for member, content in members(stream):
            path = tree.add(member)
            found.append(member)
            if member.kind is Kind.FILE and (member.size <= LARGEST_FILE or path == HELM):
                chunks = content.chunks()
                first = next(chunks, b"")
                if path == HELM or not is_binary(first[:HEAD]):  # else the stream goes on to the next by itself
                    target = written.setdefault((number, member), aside / str(len(written)))
                    _write(target, first, chunks)  # the last of that name counts, as for tar
    tree.end()
    return found


def _write_alone(layer: Layer, path: str, target: Path) -> None:
    """A file of a layer that was passed over, and is needed for another name that it has."""
    with gunzip(layer.path) as stream:
        for member, content in members(stream):
            if member.kind is Kind.FILE and member.path == path:
                _write(target, b"", content.chunks())


def _write(target: Path, first: bytes, chunks: Iterator[bytes]) -> None:
    with target.open("wb") as file:
        file.write(first)
        for chunk in chunks:
            file.write(chunk)


def _name(tree: Tree, written: dict[tuple[int, Member], Path], directory: Path) -> None:
    """Give what was written the names that it has in the finished tree."""
    for path, node in tree.files():
        if source := written.get(node.origin):
            target = directory / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.hardlink_to(source)
            if path == HELM:
                target.chmod(0o700)


GZIP = b"\x1f\x8b"
_WIDE = (b"\xff\xfe", b"\xfe\xff")  # byte order marks of UTF-16, which Windows writes


def is_binary(head: bytes) -> bool:
    """Whether a file that begins so is neither text nor a gzip archive."""
    return b"\x00" in head and not head.startswith((GZIP, *_WIDE))


def _regular(root: Path) -> Iterable[str]:
    """Relative paths of all regular files, found without a call per file."""
    waiting = [("", os.fspath(root))]
    while waiting:
        prefix, directory = waiting.pop()
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append((f"{prefix}{entry.name}/", entry.path))
                    elif entry.is_file(follow_symlinks=False):
                        yield prefix + entry.name
        except OSError as error:
            where = prefix.rstrip("/") or os.fspath(root)
            raise ImageError("a directory cannot be read", where=where, why=error.strerror or str(error)) from error
