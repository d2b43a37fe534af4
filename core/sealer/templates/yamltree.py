"""YAML as a tree of nodes, so that what is not touched keeps its spelling, quotes and order.

PyYAML reads YAML 1.1, where `yes` is a truth value and `010` is eight. Here only what JSON knows is a number or a truth
value; all else is text. Comments are not kept.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence

import yaml
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.emitter import Emitter
from yaml.nodes import MappingNode, Node, ScalarNode
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.representer import SafeRepresenter
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner
from yaml.serializer import Serializer

from sealer.documents import DocumentError, check_yaml
from sealer.events import Json

TEXT_TAG = "tag:yaml.org,2002:str"
NULL_TAG = "tag:yaml.org,2002:null"
MERGE_TAG = "tag:yaml.org,2002:merge"
DEEPEST = 100  # nodes inside one another


class YamlError(ValueError):
    """A text that is no YAML, or no YAML that can be worked with; the message is one line."""


class _Resolver(BaseResolver):
    """What plain scalars are."""


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9]{0,99})|0x[0-9a-fA-F]{1,99}", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+", "-+.0123456789"),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("merge", r"<<", "<"),
):
    _Resolver.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), ["" if sign == "\0" else sign for sign in _first]
    )


class _Loader(Reader, Scanner, Parser, Composer, SafeConstructor, _Resolver):
    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        SafeConstructor.__init__(self)
        _Resolver.__init__(self)


class _Dumper(Emitter, Serializer, _Resolver):
    def __init__(self, stream: io.StringIO) -> None:
        Emitter.__init__(self, stream, width=2**31, allow_unicode=True)
        Serializer.__init__(self)
        _Resolver.__init__(self)


class _Representer(SafeRepresenter):
    def ignore_aliases(self, data: object) -> bool:
        return True

    def represent_text(self, text: str) -> ScalarNode:
        # A text that a YAML 1.1 reader would take for something else is quoted for it.
        kept: bool = _ELEVEN.resolve(ScalarNode, text, (True, False)) == TEXT_TAG  # type: ignore[no-untyped-call]
        return ScalarNode(TEXT_TAG, text, style="|" if "\n" in text else None if kept else "'")


_ELEVEN = yaml.SafeLoader("")
_Representer.add_representer(str, _Representer.represent_text)


def documents(text: str) -> list[Node]:
    """The root of each document that is not empty.

    :raises YamlError: it is no YAML, nested too deeply, or grows too much by its aliases.
    """
    try:
        loader = _Loader(text)
        roots: list[Node] = []
        while loader.check_node() and (root := loader.get_node()) is not None:
            roots.append(root)
        check_yaml(text)  # last: until here an alias is a node as any other, and the messages above are the better ones
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise YamlError(f"{place}{error.problem or error.context}") from None
    except (yaml.YAMLError, DocumentError) as error:
        raise YamlError(str(error).splitlines()[0]) from None
    except RecursionError:
        raise YamlError(f"it is nested more than {DEEPEST} deep") from None
    return [root for root in roots if not (isinstance(root, ScalarNode) and root.tag == NULL_TAG)]


def from_json(value: Json) -> Node:
    """The node of a value; keys keep their order."""
    representer = _Representer(sort_keys=False, default_flow_style=False)
    node: Node = representer.represent_data(value)
    return node


def to_json(node: Node) -> Json:
    """The value of a node.

    :raises YamlError: it has something that JSON has not.
    """
    loader = _Loader("")
    try:
        value = loader.construct_document(node)
        return json.loads(json.dumps(value, allow_nan=False))  # type: ignore[no-any-return]  # so it is JSON
    except (yaml.YAMLError, TypeError, ValueError, OverflowError, RecursionError):
        raise YamlError("it has something that JSON cannot say: a tag, a key that is no text, or a loop") from None


def dumped(roots: Sequence[Node]) -> str:
    """The YAML text of some documents.

    :raises YamlError: nested too deeply.
    """
    stream = io.StringIO()
    dumper = _Dumper(stream)
    try:
        dumper.open()
        for number, root in enumerate(roots):
            dumper.use_explicit_start = number > 0
            dumper.serialize(root)
        dumper.close()
    except RecursionError:
        raise YamlError(f"it is nested more than {DEEPEST} deep") from None
    return stream.getvalue()


def entry(mapping: MappingNode, key: str) -> Node | None:
    """The value of a key, by the key's text; found through `<<` too."""
    for name, value in mapping.value:
        if isinstance(name, ScalarNode) and name.value == key and name.tag != MERGE_TAG:
            return value  # type: ignore[no-any-return]
    for name, value in mapping.value:
        if isinstance(name, ScalarNode) and name.tag == MERGE_TAG:
            for base in [value] if isinstance(value, MappingNode) else value.value:
                if isinstance(base, MappingNode) and base is not mapping and (found := entry(base, key)) is not None:
                    return found
    return None


def with_entry(mapping: MappingNode, key: Node, value: Node) -> MappingNode:
    """The mapping with one entry set: in its place if the key is there, else last. `mapping` stays as it is."""
    pairs, done = [], False
    for name, old in mapping.value:
        same = isinstance(name, ScalarNode) and isinstance(key, ScalarNode) and name.value == key.value
        if same and name.tag != MERGE_TAG:
            pairs.append((name, value))
            done = True
        else:
            pairs.append((name, old))
    if not done:
        pairs.append((key, value))
    flow = mapping.flow_style if mapping.value else False
    return MappingNode(mapping.tag, pairs, flow_style=flow)


def merged(target: Node, data: Node, depth: int = 0) -> Node:
    """`data` over `target`: mappings key by key, everything else replaced, empty values too.

    :raises YamlError: nested too deeply.
    """
    if depth > DEEPEST:
        raise YamlError(f"it is nested more than {DEEPEST} deep")
    if not (isinstance(target, MappingNode) and isinstance(data, MappingNode)):
        return data
    for key, value in data.value:
        old = entry(target, key.value) if isinstance(key, ScalarNode) else None
        target = with_entry(target, key, value if old is None else merged(old, value, depth + 1))
    return target
