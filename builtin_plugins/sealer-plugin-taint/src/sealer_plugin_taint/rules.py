"""One taint as it is written, and what it asks of a node.

https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sealer.clusterfile.kubernetes_names import wrong_label_key, wrong_taint


@dataclass(frozen=True)
class NodeTaint:
    """A taint that a node has."""

    key: str
    value: str
    effect: str

    def __str__(self) -> str:
        return f"{self.key}={self.value}:{self.effect}" if self.value else f"{self.key}:{self.effect}"


@dataclass(frozen=True)
class Rule:
    """`key=value:Effect`, `key=:Effect` or `key:Effect`, and with a `-` behind it the removal of such.

    :param effect: empty, in a removal: all effects.
    :param removes: by key and effect; the value does not matter.
    """

    key: str
    value: str = ""
    effect: str = ""
    removes: bool = False

    @classmethod
    def parse(cls, text: str) -> Rule:
        """Read one that :func:`wrong_rule` finds nothing wrong with."""
        removes = text.endswith("-")
        head, colon, effect = text.removesuffix("-").rpartition(":")
        key, _, value = (head if colon else effect).partition("=")
        return cls(key, value, effect if colon else "", removes)

    def of(self, taint: NodeTaint) -> bool:
        """Whether it is about a taint that a node has."""
        return taint.key == self.key and self.effect in ("", taint.effect)


def wrong_rule(text: str) -> str:
    """What is wrong with one; empty if nothing."""
    if ":" not in text and text.endswith("-"):
        return wrong_label_key(text.removesuffix("-"))
    return wrong_taint(text)


def changes(rules: Iterable[Rule], have: Collection[NodeTaint]) -> list[str]:
    """What `kubectl taint --overwrite` is told, so that a node becomes what the rules say, in their order.

    Nothing for what it has already: neither a taint that is there, nor a removal of one that is not.
    """
    now = set(have)
    for rule in rules:
        now = {taint for taint in now if not rule.of(taint)}
        if not rule.removes:
            now.add(NodeTaint(rule.key, rule.value, rule.effect))
    given = sorted(str(taint) for taint in now - set(have))
    overwritten = {(taint.key, taint.effect) for taint in now}
    taken = sorted(
        f"{taint.key}:{taint.effect}-" for taint in set(have) - now if (taint.key, taint.effect) not in overwritten
    )
    return given + taken
