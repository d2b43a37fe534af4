"""Text with Go templates in it (`{{ ... }}`), made readable for a YAML parser.

What an action would put out is not known here, so that each becomes one sign that no text has; its source is kept, and
whoever can compute it asks for it. Lines of actions alone become empty ones, so that all lines keep their numbers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

OPEN, CLOSE = "\ue000", "\ue001"  # for private use: no manifest has them
_SIGN = re.compile(f"{OPEN}([0-9]+){CLOSE}")
_CONTROL = re.compile(r"-?\s*(?:(?:if|else|end|with|range|define|block|template|break|continue)\b|/\*|\$\w*\s*:?=)")
_STATEMENT = re.compile(r"\{%(?:(?!\{%)[^\n]){0,500}?%\}")  # of Jinja, whose expressions look like Go's
_ALONE = re.compile(rf"(?m)^[ \t]*{OPEN}[0-9]+{CLOSE}(?:[ \t]*{OPEN}[0-9]+{CLOSE})*[ \t]*$")


@dataclass(frozen=True)
class Templated:
    """A text whose actions are signs.

    :param actions: the source of each, without the braces.
    """

    text: str
    actions: tuple[str, ...]

    def source(self, text: str) -> str:
        """A part of the text as it was written."""
        return _SIGN.sub(lambda sign: "{{" + self.actions[int(sign[1])] + "}}", text)

    def actions_in(self, text: str) -> list[str]:
        """The source of every action in a part of the text."""
        return [self.actions[int(sign[1])] for sign in _SIGN.finditer(text)]


def is_templated(text: str) -> bool:
    """Whether a text of :func:`neutralised` has an action in it."""
    return OPEN in text


def neutralised(text: str) -> Templated:
    """Replace every action by a sign."""
    text = text.replace(OPEN, "").replace(CLOSE, "")
    if "{%" in text:
        text = _STATEMENT.sub("", text)
    parts: list[str] = []
    actions: list[str] = []
    at = 0
    while (opening := text.find("{{", at)) >= 0:
        end, closing = _closing(text, opening + 2)
        if end < 0:
            break
        parts.append(text[at:opening])
        action = text[opening + 2 : end]
        if not _CONTROL.match(action):
            parts.append(f"{OPEN}{len(actions)}{CLOSE}")
            actions.append(action)
        parts.append("\n" * action.count("\n"))
        at = closing
    parts.append(text[at:])
    return Templated(_ALONE.sub("", "".join(parts)), tuple(actions))


def _closing(text: str, start: int) -> tuple[int, int]:
    """Where an action ends, and where the text goes on."""
    lead = start + text.startswith("-", start)
    comment = re.compile(r"\s*/\*").match(text, lead)
    if comment:
        start = text.find("*/", comment.end())
        if start < 0:
            return -1, -1
    end = text.find("}}", start)
    return end, end + 2
