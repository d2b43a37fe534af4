"""What is known about the variables that the values of a document name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sealer.image.discovery.around import folded, partners
from sealer.image.discovery.nodes import Listing, Node, Table, Text
from sealer.image.discovery.templated import Templated, is_templated

NOT_RENDERED = "a template that is not rendered yet"
NOT_SET = "a variable that is set elsewhere"
NO_TAG = "it has neither a tag nor a digest here"
UNTAGGED = f"{NO_TAG}, and Kubernetes does not read this field"  # who does may add one

_VARIABLE = re.compile(
    r"\$\((?P<call>[\w.\-]+)\)|\$\{(?P<braced>[\w.\-]+)(?::?-(?P<default>[^{}]*))?\}|\$(?P<bare>\w+)"
)
_NAME = re.compile(r"\s*([\w\-]+(?:\.[\w\-]+)*)\s*")  # `{{workflow.parameters.image}}` of Argo, which is no Go template
_MOST_VALUES = 20  # of one parameter


def nobody(action: str) -> str | None:
    """Computes no action."""
    return None


@dataclass
class Scope:
    """Where the variables of one document come from.

    :param evaluate: computes what a template's action puts out; None: it cannot.
    :param guess: whether everything in the document is one.
    :param rule: under which everything is reported; empty: the rule's own.
    :param named: values of parameters and variables that the document itself gives.
    :param hub: registry and path that short names of images are below, with their tag, as Istio writes it.
    """

    evaluate: Callable[[str], str | None] = nobody
    guess: bool = False
    rule: str = ""
    named: dict[str, list[str]] = field(default_factory=dict)
    hub: tuple[str, str] = ("", "")
    _folded: dict[str, list[str]] = field(default_factory=dict, init=False, repr=False)

    def tag_of(self, name: str) -> str:
        """The tag or version that another variable has: `X_TAG`, `X_VERSION` of `X_IMAGE`; else empty."""
        if len(self._folded) != len(self.named):
            self._folded = {folded(one): values for one, values in self.named.items()}
        return next((self._folded[one][0] for one in partners(folded(name)) if self._folded.get(one)), "")

    def inner(self, root: Node) -> Scope:
        """The scope of one document."""
        scope = Scope(self.evaluate, self.guess, self.rule)
        for table in _tables(root):
            _note(table, scope)
        return scope

    def resolve(self, text: str, templated: Templated) -> tuple[list[str], str]:
        """Every text that one with variables in it can stand for, or why that is not known."""
        texts = [text]
        if is_templated(text):
            texts, why = self._rendered(text, templated)
            if why:
                return [], why
        if "$" not in text:
            return texts, ""
        found: list[str] = []
        for one in texts:
            replaced, why = self._replaced(one)
            if why:
                return [], why
            found.extend(replaced)
        return found, ""

    def _rendered(self, text: str, templated: Templated) -> tuple[list[str], str]:
        actions = templated.actions_in(text)
        name = _NAME.fullmatch(actions[0])
        if len(actions) == 1 and name:
            values = self.named.get(name[1].rpartition(".")[2])
            if values:
                whole = templated.source(text)
                return [whole.replace("{{" + actions[0] + "}}", value) for value in values], ""
        source = templated.source(text)
        for action in actions:
            value = self.evaluate(action)
            if value is None:
                return [], NOT_RENDERED
            source = source.replace("{{" + action + "}}", value, 1)
        return [source], ""

    def _replaced(self, text: str) -> tuple[list[str], str]:
        whole = _VARIABLE.fullmatch(text)
        if whole and not whole["default"]:
            values = self.named.get(_variable(whole))
            return (list(values), "") if values else ([], NOT_SET)
        missing = False

        def value(match: re.Match[str]) -> str:
            nonlocal missing
            known = self.named.get(_variable(match)) or ([match["default"]] if match["default"] else [])
            missing = missing or not known
            return known[0] if known else ""

        replaced = _VARIABLE.sub(value, text)
        return ([], NOT_SET) if missing or "$" in replaced else ([replaced], "")


def _variable(match: re.Match[str]) -> str:
    return (match["call"] or match["braced"] or match["bare"]).rpartition(".")[2]


def _tables(root: Node) -> Iterator[Table]:
    """Every mapping of a document, once."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Text) or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, Table):
            yield node
            waiting.extend(value for _, value in node.pairs)
        elif isinstance(node, Listing):
            waiting.extend(node.items)


def _note(table: Table, scope: Scope) -> None:
    by_name = table.by_name
    if "name" in by_name and ("value" in by_name or "default" in by_name):
        name, value = table.word("name"), table.word("value", "default")
        known = scope.named.setdefault(name, [])
        if value and value not in known and "$" not in value and not is_templated(value) and len(known) < _MOST_VALUES:
            known.append(value)
    if "hub" in by_name and "tag" in by_name and not scope.hub[0]:
        hub, tag = table.word("hub"), table.word("tag")
        if hub and tag and ("/" in hub or "." in hub):
            scope.hub = (hub.rstrip("/"), tag)
