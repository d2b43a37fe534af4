"""What a Helm chart would run, as far as that can be told without helm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sealer.errors import InputError
from sealer.image.discovery.actions import Actions, Plain, overlaid, plain
from sealer.image.discovery.charts import (
    CHART,
    DEEPEST,
    LARGEST_CHART,
    MOST_CHARTS,
    RELEASE,
    REQUIREMENTS,
    VALUES,
    Room,
    first_document,
    unpacked,
)
from sealer.image.discovery.documents import Document, documents
from sealer.image.discovery.files import GZIP
from sealer.image.discovery.manifests import read_manifest
from sealer.image.discovery.model import ImageReference, Mention, UnresolvedReference
from sealer.image.discovery.names import is_valid, normalised
from sealer.image.discovery.nodes import Listing, Node, Table, Text
from sealer.image.discovery.scope import NO_TAG, UNTAGGED, Scope
from sealer.image.discovery.templated import neutralised
from sealer.image.discovery.walking import Walk

IN_VALUES, IN_TEMPLATE, IN_CHART = "helm-values", "helm-template", "helm-chart"


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

    def inner(self, room: Room) -> Iterator[Chart]:
        """The charts within it, in directories and packed, as long as there is room."""
        tops = sorted({path.split("/")[1] for path in self.files if path.startswith("charts/") and path.count("/") > 1})
        for top in tops:
            prefix = f"charts/{top}/"
            files = {path[len(prefix) :]: content for path, content in self.files.items() if path.startswith(prefix)}
            if CHART in files and room.take(sum(map(len, files.values()))):
                yield Chart(files, f"{self.place}{prefix}")
        for path, content in sorted(self.files.items()):
            if path.startswith("charts/") and path.count("/") == 1 and content.startswith(GZIP):
                if room.used_up:
                    return
                packed = unpacked(content)
                if packed is not None and room.take(sum(map(len, packed.values()))):
                    yield Chart(packed, f"{self.place}{path}/")

    def too_large(self, room: Room | None = None) -> bool:
        """Whether it holds more charts than are read, also among those that its values leave out.

        :param room: what the charts within the outermost may still take.
        """
        room = room or Room()
        return any(inner.too_large(room) for inner in self.inner(room)) or room.used_up

    def mentions(self, depth: int = 0, room: Room | None = None) -> list[Mention]:
        """What it would run, guessed from its values and from the lines of its templates.

        :param depth: of how many charts it is a part.
        :param room: what the charts within the outermost may still take.
        """
        outermost = room is None
        room = room or Room()
        found = self._in_templates()
        known = {_name(one.image) for one in found if isinstance(one, ImageReference)}
        found += [one for one in self._in_values() if _name(_text(one)) not in known or not lacks_tag(one)]
        found += self._in_about()
        if depth < DEEPEST:
            for inner in self.inner(room):
                if self._wanted(inner):
                    inner.values = self._values_for(inner)
                    found += inner.mentions(depth + 1, room)
        if outermost and room.used_up:
            why = (
                f"it has more than {MOST_CHARTS} charts, or {LARGEST_CHART} bytes, within it; the others were not read"
            )
            found.append(UnresolvedReference(self.name or CHART, why, 1, IN_CHART, f"{self.place}{CHART}"))
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
        for about in (self.about, self._table(REQUIREMENTS)):  # of charts for Helm 3, and for Helm 2
            listed = about.get("dependencies")
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
    return isinstance(one, UnresolvedReference) and one.why in (NO_TAG, UNTAGGED)


def with_tag(one: Mention, tag: str) -> Mention:
    """With the tag that a chart takes where its values have none: the version of its application."""
    if not isinstance(one, UnresolvedReference) or not tag or one.why != NO_TAG or not is_valid(f"{one.text}:{tag}"):
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


def overlaid_by(values: Node, file: Path | bytes) -> Node:
    """Values with those of a file, or of its content, over them.

    :raises InputError: the file cannot be read, or has no values in it.
    """
    try:
        content = file if isinstance(file, bytes) else file.read_bytes()
    except OSError as error:
        raise InputError("a file of values cannot be read", where=str(file), why=error.strerror or "") from error
    above = first_document(content)
    if not isinstance(above, Table) and isinstance(file, bytes):
        return values  # helm says what is wrong with it
    if not isinstance(above, Table):
        raise InputError("a file of values has no mapping in it", where=str(file))
    return overlaid(values, above)
