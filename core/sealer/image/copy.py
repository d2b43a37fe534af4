"""COPY and ADD: which files of the build context go where in the rootfs."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sealer.errors import BuildError, ImageError
from sealer.events import Json
from sealer.image.changes import contained
from sealer.image.compressed import opened
from sealer.image.ignore import Ignore, path_pattern
from sealer.image.layer import Entry, Scanner, check_depth, order
from sealer.image.links import LeadsOutError
from sealer.image.storage import storage_errors
from sealer.image.tarstream import BLOCK, Kind, is_header, named
from sealer.image.tree import Tree
from sealer.image.unpack import Unpacked
from sealer.suggestions import close_matches

# Where `COPY file plugin` means "into the directory plugin", also where the base has no such directory yet.
DIRECTORIES = frozenset(
    ["applications", "bin", "charts", "etc", "imageList.d", "manifests", "plugin", "plugins", "scripts", "statics"]
)
_STARS = re.compile(r"(?<!\\)\*{2,}")  # one star to Docker's COPY
_WILDCARD = re.compile(r"[*?\[]")


class SourceError(BuildError):
    """A source is not there, or cannot be copied.

    :param source: as it was asked for.
    """

    def __init__(self, source: str, why: BuildError) -> None:
        super().__init__(why.what, where=why.where, why=why.why, remedy=why.remedy)
        self.source = source


class NoMatchError(SourceError):
    """A wildcard matches nothing."""


class _UnmatchedError(BuildError):
    """A pattern without a match."""


class Context:
    """The directory a build may take files from.

    :param hidden: a directory that no COPY sees: the image store may lie in the context.
    :raises BuildError: it is no directory.
    """

    def __init__(self, directory: Path, hidden: Path | None = None) -> None:
        self._hidden = Path(os.path.realpath(hidden)) if hidden else None
        self.directory = Path(os.path.realpath(directory))
        if not self.directory.is_dir():
            raise BuildError("the build context is no directory", where=str(directory))
        self.ignore = Ignore.of(self.directory)

    def find_all(self, sources: Sequence[str | Made]) -> list[tuple[Path, str] | Made]:
        """What all of the sources name; a wildcard may match nothing where another source is there, as with Docker.

        :raises SourceError: one is not there, or outside the context.
        """
        found: list[tuple[Path, str] | Made] = []
        unmatched: SourceError | None = None
        for source in sources:
            try:
                found += [source] if isinstance(source, Made) else self.find(source)
            except NoMatchError as error:
                unmatched = unmatched or error
        if unmatched is not None and not found:
            raise unmatched
        return found

    def find(self, source: str) -> list[tuple[Path, str]]:
        """The files and directories that one source names, each with its path in the context, sorted.

        :raises NoMatchError: it is a wildcard that matches nothing.
        :raises SourceError: there is none, or it is outside the context.
        """
        try:
            return self._find(source)
        except _UnmatchedError as error:
            raise NoMatchError(source, error) from None
        except BuildError as error:
            raise SourceError(source, error) from None

    def _find(self, source: str) -> list[tuple[Path, str]]:
        relative = os.path.normpath(source.lstrip("/") or ".")
        if relative == ".." or relative.startswith("../"):
            raise BuildError(
                f"'{source}' is outside the build context", remedy="only files below the context can be copied"
            )
        if relative == ".":
            return [(self.directory, "")]
        found = self._matching(relative) if _WILDCARD.search(relative) else [relative]
        found = [path for path in found if os.path.lexists(self.directory / path)]
        seen = [path for path in found if not self.ignore.ignores(path) or self._holds_some(path)]
        if not seen:
            kind = _UnmatchedError if _WILDCARD.search(relative) else BuildError
            raise kind(f"'{source}' is not in the build context", remedy=self._advice(relative, ignored=bool(found)))
        return [(self._inside(path, source), path) for path in seen]

    def _holds_some(self, path: str) -> bool:
        return self.ignore.takes_back and (self.directory / path).is_dir()

    def _inside(self, path: str, source: str) -> Path:
        real = Path(os.path.realpath(self.directory / path))
        if real != self.directory and self.directory not in real.parents:
            raise BuildError(f"'{source}' is a link that leads out of the build context", where=path, why=f"to {real}")
        if not real.exists():
            raise BuildError(f"'{source}' is a link to nothing", where=path)
        return real

    def _matching(self, pattern: str) -> list[str]:
        found = [""]
        for part in pattern.split("/"):
            expression = re.compile(path_pattern(_STARS.sub("*", part)), re.DOTALL)
            found = [
                os.path.join(head, name)  # noqa: PTH118 - text, not a path: it may be empty
                for head in found
                for name in sorted(_names(self.directory / head))
                if (expression.fullmatch(name) if _WILDCARD.search(part) else name == part)
            ]
        return [path for path in found if not self.ignore.ignores(path)]

    def _advice(self, relative: str, *, ignored: bool) -> str:
        if ignored:
            return "an ignore file leaves it out"
        directory, _, name = relative.rpartition("/")
        near = close_matches(name, _names(self.directory / directory), n=1)
        return (
            f"did you mean '{os.path.join(directory, near[0])}'?"  # noqa: PTH118
            if near
            else f"check the path; the context is {self.directory}"
        )

    def walk(self, directory: Path, path: str) -> Iterator[tuple[Path, str]]:
        """What lies below a directory and is not ignored, with its path relative to that directory."""
        yield from self._walk(directory, path, "")

    def _walk(self, directory: Path, path: str, prefix: str) -> Iterator[tuple[Path, str]]:
        check_depth(prefix)
        for name in sorted(_names(directory)):
            source, inner = directory / name, f"{path}/{name}" if path else name
            if source == self._hidden:
                continue
            ignored = self.ignore.ignores(inner)
            if not ignored:
                yield source, f"{prefix}{name}"
            if source.is_dir() and not source.is_symlink() and (not ignored or self.ignore.takes_back):
                yield from self._walk(source, inner, f"{prefix}{name}/")


@dataclass(frozen=True)
class Made:
    """A file that no build context has: a download, or a text of the Kubefile.

    :param path: where it lies, once it is made.
    :param name: what it is called in a directory; empty: nothing says so.
    :param origin: what it is made from, for messages.
    :param digest: of its content, `sha256:<hex>`; known before it is made.
    :param mode: permission bits, where there is no --chmod.
    :param make: makes it, if it is not there yet.
    """

    path: Path
    name: str
    origin: str
    digest: str
    mode: int
    make: Callable[[], None] | None = None

    @property
    def key(self) -> list[Json]:
        """All that decides about what becomes of it."""
        return [self.name, self.digest, self.mode]


class CopyPlan:
    """The entries of one COPY's layer.

    :param tree: the rootfs before.
    :param unpack_into: an empty directory for archives (ADD), or None: archives are copied as they are.
    """

    def __init__(
        self, context: Context, tree: Tree, *, chmod: int | None = None, unpack_into: Path | None = None
    ) -> None:
        self._context = context
        self._tree = tree
        self._chmod = chmod
        self._unpack_into = unpack_into
        self._found: dict[str, str] = {}  # where each path of the rootfs comes from
        self._made: dict[Path, int] = {}
        self._links: dict[str, str] = {"": ""}  # directories as they were named, and where they really lie

    @property
    def files(self) -> tuple[str, ...]:
        """The files that the sources became, in the order of the sources; those of a directory sorted."""
        return tuple(path for path, source in self._found.items() if not _is_directory(Path(source)))

    def entries(self, sources: Sequence[str | Made], destination: str) -> list[Entry]:
        """All entries, in the order of a layer.

        :raises BuildError: a source is not there, or the destination cannot be.
        """
        found = self._context.find_all(sources)
        target = self._destination(destination)
        is_directory = destination.endswith(("/", "/.")) or target in ("", *DIRECTORIES) or len(found) > 1
        node = self._tree.get(target)
        is_directory = is_directory or (node is not None and node.member.kind is Kind.DIRECTORY)
        for item in found:
            if isinstance(item, Made):
                self._add_made(item, target, is_directory=is_directory)
            else:
                self._add_source(*item, target, is_directory=is_directory)
        scanner = Scanner()  # sees the files in the layer's order: a hard link comes after what it links to
        entries = self._parents()
        for path in sorted(self._found, key=order):
            origin = Path(self._found[path])
            entry = scanner.entry(origin, path, mode=self._mode(origin))
            if entry is not None:
                entries.append(contained(entry, self._context.directory))
        entries.sort(key=lambda entry: order(entry.path))
        return entries

    def _destination(self, destination: str) -> str:
        path = os.path.normpath(destination.lstrip("/") or ".")
        if path == ".." or path.startswith("../"):
            raise BuildError(f"the destination '{destination}' is outside the rootfs")
        try:
            return self._tree.follow("" if path == "." else path)
        except LeadsOutError:
            raise BuildError(f"the destination '{destination}' leads out of the rootfs through a link") from None

    def _add_made(self, made: Made, target: str, *, is_directory: bool) -> None:
        if is_directory and not made.name:
            raise BuildError(
                f"{made.origin} does not say how the file is to be called",
                remedy="name the file in the destination",
            )
        if made.make is not None:
            made.make()
        self._made[made.path] = made.mode
        self._add(made.path, f"{target}/{made.name}".lstrip("/") if is_directory else target)

    def _add_source(self, source: Path, path: str, target: str, *, is_directory: bool) -> None:
        if source.is_dir():
            if target:
                self._add(source, target)
            self._add_all(self._context.walk(source, path), target)
            return
        if self._unpack_into is not None and _is_tar(source):
            directory = self._unpack_into / str(len(list(self._unpack_into.iterdir())))
            with named(source), opened(source, self._unpack_into) as stream:
                Unpacked(directory).apply_tar(stream)
            self._add_all(Context(directory).walk(directory, ""), target)
            return
        name = path.rpartition("/")[2]
        self._add(source, f"{target}/{name}".lstrip("/") if is_directory else target)

    def _add_all(self, files: Iterator[tuple[Path, str]], target: str) -> None:
        for source, path in files:
            self._add(source, f"{target}/{path}".lstrip("/"))

    def _add(self, source: Path, path: str) -> None:
        path = self._followed(path, directory=_is_directory(source))
        old = self._found.get(path)
        if old is not None and _is_directory(Path(old)) != _is_directory(source):
            raise BuildError(f"two sources are to become '{path}', and only one is a directory")
        self._found[path] = os.fspath(source)

    def _followed(self, path: str, *, directory: bool) -> str:
        """Where a path of the destination really lies: through the rootfs's links to directories, as with Docker.

        A file or a link takes the place of a link that has its name.
        """
        head, _, name = path.rpartition("/")
        head = self._linked(head)
        path = f"{head}/{name}".lstrip("/")
        return self._linked(path) if directory else path

    def _linked(self, directory: str) -> str:
        if directory not in self._links:
            head, _, name = directory.rpartition("/")
            path = f"{self._linked(head)}/{name}".lstrip("/") if directory else ""
            node = self._tree.get(path)
            if node is not None and node.member.kind is Kind.SYMLINK and path not in self._found:
                try:
                    target = self._tree.follow(path)
                except LeadsOutError:
                    target = path
                led = self._tree.get(target)
                path = target if led is not None and led.member.kind is Kind.DIRECTORY else path
            self._links[directory] = path
        return self._links[directory]

    def _mode(self, source: Path) -> int | None:
        if self._chmod is None:
            return self._made.get(source)
        if not _is_directory(source):
            return self._chmod
        return self._chmod | (self._chmod & 0o444) >> 2  # a directory that may be read may be entered

    def _parents(self) -> list[Entry]:
        """The directories that neither the sources nor the rootfs have."""
        entries: dict[str, Entry] = {}
        for path in self._found:
            directory = path.rpartition("/")[0]
            while directory and directory not in self._found and directory not in entries:
                node = self._tree.get(directory)
                if node is not None and node.member.kind is not Kind.DIRECTORY:
                    raise BuildError(f"'{path}' cannot be made: '{directory}' is a {node.member.kind} in the rootfs")
                if node is None:
                    entries[directory] = Entry(directory, Kind.DIRECTORY, 0o755)
                directory = directory.rpartition("/")[0]
        return list(entries.values())


def _is_directory(source: Path) -> bool:
    return source.is_dir() and not source.is_symlink()


def _names(directory: Path) -> list[str]:
    if not directory.is_dir():
        return []
    with storage_errors("a directory could not be read", directory):
        return os.listdir(directory)  # noqa: PTH208 - names are wanted


def _is_tar(source: Path) -> bool:
    """Whether it is a tar archive, compressed or not: the content tells, as with Docker, not the name."""
    if not stat.S_ISREG(source.stat().st_mode):
        return False
    try:
        with opened(source) as stream:
            return is_header(stream.read(BLOCK))
    except ImageError:
        return False
