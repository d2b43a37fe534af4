"""Config documents: what becomes of a file in the rootfs."""

from __future__ import annotations

import base64
import binascii
import json

from yaml.nodes import MappingNode, Node, ScalarNode

from sealer.clusterfile.model import ConfigDocument
from sealer.errors import InputError, Problem
from sealer.events import Json
from sealer.templates import yamltree
from sealer.templates.yamltree import YamlError

STRATEGIES = ("overwrite", "merge")
STEPS = ("value", "toJson", "toBase64", "toSecret")


def apply(content: bytes | None, document: ConfigDocument) -> bytes:
    """What a file becomes by one document.

    Merging is deep and goes into every YAML document of the file; an empty text, list or null replaces what was there.
    A file whose name ends in `.json` stays JSON.

    :param content: what the file holds, None where there is none.
    :raises InputError: the document cannot be right, or does not suit the file; says where it stands.
    """
    try:
        return _applied(content, document)
    except YamlError as error:
        raise _mistake(document, "", f"{document.path}: {error}") from None


def check(document: ConfigDocument) -> None:
    """Find what is wrong with a document whatever its file holds.

    :raises InputError: as :func:`apply` would.
    """
    if document.strategy not in STRATEGIES:
        raise _mistake(document, "strategy", f"'{document.strategy}' is none of {', '.join(STRATEGIES)}")
    for number, step in enumerate(document.process):
        if step not in STEPS:
            raise _mistake(document, "process", f"'{step}' is none of {', '.join(STEPS)}")
        if step == "value" and number:
            raise _mistake(document, "process", "'value' comes first: it says what the steps after it work on")
        if step == "toSecret" and number != len(document.process) - 1:
            raise _mistake(document, "process", "'toSecret' comes last: it writes the result into the file")
    try:
        data = _processed(document)
        if document.strategy == "merge" or "toSecret" in document.process:
            _mapping(document, data)
    except YamlError as error:
        raise _mistake(document, "data", str(error)) from None


def _applied(content: bytes | None, document: ConfigDocument) -> bytes:
    check(document)
    data = _processed(document)
    if "toSecret" in document.process:
        return _secret(content, document, _mapping(document, data))
    if document.strategy == "merge":
        return _merge(content, document, _mapping(document, data))
    if isinstance(data, str):
        return data.encode()
    return _written(document, [yamltree.from_json(data)])


def _processed(document: ConfigDocument) -> Json:
    """The data after the steps of the pipe that change it."""
    data, steps = document.data, [step for step in document.process if step != "toSecret"]
    if document.process and isinstance(data, str):
        roots = yamltree.documents(data)
        if len(roots) > 1:
            raise YamlError("the data is one YAML document")
        data = yamltree.to_json(roots[0]) if roots else None
    if steps[:1] != ["value"]:
        return _piped(document, data, steps)
    if not isinstance(data, dict):
        raise _mistake(document, "process", "'value' works on each value of a mapping, and the data is none")
    return {key: _piped(document, value, steps[1:]) for key, value in data.items()}


def _piped(document: ConfigDocument, value: Json, steps: list[str]) -> Json:
    for step in steps:
        if step == "toJson":
            value = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        elif isinstance(value, dict | list) or value is None:
            raise _mistake(document, "process", f"'{step}' works on a text; put 'toJson' before it")
        else:
            value = base64.b64encode(_scalar(value).encode()).decode()
    return value


def _scalar(value: str | int | float | bool) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _mapping(document: ConfigDocument, data: Json) -> MappingNode:
    if isinstance(data, str):
        roots = yamltree.documents(data)
        if len(roots) > 1:
            raise YamlError("the data is one YAML document")
        node = roots[0] if roots else None
    else:
        node = yamltree.from_json(data)
    if not isinstance(node, MappingNode):
        raise _mistake(document, "data", "to be merged, the data must be a mapping")
    return node


def _merge(content: bytes | None, document: ConfigDocument, data: MappingNode) -> bytes:
    targets = yamltree.documents(_text(content, document))
    for number, target in enumerate(targets, 1):
        if not isinstance(target, MappingNode):
            raise YamlError(f"document {number} of the file is no mapping, nothing can be merged into it")
    return _written(document, [yamltree.merged(target, data) for target in targets] or [data])


def _secret(content: bytes | None, document: ConfigDocument, data: MappingNode) -> bytes:
    _check_base64(document, data)
    targets = yamltree.documents(_text(content, document)) or [
        yamltree.from_json({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": document.name}})
    ]
    found = False
    results: list[Node] = []
    for target in targets:
        kind = yamltree.entry(target, "kind") if isinstance(target, MappingNode) else None
        if isinstance(target, MappingNode) and isinstance(kind, ScalarNode) and kind.value == "Secret":
            old = yamltree.entry(target, "data") if document.strategy == "merge" else None
            value = data if old is None else yamltree.merged(old, data)
            results.append(yamltree.with_entry(target, yamltree.from_json("data"), value))
            found = True
        else:
            results.append(target)
    if not found:
        raise _mistake(document, "process", f"'toSecret' needs a Secret, and {document.path} has none")
    return _written(document, results)


def _check_base64(document: ConfigDocument, data: MappingNode) -> None:
    for key, value in data.value:
        try:
            base64.b64decode(value.value if isinstance(value, ScalarNode) else "?", validate=True)
        except (binascii.Error, ValueError):
            message = f"the value of '{key.value}' is no base64, as a Secret needs it; put 'toBase64' before 'toSecret'"
            raise _mistake(document, "process", message) from None


def _text(content: bytes | None, document: ConfigDocument) -> str:
    try:
        return (content or b"").decode()
    except UnicodeDecodeError:
        raise _mistake(document, "path", f"{document.path} is no text, nothing can be merged into it") from None


def _written(document: ConfigDocument, roots: list[Node]) -> bytes:
    if not document.path.endswith(".json"):
        return yamltree.dumped(roots).encode()
    if len(roots) > 1:
        raise YamlError("a JSON file holds one document")
    return (json.dumps(yamltree.to_json(roots[0]), ensure_ascii=False, indent=2) + "\n").encode()


def _mistake(document: ConfigDocument, field: str, message: str) -> InputError:
    path = f"Config {document.name}: spec.{field}" if field else f"Config {document.name}"
    problem = Problem(document.position, path, message)
    return InputError("the Config document cannot be applied", where=str(document.position), problems=[problem])
