"""Takes texts for images, or says why it is not known which images they are."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from sealer.image.discovery import keys
from sealer.image.discovery.around import folded, partners
from sealer.image.discovery.documents import lines
from sealer.image.discovery.model import ImageReference, Mention, UnresolvedReference
from sealer.image.discovery.names import has_tag, is_complete, is_plausible, is_specific, is_valid
from sealer.image.discovery.nodes import Text
from sealer.image.discovery.scope import UNTAGGED, Scope
from sealer.image.discovery.templated import Templated, is_templated
from sealer.image.reference import DIGEST

CONTAINER, VOLUME, KEY, LIST = "container", "image-volume", "image-key", "images-list"
ARGUMENT, ENV, PARAMETER, COMPLETE, SETTING = "argument", "env", "parameter", "reference", "setting"

ASSIGNMENT = re.compile(r"(?P<name>[\w.\-]+)=(?P<value>\S.*)", re.DOTALL)
_SEPARATORS = re.compile(r"[\s,;]+")
_VARIABLES = re.compile("\ue000[0-9]+\ue001|" + r"\$\([^()]*\)|\$\{[^{}]*\}|\$\w+")


@dataclass
class Findings:
    """What one document mentions.

    :param templated: its text, with templates replaced.
    :param line: the one line all of it stands in; 0: the nodes know.
    :param depth: documents around it.
    :ivar beside: the other arguments and assignments of the list that is being read.
    """

    scope: Scope
    templated: Templated
    line: int = 0
    depth: int = 0
    mentions: list[Mention] = field(default_factory=list)
    beside: dict[str, str] = field(default_factory=dict)

    def image(
        self, text: str, at: Text, rule: str, *, sure: bool = False, guess: bool = False, untagged: bool = False
    ) -> None:
        """Take a text for an image, if it can be one.

        :param sure: Kubernetes reads it, so that a wrong one is reported, and no tag means `:latest`.
        :param untagged: no tag means `:latest` here, too; elsewhere it is not known.
        """
        if not sure and not is_plausible(_filled(text)):
            return
        resolved, why = self.scope.resolve(text, self.templated)
        if why:
            self.unresolved(text, why, at, rule)
        for one in resolved:
            image = one.strip().strip("\"'")
            if DIGEST.fullmatch(image):
                if sure:
                    self.unresolved(text, "the id of an image, which no registry knows", at, rule)
                continue
            if not sure and (not is_plausible(image) or image.lower() in keys.NO_IMAGES):
                continue
            if not sure and not is_valid(image) and not is_specific(image):
                continue  # a word in capitals
            if not has_tag(image) and not sure and not untagged:
                self.unresolved(image, UNTAGGED, at, rule)
                continue
            place = self.line or at.line + (at.style in ("|", ">"))
            self.mentions.append(ImageReference(image, place, self.scope.rule or rule, guess=guess or self.scope.guess))

    def unresolved(self, text: str, why: str, at: Text, rule: str) -> None:
        """Note a mention that does not say which image it is."""
        place = self.line or at.line + (at.style in ("|", ">"))
        self.mentions.append(UnresolvedReference(self.templated.source(text), why, place, self.scope.rule or rule))

    def assigned(self, name: str, text: str, at: Text, rule: str) -> bool:
        """A variable and its value; says whether it holds images, one or several."""
        before = len(self.mentions)
        pieces = [piece for piece in _SEPARATORS.split(text.strip()) if piece] if not is_templated(text) else [text]
        for number, piece in enumerate(pieces):
            inner = ASSIGNMENT.fullmatch(piece)  # `3.4.0=quay.io/strimzi/kafka:0.35.1-kafka-3.4.0`
            one = inner["value"] if inner else piece
            if len(pieces) == 1 and not has_tag(one):
                one = self.with_tag(name, one)
            at_line = Text("", self._piece_line(at, text, piece, number))
            if keys.is_image_variable(name) and len(pieces) == 1:
                self.image(one.strip("\"'"), at_line, rule)
            elif len(pieces) == 1 and not inner and keys.is_repository(name) and _filled(one)[:1].isalnum():
                if has_tag(one) or keys.speaks_of_images(name):
                    self.image(one.strip("\"'"), at_line, rule)
            elif (keys.speaks_of_images(name) and "/" in one and has_tag(one)) or is_complete(one):
                self.image(one, at_line, rule)
        return len(self.mentions) > before

    def with_tag(self, name: str, text: str) -> str:
        """With the tag that another argument of the list has, or another variable: `IMAGE` and `IMAGE_TAG`."""
        tag = next((self.beside[one] for one in partners(folded(name)) if self.beside.get(one)), "")
        tag = tag or self.scope.tag_of(name)
        return f"{text}:{tag}" if tag and is_plausible(f"{text}:{tag}") else text

    def _piece_line(self, at: Text, text: str, piece: str, number: int) -> int:
        if at.style != "|" or not number:
            return at.line + (at.style in ("|", ">"))
        return at.line + 1 + text.count("\n", 0, text.find(piece))

    def script(self, text: str, value: Text) -> None:
        """A text of a shell, TOML or properties: only what is plainly an argument or a setting counts."""
        section: dict[str, str] = {}
        settings: list[tuple[re.Match[str], Text, dict[str, str]]] = []
        for number, line in enumerate(lines(text)):
            if line.lstrip().startswith(("#", "!", ";")):
                continue
            if line.lstrip().startswith("["):
                section = {}
            at = Text("", value.line + number + 1 if value.style == "|" else value.line)
            for match in keys.ARGUMENT_IN_TEXT.finditer(line):
                if keys.is_image_variable(match["name"]):
                    self.image(match["value"], at, ARGUMENT)
            setting = keys.SETTING.match(line) or keys.PROPERTY.fullmatch(line) or keys.BLANKS.fullmatch(line)
            if setting:
                section.setdefault(folded(setting["name"]), setting["value"])
                settings.append((setting, at, section))
        for setting, at, beside in settings:
            self._setting(setting, at, beside)

    def _setting(self, setting: re.Match[str], at: Text, beside: dict[str, str]) -> None:
        """One setting of a text.

        :param beside: the values of its section by their folded names.
        """
        name, text = setting["name"], setting["value"]
        image = keys.is_image_like(name) or (keys.is_loosely_image(name) and "/" in text)
        if not image and not keys.is_repository(name):
            return
        if not has_tag(text):
            tag = next((beside[one] for one in partners(folded(name)) if one in beside), "")
            if tag and is_plausible(f"{text}:{tag}"):
                self.image(f"{text}:{tag}", at, SETTING)
            elif image and (setting.re is keys.SETTING or "/" in text):
                self.image(text, at, SETTING)
        elif image:
            self.image(text, at, SETTING)


def _filled(text: str) -> str:
    """The text with something harmless for each of its variables."""
    return _VARIABLES.sub("x", text)
