"""Helm charts: which files belong to one, and what it would run where no helm can render it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sealer.errors import ImageError, InputError
from sealer.image.discovery.actions import Actions, Plain, overlaid, plain
from sealer.image.discovery.documents import Document, decoded, documents
from sealer.image.discovery.files import GZIP, Files
from sealer.image.discovery.manifests import read_manifest
from sealer.image.discovery.model import ImageReference, Mention, UnresolvedReference
from sealer.image.discovery.names import is_valid, normalised
from sealer.image.discovery.nodes import Listing, Node, Table, Text, UnreadableError, parse
from sealer.image.discovery.scope import NO_TAG, Scope
from sealer.image.discovery.templated import neutralised
from sealer.image.discovery.walking import Walk
from sealer.image.tarstream import Kind, damage, members

CHART, VALUES = "Chart.yaml", "values.yaml"
RELEASE = "dryrun"
IN_VALUES, IN_TEMPLATE, IN_CHART = "helm-values", "helm-template", "helm-chart"

LARGEST_CHART = 64 * 1024 * 1024  # bytes of all its files
MOST_FILES = 20_000
DEEPEST = 5  # charts within charts
_OWN_FILES = frozenset({CHART, "Chart.lock", VALUES, "values.schema.json", "requirements.yaml", "requirements.lock"})
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


@dataclass
class Chart:
    """A chart that is read without helm.

    :param files: content by path.
    :param place: what its paths are below, for messages; with a slash at its end.
    """

    files: dict[str, bytes]
    place: str
    about: Table = field(init=False)
    values: Node = field(init=False)

    def __post_init__(self) -> None:
        self.about = self._table(CHART)
        self.values = self._table(VALUES)

    def _table(self, name: str) -> Table:
        root = first_document(self.files.get(name, b""))
        return root if isinstance(root, Table) else Table(0)

    @property
    def name(self) -> str:
        """Its name."""
        return self.about.word("name")

    @property
    def version(self) -> str:
        """The version of the application in it."""
        return self.about.word("appVersion")

    def inner(self) -> Iterator[Chart]:
        """The charts within it, in directories and packed."""
        tops = sorted({path.split("/")[1] for path in self.files if path.startswith("charts/") and path.count("/") > 1})
        for top in tops:
            prefix = f"charts/{top}/"
            files = {path[len(prefix) :]: content for path, content in self.files.items() if path.startswith(prefix)}
            if CHART in files:
                yield Chart(files, f"{self.place}{prefix}")
        for path, content in sorted(self.files.items()):
            if path.startswith("charts/") and path.count("/") == 1 and content.startswith(GZIP):
                packed = unpacked(content)
                if packed is not None:
                    yield Chart(packed, f"{self.place}{path}/")

    def mentions(self, depth: int = 0) -> list[Mention]:
        """What it would run, guessed from its values and from the lines of its templates."""
        found = self._in_templates()
        known = {_name(one.image) for one in found if isinstance(one, ImageReference)}
        found += [one for one in self._in_values() if _name(_text(one)) not in known or not lacks_tag(one)]
        found += self._in_about()
        if depth < DEEPEST:
            for inner in self.inner():
                if self._wanted(inner):
                    inner.values = self._values_for(inner)
                    found += inner.mentions(depth + 1)
        return [with_tag(one, self.version) for one in found]

    def _in_values(self) -> list[Mention]:
        if not isinstance(self.values, Table):
            return []
        walk = Walk(Scope(guess=True, rule=IN_VALUES).inner(self.values), neutralised(""))
        walk.document(self.values)
        return [_placed(one, f"{self.place}{VALUES}") for one in self._of_registry(walk.mentions)]

    def _of_registry(self, mentions: Sequence[Mention]) -> Iterator[Mention]:
        """With `global.imageRegistry`, if that is given, for the registry of all images."""
        glob = self.values.table("global") if isinstance(self.values, Table) else None
        registry = glob.word("imageRegistry") if glob else ""
        for one in mentions:
            if isinstance(one, ImageReference) and registry and is_valid(one.image):
                path = normalised(one.image).partition("/")[2]
                yield replace(one, image=f"{registry.rstrip('/')}/{path}")
            else:
                yield one

    def _in_templates(self) -> list[Mention]:
        values = plain(self.values)
        actions = Actions(
            {
                "Values": values if isinstance(values, dict) else {},
                "Chart": {
                    "Name": self.name,
                    "Version": self.about.word("version"),
                    "AppVersion": self.version,
                },
                "Release": {"Name": RELEASE, "Namespace": "default", "Service": "Helm"},
            }
        )
        found: list[Mention] = []
        for path, content in sorted(self.files.items()):
            if path.startswith("templates/") and path.endswith((".yaml", ".yml", ".json", ".tpl")):
                scope = Scope(actions, guess=True, rule=IN_TEMPLATE)
                found += [_placed(one, f"{self.place}{path}") for one in read_manifest(path, content, scope)]
        return found

    def _in_about(self) -> list[Mention]:
        """The annotations in which chart repositories want all images listed."""
        notes = self.about.table("annotations")
        found: list[Mention] = []
        for key in ("images", "artifacthub.io/images"):
            value = notes.get(key) if notes else None
            if not isinstance(value, Text):
                continue
            for document in documents(value.text, value.line + (value.style == "|")):
                if isinstance(document, Document):
                    walk = Walk(Scope(guess=True, rule=IN_CHART).inner(document.root), document.templated)
                    walk.document(document.root)
                    found += [_placed(one, f"{self.place}{CHART}") for one in walk.mentions]
        return found

    def _dependency(self, inner: Chart) -> Table | None:
        listed = self.about.get("dependencies")
        for item in listed.items if isinstance(listed, Listing) else ():
            if isinstance(item, Table) and item.word("name") == inner.name:
                return item
        return None

    def _wanted(self, inner: Chart) -> bool:
        """Whether a chart within this one is not switched off by the values."""
        dependency = self._dependency(inner)
        conditions = dependency.word("condition") if dependency else ""
        values = plain(self.values)
        for condition in filter(None, (part.strip() for part in conditions.split(","))):
            value: Plain = values
            for part in condition.split("."):
                value = value.get(part) if isinstance(value, dict) else None
            if isinstance(value, bool):
                return value
        return True

    def _values_for(self, inner: Chart) -> Node:
        dependency = self._dependency(inner)
        name = (dependency.word("alias") if dependency else "") or inner.name
        values = inner.values
        own = self.values.get(name) if isinstance(self.values, Table) else None
        if isinstance(own, Table):
            values = overlaid(values, own)
        glob = self.values.get("global") if isinstance(self.values, Table) else None
        if isinstance(glob, Table):
            above = Table(0)
            above.pairs.append((Text("global", 0), glob))
            values = overlaid(values, above)
        return values


def lacks_tag(one: Mention) -> bool:
    """Whether all that is missing is a tag."""
    return isinstance(one, UnresolvedReference) and one.why == NO_TAG


def with_tag(one: Mention, tag: str) -> Mention:
    """With the tag that a chart takes where its values have none: the version of its application."""
    if not isinstance(one, UnresolvedReference) or not tag or not lacks_tag(one) or not is_valid(f"{one.text}:{tag}"):
        return one
    return ImageReference(f"{one.text}:{tag}", one.line, one.rule, one.file, guess=True)


def _text(one: Mention) -> str:
    return one.image if isinstance(one, ImageReference) else one.text


def _name(image: str) -> str:
    """A reference without its tag."""
    if not is_valid(image):
        return image
    return normalised(image).partition("@")[0].rpartition(":")[0]


def _placed(one: Mention, file: str) -> Mention:
    return replace(one, file=file)


def first_document(content: bytes) -> Node | None:
    """The first document of a file; None: it has none that can be read."""
    try:
        return next(parse(decoded(content)), None)
    except UnreadableError:
        return None


def overlaid_by(values: Node, file: Path) -> Node:
    """Values with those of a file over them.

    :raises InputError: the file cannot be read, or has no values in it.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError("a file of values cannot be read", where=str(file), why=error.strerror or "") from error
    above = first_document(content)
    if not isinstance(above, Table):
        raise InputError("a file of values has no mapping in it", where=str(file))
    return overlaid(values, above)
