"""The JSON Schema of a Clusterfile's documents, for editors."""

from __future__ import annotations

from collections.abc import Iterable

from sealer.clusterfile import kubeadm
from sealer.clusterfile.shapes import Schema
from sealer.clusterfile.tables import DOCUMENTS
from sealer.events import Json

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema(plugin_types: Iterable[str] = ()) -> Schema:
    """JSON Schema (draft 2020-12) of one document; an editor applies it to each document of the file.

    It comes out of the tables that the reader works by. What concerns several fields (overlapping ranges, a host named
    twice) and children that are not indented are for the reader alone.

    :param plugin_types: types that installed plugins offer, for an editor to propose.
    """
    kinds: dict[str, Schema] = {kind: record.schema() for kind, record in DOCUMENTS.items()}
    for group, names in kubeadm.KINDS.items():
        kinds.update({name: _kubeadm(group, name) for name in names})
    _propose_types(kinds["Plugin"], plugin_types)
    _one_form(kinds["Cluster"])
    branches: list[Json] = [
        {"if": {"properties": {"kind": {"const": kind}}}, "then": {"$ref": f"#/$defs/{kind}"}} for kind in kinds
    ]
    return {
        "$schema": DIALECT,
        "title": "A document of a Clusterfile",
        "type": "object",
        "required": ["apiVersion", "kind"],
        "properties": {"kind": {"enum": list(kinds)}},
        "allOf": branches,
        "$defs": {**kinds},
    }


def _kubeadm(group: str, kind: str) -> Schema:
    pattern = f"^{group.replace('.', '[.]')}/(?:{kubeadm.VERSION.pattern})$"
    return {"properties": {"apiVersion": {"type": "string", "pattern": pattern}, "kind": {"const": kind}}}


def _at(schema: Json, *names: str) -> Schema:
    for name in names:
        assert isinstance(schema, dict)
        if "properties" not in schema:  # of a field that may be empty
            forms = schema["anyOf"]
            assert isinstance(forms, list)
            schema = forms[0]
            assert isinstance(schema, dict)
        schema = schema["properties"]
        assert isinstance(schema, dict)
        schema = schema[name]
    assert isinstance(schema, dict)
    return schema


def _propose_types(plugin: Schema, types: Iterable[str]) -> None:
    names: list[Json] = [*sorted(types)]
    field = _at(plugin, "spec", "type")
    forms = field["anyOf"]
    if names and isinstance(forms, list):
        forms.insert(0, {"enum": names})


def _one_form(cluster: Schema) -> None:
    hosts: Json = {"type": "array", "minItems": 1}
    some: Json = {"type": "object", "minProperties": 1}
    forms: list[Json] = [
        {"required": ["hosts", first], "properties": {"hosts": hosts, first: some}} for first in ("masters", "nodes")
    ]
    _at(cluster, "spec")["not"] = {"anyOf": forms}
