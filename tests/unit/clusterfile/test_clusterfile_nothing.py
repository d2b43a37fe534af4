"""What programs write in a field that was not given: in every field there is."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from sealer.clusterfile.driver_choices import DriverKind
from sealer.clusterfile.model import DriverChoice
from sealer.clusterfile.reading import read
from sealer.clusterfile.schema import schema
from sealer.clusterfile.shapes import NOTHING, ListOf, OneOf, Record, Shape
from sealer.clusterfile.tables import DOCUMENTS
from sealer.events import Json

Path = tuple[str | int, ...]
# A document of each kind with what it cannot be without; lists have an entry, so that its fields are reached.
DOCUMENT_OF: dict[str, dict[str, Any]] = {
    "Cluster": {"spec": {"image": "a:1", "hosts": [{"ips": ["10.0.0.1"], "roles": ["master"]}]}},
    "Infra": {"spec": {"hosts": [{"count": 1, "role": "master"}]}},
    "Plugin": {"metadata": {"name": "SHELL"}, "spec": {"type": "SHELL", "data": "true"}},
    "Config": {"metadata": {"name": "c"}, "spec": {"path": "a.yaml", "data": "x"}},
}
# Entries of lists that a minimal document does not have, for what stands in them.
ENTRIES: dict[str, dict[str, Any]] = {"hostAliases": {"ip": "10.0.0.9", "hostnames": ["a.b"]}}


def optional_fields(shape: Shape, path: Path = ()) -> Iterator[tuple[Path, tuple[Json, ...]]]:
    """Every field that may be left out and where empty is nothing, with the values that say nothing in it."""
    if isinstance(shape, ListOf):
        yield from optional_fields(shape.item, (*path, 0))
    elif isinstance(shape, OneOf):
        for inner in shape.shapes:
            yield from optional_fields(inner, path)
    elif isinstance(shape, Record):
        for name, field in shape.fields.items():
            if not (field.required or field.empty_counts):
                yield (*path, name), (*NOTHING, *field.shape.zeros)
            yield from optional_fields(field.shape, (*path, name))


FIELDS = [
    pytest.param(kind, path, value, id=f"{kind}.{'.'.join(map(str, path))}={json.dumps(value)}")
    for kind, record in DOCUMENTS.items()
    for path, values in optional_fields(record)
    for value in values
]


def document(kind: str, path: Path, value: Json) -> dict[str, Any]:
    """A document with `value` at `path`."""
    whole: dict[str, Any] = {"apiVersion": "sealer.io/v2", "kind": kind, **json.loads(json.dumps(DOCUMENT_OF[kind]))}
    if path[:2] in (("spec", "masters"), ("spec", "nodes")):
        del whole["spec"]["hosts"]
    inner: Any = whole
    for step, following in itertools.pairwise(path):
        if isinstance(step, str):
            if following == 0:
                entry = ENTRIES.get(step)
                inner = inner.setdefault(step, [dict(entry)] if entry else [{}])
            else:
                inner = inner.setdefault(step, {})
        else:
            inner = inner[0]
    if path == ("spec", "hosts", 0, "role"):
        inner["roles"] = ["master"]
    inner[path[-1]] = value
    if path[-2:] == ("externalRegistry", path[-1]):
        inner["domain"] = "r.example.com"
    return whole


def without(kind: str, path: Path) -> dict[str, Any]:
    whole = document(kind, path, None)
    inner: Any = whole
    for step in path[:-1]:
        inner = inner[step]
    del inner[path[-1]]
    return whole


@pytest.mark.parametrize(("kind", "path", "value"), FIELDS)
def test_an_empty_value_counts_as_not_given(kind: str, path: Path, value: Json) -> None:
    found = read(json.dumps(document(kind, path, value)))
    bare = read(json.dumps(without(kind, path)))
    assert (found.cluster, found.warnings) == (bare.cluster, bare.warnings)
    assert len(found.plugins) == len(bare.plugins)


def test_editors_accept_what_the_reader_accepts() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(schema())
    for parameter in FIELDS:
        kind, path, value = parameter.values
        written = document(kind, path, value)  # type: ignore[arg-type]
        assert not list(validator.iter_errors(written)), (path, value)


@pytest.mark.parametrize("empty", [None, "", {}, [], {"a": "", "b": {"c": None}}], ids=str)
@pytest.mark.parametrize("kind", ["provider", "runtime", "transport", "registry"])
def test_an_empty_field_of_a_driver_does_not_reach_it(kind: DriverKind, empty: Json) -> None:
    asked: list[tuple[str, DriverChoice]] = []
    fields: dict[str, Json] = {
        "name": "one",
        "size": 3,
        "off": False,
        "none": 0,
        "list": [""],
        "deep": {"x": 1, "y": empty},
    }
    choice: dict[str, Json] = {**fields, "unset": empty}
    spec = {"registry": {"driver": choice}} if kind == "registry" else {kind: choice}
    text = json.dumps({"apiVersion": "sealer.io/v2", "kind": "Cluster", "spec": spec})
    read(text, check_driver=lambda which, chosen: asked.append((which, chosen)))
    assert [(which, dict(chosen.options)) for which, chosen in asked] == [
        (kind, {"size": 3, "off": False, "none": 0, "list": [""], "deep": {"x": 1}})
    ]


def test_an_unknown_field_is_a_mistake_also_when_it_is_empty() -> None:
    for value in NOTHING:
        spec: dict[str, Json] = {"containerRuntme": value}
        with pytest.raises(Exception, match="did you mean 'containerRuntime'"):
            read(json.dumps({"apiVersion": "sealer.io/v2", "kind": "Cluster", "spec": spec}))


def test_where_an_empty_value_says_something_it_stays() -> None:
    spec = {
        "env": {"A": "", "B": []},
        "appNames": [],
        "cmd_args": {"V": ""},
        "hosts": [{"ips": ["10.0.0.1"], "roles": ["master"], "labels": {"disk": ""}, "env": ["C="]}],
    }
    cluster = read(json.dumps({"apiVersion": "sealer.io/v2", "kind": "Cluster", "spec": spec})).cluster
    assert cluster is not None
    assert (cluster.env, cluster.app_names, cluster.cmd_args) == ({"A": "", "B": ""}, (), ("V=",))
    assert (cluster.hosts[0].labels, cluster.hosts[0].env) == ({"disk": ""}, {"C": ""})
    config = {"apiVersion": "sealer.io/v2", "kind": "Config", "metadata": {"name": "c"}}
    texts: list[Json] = ["", {}, []]
    for data in texts:
        found = read(json.dumps({**config, "spec": {"path": "a", "data": data}})).configs
        assert found[0].data == data
