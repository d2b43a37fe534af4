"""Goes through a document and finds the images it mentions: by where they stand, and by what their keys say."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sealer.image.discovery import keys
from sealer.image.discovery.around import NOTHING, Above, Words, folded
from sealer.image.discovery.compositions import Part, compose
from sealer.image.discovery.documents import Document, documents, may_mention
from sealer.image.discovery.findings import (
    ARGUMENT,
    ASSIGNMENT,
    COMPLETE,
    CONTAINER,
    ENV,
    KEY,
    LIST,
    PARAMETER,
    VOLUME,
    Findings,
)
from sealer.image.discovery.kinds import HUB, Special, describes_an_image, is_schema, special
from sealer.image.discovery.names import DOCKER_SCHEME, has_tag, is_complete, is_plausible, is_specific, is_valid
from sealer.image.discovery.nodes import Listing, Node, Table, Text
from sealer.image.discovery.scope import NO_TAG

DEEPEST_TEXTS = 4  # documents within documents
_INJECTED = "auto"  # Istio's injector replaces it
# A disk of Ceph, and what a build pushes: below these keys, in a mapping that has one of those.
_NO_IMAGE_IN = {"rbd": {"monitors", "pool", "fsType"}, "output": {"image", "to"}, "outputs": {"image", "to"}}
_NO_KEYS: set[str] = set()
_PATTERN = re.compile(r"^!|\*|\?$| \| | & ")  # what a policy compares images with


@dataclass(frozen=True)
class _At:
    """What is around a node.

    :param key: the nearest key above it.
    :param container: its mapping is a container.
    :param item: it is an item of a list of images.
    :param images: it is a mapping of images by name.
    :param notes: it is within annotations.
    :param above: what the levels above say about images below.
    """

    key: str = ""
    container: bool = False
    item: bool = False
    images: bool = False
    notes: bool = False
    above: Above = NOTHING


class Walk(Findings):
    """Goes through one document."""

    def document(self, root: Node) -> None:
        """Find all of its mentions."""
        seen: set[tuple[int, _At]] = set()
        waiting: list[tuple[Node, _At]] = [(root, _At())]
        while waiting:
            node, at = waiting.pop()
            if (id(node), at) in seen:
                continue
            seen.add((id(node), at))
            if isinstance(node, Table):
                waiting.extend(self._table(node, at))
            elif isinstance(node, Listing):
                waiting.extend(self._listing(node, at))

    # What the two kinds of nodes are looked at for; both give what is to be looked at next.

    def _table(self, table: Table, at: _At) -> list[tuple[Node, _At]]:
        if is_schema(table) or describes_an_image(table) or table.by_name.keys() & _NO_IMAGE_IN.get(at.key, _NO_KEYS):
            return []
        passed_over = set(keys.PASSED_OVER)
        if found := special(table):
            self._special(found)
            passed_over |= found.passed_over
        words = Words(table)
        understood = set() if at.notes else self._whole(words, at)
        below: list[tuple[Node, _At]] = []
        for name, value in table.pairs:
            if name.text in passed_over or name.text == "<<":
                continue
            if isinstance(value, Text):
                if name.text not in understood:
                    self._value(name.text, value, at)
            else:
                below.append((value, self._below(name.text, value, at, words)))
        return below

    def _below(self, name: str, value: Node, at: _At, words: Words) -> _At:
        if at.notes or name == "annotations":
            return _At(name, notes=True)
        many = keys.is_image_list(name)
        named = isinstance(value, Table) and (many or (at.images and not keys.is_image_like(name)))
        item = many and isinstance(value, Listing)
        return _At(name, container=name in keys.CONTAINERS, item=item, images=named, above=at.above.below(words, name))

    def _listing(self, listing: Listing, at: _At) -> list[tuple[Node, _At]]:
        below: list[tuple[Node, _At]] = []
        self.beside = _settings(listing)
        flag = ""
        for item in listing.items:
            if not isinstance(item, Text):
                flag = ""
                below.append((item, at))
                continue
            if flag and not item.text.startswith("-"):
                self._argument(flag, item.text.strip(), item)
                flag = ""
                continue
            flag = self._word(item, at)
        return below

    # A mapping as a whole.

    def _whole(self, words: Words, at: _At) -> set[str]:
        table = words.table
        by_name = table.by_name
        understood: set[str] = set()
        image = by_name.get("image")
        if at.container:
            for key, value in table.pairs:
                if key.text == "image" and isinstance(value, Text):
                    self._container(value)
                    understood.add("image")
        elif image and isinstance(image[1], Table) and image[1].word("reference"):
            reference = image[1].get("reference")
            assert isinstance(reference, Text)
            self.image(reference.text.strip(), reference, VOLUME, sure=True)
        if "name" in by_name and ("value" in by_name or "default" in by_name):
            understood |= self._variable(table)
        if "value" in by_name and table.word("path").endswith("/image"):  # of a JSON patch
            self._patched(table)
        if not at.container:
            imagey = keys.is_image_like(at.key) or at.images
            composition = compose(words, imagey=imagey, item=at.item, above=at.above)
            for part in composition.parts:
                self._part(part)
            understood |= composition.understood
        if at.item and "name" not in understood and "image" not in by_name:
            self._item_name(table)
        return understood

    def _container(self, value: Text) -> None:
        text = value.text.strip()
        if value.tag:
            self.unresolved(f"{value.tag} {text}", f"the tag {value.tag} says that it is computed", value, CONTAINER)
        elif text == _INJECTED and not self.scope.hub[0]:
            self.unresolved(text, "Istio's injector puts the image in", value, CONTAINER)
        elif value.is_text and text and text != _INJECTED and not _PATTERN.search(text):
            self.image(text, value, CONTAINER, sure=True)

    def _part(self, part: Part) -> None:
        at = Text("", part.line)
        hub, tag = self.scope.hub
        if not part.text and hub and is_valid(part.mention) and not is_specific(part.mention):
            self.image(f"{hub}/{part.mention}:{tag}", at, HUB)
        elif not part.text:
            self.unresolved(part.mention, NO_TAG, at, part.rule)
        else:
            self.image(part.text, at, part.rule)

    def _item_name(self, table: Table) -> None:
        name = table.get("name")
        if isinstance(name, Text) and name.is_text and is_specific(name.text) and has_tag(name.text):
            self.image(name.text.strip(), name, LIST)

    def _variable(self, table: Table) -> set[str]:
        """`name` and `value`: a variable of a container; `name` and `default`: a parameter."""
        key, rule = ("value", ENV) if "value" in table.by_name else ("default", PARAMETER)
        value = table.get(key)
        if not isinstance(value, Text) or not value.is_text:
            return set()
        found = self.assigned(table.word("name"), value.text, value, rule)
        return {key} if found and "\n" not in value.text.strip() else set()  # lines may be a document

    def _patched(self, table: Table) -> None:
        value = table.get("value")
        if isinstance(value, Text) and value.is_text:
            self.image(value.text.strip(), value, KEY, untagged="ontainers/" in table.word("path"))

    def _special(self, found: Special) -> None:
        for text, line, rule in found.images:
            self.image(text, Text("", line), rule, guess=rule != "kubeadm")
        for text, why, line in found.unknown:
            self.unresolved(text, why, Text("", line), "operator")
        for text, line in found.texts:
            self._embedded(Text(text, line, style='"'))

    # A value by its key.

    def _value(self, name: str, value: Text, at: _At) -> None:
        text = value.text.strip()
        if value.tag:
            if keys.is_image_like(name):
                self.unresolved(f"{value.tag} {text}", f"the tag {value.tag} says that it is computed", value, KEY)
            return
        if not value.is_text or not text:
            return
        if at.notes:
            if keys.is_image_like(name) and is_specific(text):
                self.image(text, value, KEY)
        elif keys.is_image_like(name):
            self._keyed(text, value)
        elif (keys.is_loosely_image(name) and "/" in text) or (keys.begins_with_image(name) and is_specific(text)):
            self.image(text, value, KEY)
        elif not at.images or not is_specific(text):
            self._other(text, value)
        elif not keys.is_part(name):
            self.image(text, value, LIST)

    def _keyed(self, text: str, value: Text) -> None:
        hub, tag = self.scope.hub
        if hub and not is_specific(text) and is_valid(text) and text != _INJECTED:
            self.image(f"{hub}/{text}:{tag}", value, HUB)
        elif "\n" in text:
            self._embedded(value)
        else:
            self.image(text, value, KEY)

    def _other(self, text: str, value: Text) -> None:
        if text.startswith(DOCKER_SCHEME) or is_complete(text):
            self.image(text, value, COMPLETE)
        elif "\n" in text or text[0] in "{[" or keys.assigns_an_image(text):
            self._embedded(value)
        elif "--" in text and "image" in text:
            self.script(text, value)

    # The texts of a list: arguments, images, assignments.

    def _word(self, item: Text, at: _At) -> str:
        """Look at one text; gives the name of an argument whose value is the next one."""
        text = item.text.strip()
        if item.tag or not item.is_text or not text or at.notes:
            return ""
        if text.startswith("-"):
            match = keys.ARGUMENT.fullmatch(text)
            if match and match["value"] is None:
                return match["name"]
            if match:
                self._argument(match["name"], match["value"].strip().strip("\"'"), item)
                return ""
        if at.item:
            self.image(text, item, LIST)
            return ""
        assigned = ASSIGNMENT.fullmatch(text)
        if assigned and self.assigned(assigned["name"], assigned["value"], item, ENV):
            return ""
        self._other(text, item)
        return ""

    def _argument(self, name: str, value: str, at: Text) -> None:
        if name.lower() in keys.PUSHING:
            return
        if keys.is_base_image(name) and not has_tag(value) and is_plausible(value):
            self.unresolved(value, "the program adds the version", at, ARGUMENT)
        elif keys.is_image_variable(name):
            for one in value.split(","):
                text = one.strip()
                self.image(text if has_tag(text) else self.with_tag(name, text), at, ARGUMENT)
        elif (keys.speaks_of_images(name) and is_specific(value) and has_tag(value)) or is_complete(value):
            self.image(value, at, ARGUMENT)
        elif inner := ASSIGNMENT.fullmatch(value):
            self.assigned(inner["name"], inner["value"], at, ARGUMENT)
        elif value:
            self._other(value, Text(value, at.line, style=at.style))

    # Texts that are documents of their own.

    def _embedded(self, value: Text) -> None:
        text = self.templated.source(value.text)
        if self.depth >= DEEPEST_TEXTS or not may_mention(text):
            return
        block = value.style == "|"
        first = value.line + block
        line = self.line or (0 if block else value.line)
        is_data = False
        for document in documents(text, first):
            is_data = isinstance(document, Document)
            if isinstance(document, Document):
                inner = Walk(self.scope.inner(document.root), document.templated, line, self.depth + 1, self.mentions)
                inner.scope.named = {**self.scope.named, **inner.scope.named}
                inner.document(document.root)
        if not is_data:  # or not to its end
            self.script(text, value)


def _settings(listing: Listing) -> dict[str, str]:
    """The values of a list's arguments and assignments, by their folded names."""
    found: dict[str, str] = {}
    flag = ""
    for item in listing.items:
        text = item.text.strip() if isinstance(item, Text) else ""
        match = keys.ARGUMENT.fullmatch(text) if text.startswith("-") else ASSIGNMENT.fullmatch(text)
        if match and match["value"] is not None:
            found.setdefault(folded(match["name"]), match["value"].strip().strip("\"'"))
        elif flag and text and not match:
            found.setdefault(folded(flag), text)
        flag = match["name"] if match and match["value"] is None else ""
    return found
