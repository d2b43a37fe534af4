"""Trees as the YAML that kubeadm reads: always in the same order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from sealer.clusterfile.scalars import resolve
from sealer.events import Json
from sealer_plugin_kubeadm.documents import components, fields
from sealer_plugin_kubeadm.documents.fields import KUBE_PROXY, KUBELET, Struct
from sealer_plugin_kubeadm.documents.trees import BY_NAME, Tree

_OWN_VERSIONS = {"KubeletConfiguration": KUBELET, "KubeProxyConfiguration": KUBE_PROXY}


def written(trees: Sequence[tuple[str, Mapping[str, Json]]], api: int) -> str:
    """A text of one document for each tree, in their order; within each, the fields by name.

    :param trees: kinds and their trees, without any field that the API version lacks.
    :param api: n of v1betan.
    """
    documents = [as_written(kind, tree, api) for kind, tree in trees]
    text: str = yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**20)
    return text


def as_written(kind: str, tree: Mapping[str, Json], api: int) -> Tree:
    """One document as it is written, `apiVersion` and `kind` first."""
    structs = components.STRUCTS if kind in components.STRUCTS else fields.STRUCTS
    version = _OWN_VERSIONS.get(kind) or f"{fields.KUBEADM}/v1beta{api}"
    return {"apiVersion": version, "kind": kind, **_struct(structs, structs[kind], tree, api)}


def _struct(structs: Mapping[str, Struct], struct: Struct, tree: Mapping[str, Json], api: int) -> Tree:
    result: Tree = {}
    for name in sorted(tree):
        value, field = tree[name], struct.get(name)
        if field is None or value is None:
            result[name] = value
        elif field.type == "args":
            result[name] = _args(value, api)
        elif name in BY_NAME and isinstance(value, dict):
            result[name] = [_sorted(item) for item in value.values()]
        elif isinstance(value, dict) and field.type in structs:
            result[name] = _struct(structs, structs[field.type], value, api)
        else:
            result[name] = _sorted(value)
    return result


def _args(value: Json, api: int) -> Json:
    flags = (
        {name: values for name, values in value.items() if isinstance(values, list)} if isinstance(value, dict) else {}
    )
    if api < 4:
        return {name: flags[name][-1] for name in sorted(flags)}
    return [{"name": name, "value": item} for name in sorted(flags) for item in flags[name]]


def _sorted(value: Json) -> Json:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


class _Dumper(yaml.SafeDumper):
    """Texts stay texts, whoever reads them: PyYAML leaves `08`, `1e5` and `y` bare."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _represent_text(dumper: Any, text: str) -> yaml.ScalarNode:
    bare = isinstance(resolve(text), str) and text.lower() not in ("y", "n") and not text[0].isdigit()
    node: yaml.ScalarNode = dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if bare else '"')
    return node


_Dumper.add_representer(str, _represent_text)
