"""Helm charts: which files belong to one, and what it would run where no helm can render it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from sealer.errors import ImageError
from sealer.image.discovery.documents import decoded
from sealer.image.discovery.files import GZIP, Files
from sealer.image.discovery.nodes import Node, Table, UnreadableError, parse
from sealer.image.storage import storage_errors
from sealer.image.tarstream import Kind, damage, members

CHART, VALUES, REQUIREMENTS = "Chart.yaml", "values.yaml", "requirements.yaml"
RELEASE = "dryrun"
IN_VALUES, IN_TEMPLATE, IN_CHART = "helm-values", "helm-template", "helm-chart"

LARGEST_CHART = 64 * 1024 * 1024  # bytes of all its files
MOST_FILES = 20_000
DEEPEST = 5  # charts within charts
MOST_CHARTS = 500  # within one, at all depths
_OWN_FILES = frozenset({CHART, "Chart.lock", VALUES, "values.schema.json", REQUIREMENTS, "requirements.lock"})
_OWN_DIRECTORIES = ("templates", "charts", "crds", "ci")
_MORE_VALUES = re.compile(r"[\w.-]*values[\w.-]*\.ya?ml")


class Charts:
    """The charts of a tree.

    :ivar roots: the directory of each that is no part of another, with a slash at its end; empty: the tree itself.
    """

    def __init__(self, files: Files) -> None:
        found = sorted(path.removesuffix(CHART) for path in files.paths() if path.rpartition("/")[2] == CHART)
        self.roots: list[str] = []
        self._known: set[str] = set()
        for directory in found:
            inner = any(directory.startswith(f"{root}charts/") for root in self._above(directory))
            if not inner and is_chart(files.read(f"{directory}{CHART}")):
                self.roots.append(directory)
                self._known.add(directory)

    def root_of(self, path: str) -> str | None:
        """The chart that a file belongs to, and by which it is read; None: it is read by itself."""
        for root in self._above(path):
            rest = path[len(root) :]
            if rest in _OWN_FILES or (rest.partition("/")[0] in _OWN_DIRECTORIES and "/" in rest):
                return root
        return None

    def values_of(self, path: str) -> str | None:
        """The chart for which a file has other values: `values-production.yaml` beside its `values.yaml`."""
        root = path[: path.rfind("/") + 1]
        return root if root in self._known and _MORE_VALUES.fullmatch(path[len(root) :]) else None

    def _above(self, path: str) -> Iterator[str]:
        """The known charts above a path, the outermost first."""
        if "" in self._known:
            yield ""
        at = path.find("/")
        while at >= 0:
            if path[: at + 1] in self._known:
                yield path[: at + 1]
            at = path.find("/", at + 1)


class Room:
    """What all charts within one may take together: a packed chart may hold packed charts that hold more.

    :ivar used_up: there was more than that.
    """

    def __init__(self) -> None:
        self.used_up = False
        self._charts = MOST_CHARTS
        self._bytes = LARGEST_CHART

    def take(self, size: int) -> bool:
        """Whether there is room for one more of that many bytes."""
        self._charts -= 1
        self._bytes -= size
        self.used_up = self.used_up or min(self._charts, self._bytes) < 0
        return not self.used_up


def is_chart(content: bytes) -> bool:
    """Whether a `Chart.yaml` is that of a chart."""
    about = first_document(content)
    return isinstance(about, Table) and bool(about.word("name"))


def files_of(files: Files, root: str, owned: Callable[[str], str | None]) -> dict[str, bytes]:
    """The files of a chart by their path in it.

    :param owned: says to which chart a path belongs.
    :raises ImageError: they are too many, or too large.
    """
    found: dict[str, bytes] = {}
    room = LARGEST_CHART
    for path in files.paths():
        # Of a chart that is the tree itself, only what must be part of it.
        if path.startswith(root) and (root or owned(path) == ""):
            found[path[len(root) :]] = content = files.read(path, room)
            room -= len(content)
            if len(found) > MOST_FILES:
                raise ImageError("a chart has too many files", where=root, why=f"more than {MOST_FILES}")
    return found


def unpacked(content: bytes) -> dict[str, bytes] | None:
    """The files of a packed chart by their path in it; None: it is no packed chart, or damaged."""
    try:
        return _unpacked(content)
    except _damage():
        return None


def is_packed_chart(path: Path) -> bool:
    """Whether a file is a packed chart.

    :raises ImageError: it cannot be read.
    """
    with storage_errors("a file cannot be read", path), path.open("rb") as file:
        content = file.read(LARGEST_CHART)
    files = unpacked(content) if content.startswith(GZIP) else None
    return files is not None and is_chart(files.get(CHART, b""))


def _damage() -> tuple[type[Exception], ...]:
    return ImageError, *damage()


def _unpacked(content: bytes) -> dict[str, bytes] | None:
    tops = {
        member.path.removesuffix(CHART)
        for member, _ in members(_Inflated(content))  # most gzip files are none: their content is not kept
        if member.path.count("/") == 1 and member.path.endswith(f"/{CHART}")
    }
    if not tops:
        return None
    prefix = min(tops)
    found: dict[str, bytes] = {}
    for member, body in members(_Inflated(content)):
        if member.kind is Kind.FILE and member.path.startswith(prefix):
            found[member.path[len(prefix) :]] = b"".join(body.chunks())
            if len(found) > MOST_FILES:
                return None
    return found


class _Inflated:
    """A gzip file in memory, as a stream of what is in it, which is never there as a whole."""

    def __init__(self, content: bytes) -> None:
        from isal import igzip_lib

        self._inflate = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
        self._input = content
        self._room = LARGEST_CHART

    def read(self, size: int) -> bytes:
        if self._inflate.eof:
            return b""
        given, self._input = self._input, b""
        found: bytes = self._inflate.decompress(given, size)
        self._room -= len(found)
        if self._room < 0 or (not found and not self._inflate.eof):
            raise EOFError("the archive is cut off, or too large")
        return found


def first_document(content: bytes) -> Node | None:
    """The first document of a file; None: it has none that can be read."""
    try:
        return next(parse(decoded(content)), None)
    except UnreadableError:
        return None
