"""Goes through a document and finds the images it mentions: by where they stand, and by what their keys say."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from sealer.image.discovery import keys
from sealer.image.discovery.compositions import Part, compose
from sealer.image.discovery.documents import Document, documents, lines, may_mention
from sealer.image.discovery.kinds import HUB, Special, is_schema, special
from sealer.image.discovery.model import ImageReference, Mention, UnresolvedReference
from sealer.image.discovery.names import DOCKER_SCHEME, has_tag, is_complete, is_plausible, is_specific, is_valid
from sealer.image.discovery.nodes import Listing, Node, Table, Text
from sealer.image.discovery.scope import NO_TAG, Scope
from sealer.image.discovery.templated import Templated, is_templated

CONTAINER, VOLUME, KEY, LIST = "container", "image-volume", "image-key", "images-list"
ARGUMENT, ENV, PARAMETER, COMPLETE, SETTING = "argument", "env", "parameter", "reference", "setting"

DEEPEST_TEXTS = 4  # documents within documents
_INJECTED = "auto"  # Istio's injector replaces it
_TAG_WORD = re.compile(r"(?P<name>[\w.\-]+)=(?P<value>\S.*)", re.DOTALL)
_TAG_ENDS = ("_TAG", "_VERSION", "-tag", "-version", "Tag", "Version", "_tag", "_version")
_PATTERN = re.compile(r"^!|\*|\?$| \| | & ")  # what a policy compares images with
_SEPARATORS = re.compile(r"[\s,;]+")


@dataclass(frozen=True)
class _At:
    """What is around a node.

    :param key: the nearest key above it.
    :param container: its mapping is a container.
    :param item: it is an item of a list of images.
    :param images: it is a mapping of images by name.
    :param notes: it is within annotations.
    """

    key: str = ""
    container: bool = False
    item: bool = False
    images: bool = False
    notes: bool = False


@dataclass
class Walk:
    """One document.

    :param templated: its text, with templates replaced.
    :param line: the one line all of it stands in; 0: the nodes know.
    :param depth: documents around it.
    """

    scope: Scope
    templated: Templated
    line: int = 0
    depth: int = 0
    mentions: list[Mention] = field(default_factory=list)

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
        if is_schema(table):
            return []
        passed_over = set(keys.PASSED_OVER)
        if found := special(table):
            self._special(found)
            passed_over |= found.passed_over
        understood: set[str] = set()
        if not at.notes:
            understood = self._whole(table, at)
        below: list[tuple[Node, _At]] = []
        for name, value in table.pairs:
            if name.text in passed_over or name.text == "<<":
                continue
            if isinstance(value, Text):
                if name.text not in understood:
                    self._value(name.text, value, at)
            else:
                below.append((value, self._below(name.text, value, at)))
        return below

    def _below(self, name: str, value: Node, at: _At) -> _At:
        if at.notes or name == "annotations":
            return _At(name, notes=True)
        many = keys.is_image_list(name)
        named = isinstance(value, Table) and (many or (at.images and not keys.is_image_like(name)))
        return _At(name, container=name in keys.CONTAINERS, item=many and isinstance(value, Listing), images=named)

    def _listing(self, listing: Listing, at: _At) -> list[tuple[Node, _At]]:
        below: list[tuple[Node, _At]] = []
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

    def _whole(self, table: Table, at: _At) -> set[str]:
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
            self._image(reference.text.strip(), reference, VOLUME, sure=True)
        if "name" in by_name and ("value" in by_name or "default" in by_name):
            understood |= self._variable(table)
        if "value" in by_name and table.word("path").endswith("/image"):  # of a JSON patch
            self._patched(table)
        if not at.container:
            imagey = keys.is_image_like(at.key) or at.images
            composition = compose(table, imagey=imagey, item=at.item)
            for part in composition.parts:
                self._part(part)
            understood |= composition.understood
        if at.item and "name" not in understood and "image" not in by_name:
            self._item_name(table)
        return understood

    def _container(self, value: Text) -> None:
        text = value.text.strip()
        if value.tag:
            self._unresolved(f"{value.tag} {text}", f"the tag {value.tag} says that it is computed", value, CONTAINER)
        elif text == _INJECTED and not self.scope.hub[0]:
            self._unresolved(text, "Istio's injector puts the image in", value, CONTAINER)
        elif value.is_text and text and text != _INJECTED and not _PATTERN.search(text):
            self._image(text, value, CONTAINER, sure=True)

    def _part(self, part: Part) -> None:
        at = Text("", part.line)
        if not part.text:
            self._unresolved(part.mention, NO_TAG, at, part.rule)
            return
        self._image(part.text, at, part.rule)

    def _item_name(self, table: Table) -> None:
        name = table.get("name")
        if isinstance(name, Text) and name.is_text and is_specific(name.text) and has_tag(name.text):
            self._image(name.text.strip(), name, LIST)

    def _variable(self, table: Table) -> set[str]:
        """`name` and `value`: a variable of a container; `name` and `default`: a parameter."""
        key, rule = ("value", ENV) if "value" in table.by_name else ("default", PARAMETER)
        value = table.get(key)
        if not isinstance(value, Text) or not value.is_text:
            return set()
        return {key} if self._assigned(table.word("name"), value.text, value, rule) else set()

    def _patched(self, table: Table) -> None:
        value = table.get("value")
        if isinstance(value, Text) and value.is_text:
            self._image(value.text.strip(), value, KEY)

    def _special(self, found: Special) -> None:
        for text, line, rule in found.images:
            self._image(text, Text("", line), rule, guess=rule != "kubeadm")
        for text, why, line in found.unknown:
            self._unresolved(text, why, Text("", line), "operator")
        for text, line in found.texts:
            self._embedded(Text(text, line, style='"'))

    # A value by its key.

    def _value(self, name: str, value: Text, at: _At) -> None:
        text = value.text.strip()
        if value.tag:
            if keys.is_image_like(name):
                self._unresolved(f"{value.tag} {text}", f"the tag {value.tag} says that it is computed", value, KEY)
            return
        if not value.is_text or not text:
            return
        if at.notes:
            if keys.is_image_like(name) and is_specific(text):
                self._image(text, value, KEY)
        elif keys.is_image_like(name):
            self._keyed(text, value)
        elif keys.is_loosely_image(name):
            if "/" in text:
                self._image(text, value, KEY)
        elif at.images and is_specific(text):
            self._image(text, value, LIST)
        else:
            self._other(text, value)

    def _keyed(self, text: str, value: Text) -> None:
        hub, tag = self.scope.hub
        if hub and not is_specific(text) and is_valid(text) and text != _INJECTED:
            self._image(f"{hub}/{text}:{tag}", value, HUB)
        elif "\n" in text:
            self._embedded(value)
        else:
            self._image(text, value, KEY)

    def _other(self, text: str, value: Text) -> None:
        if text.startswith(DOCKER_SCHEME) or is_complete(text):
            self._image(text, value, COMPLETE)
        elif "\n" in text or text[0] in "{[":
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
            self._image(text, item, LIST)
            return ""
        assigned = _TAG_WORD.fullmatch(text)
        if assigned and self._assigned(assigned["name"], assigned["value"], item, ENV):
            return ""
        self._other(text, item)
        return ""

    def _argument(self, name: str, value: str, at: Text) -> None:
        if keys.is_base_image(name) and not has_tag(value) and is_plausible(value):
            self._unresolved(value, "the program adds the version", at, ARGUMENT)
        elif keys.is_image_variable(name):
            for one in value.split(","):
                self._image(one.strip(), at, ARGUMENT)
        elif (keys.speaks_of_images(name) and is_specific(value) and has_tag(value)) or is_complete(value):
            self._image(value, at, ARGUMENT)
        elif inner := _TAG_WORD.fullmatch(value):
            self._assigned(inner["name"], inner["value"], at, ARGUMENT)
        else:
            self._other(value, at)

    def _assigned(self, name: str, text: str, at: Text, rule: str) -> bool:
        """A variable and its value; says whether it holds images, one or several."""
        before = len(self.mentions)
        pieces = [piece for piece in _SEPARATORS.split(text.strip()) if piece] if not is_templated(text) else [text]
        for number, piece in enumerate(pieces):
            inner = _TAG_WORD.fullmatch(piece)  # `3.4.0=quay.io/strimzi/kafka:0.35.1-kafka-3.4.0`
            one = inner["value"] if inner else piece
            if len(pieces) == 1 and not has_tag(one):
                one = self._with_tag(name, one)
            at_line = Text("", self._piece_line(at, text, piece, number))
            if keys.is_image_variable(name) and len(pieces) == 1:
                self._image(one.strip("\"'"), at_line, rule)
            elif (keys.speaks_of_images(name) and "/" in one and has_tag(one)) or is_complete(one):
                self._image(one, at_line, rule)
        return len(self.mentions) > before

    def _with_tag(self, name: str, text: str) -> str:
        """With the tag that another variable has: `IMAGE` and `IMAGE_TAG`."""
        tags = next((self.scope.named[name + end] for end in _TAG_ENDS if name + end in self.scope.named), [])
        return f"{text}:{tags[0]}" if tags else text

    def _piece_line(self, at: Text, text: str, piece: str, number: int) -> int:
        if at.style != "|" or not number:
            return at.line + (at.style in ("|", ">"))
        return at.line + 1 + text.count("\n", 0, text.find(piece))

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

    def script(self, text: str, value: Text) -> None:
        """A text of a shell, or TOML: only what is plainly an argument or a setting counts."""
        for number, line in enumerate(lines(text)):
            if line.lstrip().startswith("#"):
                continue
            at = Text("", value.line + number + 1 if value.style == "|" else value.line)
            for match in keys.ARGUMENT_IN_TEXT.finditer(line):
                if keys.is_image_variable(match["name"]):
                    self._image(match["value"], at, ARGUMENT)
            if (setting := keys.SETTING.match(line)) and keys.is_image_like(setting["name"]):
                self._image(setting["value"], at, SETTING)

    # What is found.

    def _image(self, text: str, at: Text, rule: str, *, sure: bool = False, guess: bool = False) -> None:
        """Take a text for an image, if it can be one.

        :param sure: it is one by where it stands, so that a wrong one is told.
        """
        if not sure and not is_plausible(_filled(text)):
            return
        resolved, why = self.scope.resolve(text, self.templated)
        if why:
            self._unresolved(text, why, at, rule)
        for one in resolved:
            image = one.strip().strip("\"'")
            if not sure and not is_plausible(image):
                continue
            if not sure and not is_valid(image) and not is_specific(image):
                continue  # a word in capitals
            place = self.line or at.line + (at.style in ("|", ">"))
            self.mentions.append(ImageReference(image, place, self.scope.rule or rule, guess=guess or self.scope.guess))

    def _unresolved(self, text: str, why: str, at: Text, rule: str) -> None:
        place = self.line or at.line + (at.style in ("|", ">"))
        self.mentions.append(UnresolvedReference(self.templated.source(text), why, place, self.scope.rule or rule))


_VARIABLES = re.compile("\ue000[0-9]+\ue001|" + r"\$\([^()]*\)|\$\{[^{}]*\}|\$\w+")


def _filled(text: str) -> str:
    """The text with something harmless for each of its variables."""
    return _VARIABLES.sub("x", text)
