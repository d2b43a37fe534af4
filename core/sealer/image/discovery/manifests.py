"""Reads one file whose content is YAML or JSON."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager

from sealer.image.discovery import keys
from sealer.image.discovery.documents import Broken, Document, decoded, documents, lines, may_mention
from sealer.image.discovery.model import ImageReference, Mention, UnresolvedReference
from sealer.image.discovery.names import has_tag, is_plausible, is_valid
from sealer.image.discovery.nodes import Text
from sealer.image.discovery.scope import NOT_RENDERED, UNTAGGED, Scope
from sealer.image.discovery.templated import neutralised
from sealer.image.discovery.walking import Walk

BROKEN, LINE = "no-yaml", "line"
_TEMPLATE_ENDS = (".tmpl", ".tpl", ".j2")
_PROSE_ENDS = (".md", ".markdown", ".rst", ".adoc", ".html", ".htm")  # may show manifests, and is none
# `sandbox_image` of containerd, `pause_image` of CRI-O, `--pod-infra-container-image` of the kubelet
_SETTINGS_ENDS = (".toml", ".conf", ".service", ".env", ".properties", ".ini", ".cfg")
_DATA_ENDS = (".yaml", ".yml", ".json")
_VERSION, _KIND = (re.compile(rf"(?m)^[ \t]*[\"']?{key}[\"']?[ \t]*:") for key in ("apiVersion", "kind"))
_LINE = re.compile(r"^[ \t]*(?:-[ \t]+)?[\"']?(?P<key>[\w.\-/]+)[\"']?[ \t]*:[ \t]+(?P<value>\S.*?)[ \t]*,?[ \t]*$")
_LONGEST_LINE = 2000


def read_manifest(path: str, content: bytes, scope: Scope | None = None) -> list[Mention]:
    """The images of every document of a file; nothing where it is neither YAML nor JSON.

    :param path: says whether a file that is broken was meant to be YAML.
    """
    text = decoded(content)
    if path.lower().endswith(_PROSE_ENDS) or not may_mention(text):
        return []
    with _collector_at_rest():
        return _mentions(path, text, scope or Scope())


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Nothing here goes in circles; with a million nodes in hand, looking for circles took half of all time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _mentions(path: str, text: str, scope: Scope) -> list[Mention]:
    mentions: list[Mention] = []
    is_data = False
    for document in documents(text):
        is_data = isinstance(document, Document)  # `[section]` is, too, until the next line comes
        if isinstance(document, Broken):
            if _was_meant(path, document):
                mentions.extend(_by_lines(document, scope))
            continue
        walk = Walk(scope.inner(document.root), document.templated)
        walk.document(document.root)
        mentions.extend(walk.mentions)
    if path.lower().endswith(_SETTINGS_ENDS) and not is_data:
        settings = Walk(scope, neutralised(""))
        settings.script(text, Text(text, 0, style="|"))
        mentions.extend(settings.mentions)
    return mentions


def _was_meant(path: str, broken: Broken) -> bool:
    """Whether it is YAML with a mistake in it, and not something else: a page, a script, a program."""
    name = path.rpartition("/")[2].lower()
    for end in _TEMPLATE_ENDS:
        name = name.removesuffix(end)
    if name.endswith(_DATA_ENDS):
        return True
    return "." not in name and bool(_VERSION.search(broken.text) and _KIND.search(broken.text))


def _by_lines(broken: Broken, scope: Scope) -> list[Mention]:
    """What a document that cannot be parsed says line by line, and that this may not be all."""
    mentions: list[Mention] = []
    where = lines(broken.text)
    at = broken.line - broken.first
    shown = where[at] if 0 <= at < len(where) else ""
    mentions.append(UnresolvedReference(shown or "a document", f"invalid YAML: {broken.why}", broken.line, BROKEN))
    for number, line in enumerate(where, start=broken.first):
        match = _LINE.match(line) if len(line) <= _LONGEST_LINE else None
        if not match or not keys.is_image_like(match["key"]):
            continue
        value = re.sub(r"\s+#.*$", "", match["value"]).strip().strip("\"'")
        if "{{" in value or "$" in value:
            mentions.append(UnresolvedReference(value, NOT_RENDERED, number, LINE))
        elif is_plausible(value) and is_valid(value) and not has_tag(value):
            mentions.append(UnresolvedReference(value, UNTAGGED, number, LINE))
        elif is_plausible(value) and is_valid(value):
            mentions.append(ImageReference(value, number, scope.rule or LINE, guess=True))
    return mentions
