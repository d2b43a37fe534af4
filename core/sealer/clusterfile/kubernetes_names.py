"""The syntax of Kubernetes' names: labels, taints, DNS names."""

from __future__ import annotations

import re

from sealer.clusterfile.report import nearest, not_one_of, quoted

DNS_LABEL = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
DNS_NAME = rf"{DNS_LABEL}(?:\.{DNS_LABEL})*"
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", re.ASCII)
_PREFIX = re.compile(DNS_NAME, re.ASCII)


def wrong_label_key(key: str) -> str:
    """What is wrong with a label's key, `name` or `prefix/name`; empty if nothing."""
    prefix, slash, name = key.rpartition("/")
    if slash and not (_PREFIX.fullmatch(prefix) and len(prefix) <= 253):
        return f"{quoted(prefix)} before the slash is no DNS name"
    if not _NAME.fullmatch(name):
        return f"{quoted(name)} is no name of a label: up to 63 letters, digits, '-', '_' and '.'"
    return ""


def wrong_label_value(value: str) -> str:
    """What is wrong with a label's value; empty if nothing."""
    if value and not _NAME.fullmatch(value):
        return f"{quoted(value)} is no value of a label: up to 63 letters, digits, '-', '_' and '.'"
    return ""


def wrong_taint(text: str) -> str:
    """What is wrong with a taint, `key=value:Effect` or `key:Effect`, with `-` behind it to remove it."""
    head, colon, effect = text.removesuffix("-").rpartition(":")
    if not colon:
        return f"a taint is key=value:Effect or key:Effect, not {quoted(text)}"
    key, _, value = head.partition("=")
    if wrong := wrong_label_key(key) or wrong_label_value(value):
        return wrong
    if effect not in EFFECTS:
        return not_one_of(f"an effect is {', '.join(EFFECTS[:-1])} or {EFFECTS[-1]}", effect, EFFECTS)
    return ""


def wrong_role(text: str) -> str:
    """What is wrong with a role, which becomes the end of a label's key."""
    return wrong_label_key(text) if "/" not in text else "a role has no slash in it"


def likely_role(text: str) -> str:
    """`master` or `node`, where a role is probably a misspelling of it."""
    near = nearest(text, ("master", "node"))
    return near if near != text else ""
