"""Documents of kubeadm, kubelet and kube-proxy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from sealer.clusterfile.model import KubeadmDocument
from sealer.events import Json

KINDS: Mapping[str, tuple[str, ...]] = {
    "kubeadm.k8s.io": (
        "ClusterConfiguration", "InitConfiguration", "JoinConfiguration", "ResetConfiguration", "UpgradeConfiguration",
    ),
    "kubelet.config.k8s.io": ("KubeletConfiguration",),
    "kubeproxy.config.k8s.io": ("KubeProxyConfiguration",),
}  # fmt: skip
VERSION = re.compile(r"v[1-9][0-9]?(?:(?:alpha|beta)[1-9][0-9]?)?", re.ASCII)


_OF_OBJECTS = ("metadata", "status")  # what Go programs write beside the fields of any object


def own_fields(content: Mapping[str, Json]) -> dict[str, Json]:
    """A document's fields, without those that any object has: its kind, and an empty `metadata` and `status`."""
    return {
        name: value
        for name, value in content.items()
        if name not in ("apiVersion", "kind") and (name not in _OF_OBJECTS or _says_something(value))
    }


def _says_something(value: Json) -> bool:
    if isinstance(value, dict):
        return any(map(_says_something, value.values()))
    return value not in (None, "", [])


def merge(*layers: Iterable[KubeadmDocument]) -> tuple[KubeadmDocument, ...]:
    """Documents of the same API version and kind made one, later ones over earlier ones.

    As JSON merge patch (RFC 7386) has it: mappings are merged field by field, a null takes a field away, and anything
    else, lists too, replaces what was there.

    :returns: in the order in which their kinds came first.
    """
    merged: dict[tuple[str, str], KubeadmDocument] = {}
    for document in (document for layer in layers for document in layer):
        key = (document.api_version, document.kind)
        below = merged[key].content if key in merged else {}
        content = _patched(below, document.content)
        merged[key] = KubeadmDocument(document.api_version, document.kind, content, document.position)
    return tuple(merged.values())


def _patched(below: Mapping[str, Json], above: Mapping[str, Json]) -> dict[str, Json]:
    patched = dict(below)
    for name, value in above.items():
        if value is None:
            patched.pop(name, None)
        elif isinstance(value, dict):
            lower = patched.get(name)
            patched[name] = _patched(lower if isinstance(lower, dict) else {}, value)
        else:
            patched[name] = value
    return patched
