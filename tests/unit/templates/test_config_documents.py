"""Config documents on the files they name."""

from __future__ import annotations

import base64
import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sealer.clusterfile.model import ConfigDocument
from sealer.errors import InputError, Position
from sealer.events import Json
from sealer.templates import config

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]\n" for n in range(1, 12)
)


def document(data: Json, strategy: str = "overwrite", process: str = "", path: str = "etc/x.yaml") -> ConfigDocument:
    steps = tuple(step for step in process.split("|") if step)
    return ConfigDocument("mysql", path, data, strategy, steps, Position("Clusterfile", 7, 1))


def merge(content: str, data: Json, path: str = "etc/x.yaml") -> str:
    return config.apply(content.encode(), document(data, "merge", path=path)).decode()


def mistake(content: bytes | None, wrong: ConfigDocument) -> str:
    with pytest.raises(InputError) as caught:
        config.apply(content, wrong)
    (problem,) = caught.value.problems
    return str(problem)


def test_overwrite_writes_a_text_as_it_is() -> None:
    text = "# kept\na:   yes\n"
    assert config.apply(b"old", document(text)) == text.encode()
    assert config.apply(None, document(text)) == text.encode()


def test_overwrite_dumps_a_mapping_in_its_order() -> None:
    data: Json = {"b": "x", "a": {"n": 1, "t": True, "l": ["1", "yes"]}, "e": None, "m": "p\nq\n"}
    written = config.apply(None, document(data))
    assert written == b"b: x\na:\n  n: 1\n  t: true\n  l:\n  - '1'\n  - 'yes'\ne: null\nm: |\n  p\n  q\n"
    assert yaml.safe_load(written) == data


def test_overwrite_of_a_json_file_with_a_mapping_is_json() -> None:
    assert json.loads(config.apply(b"", document({"a": 1}, path="etc/daemon.json"))) == {"a": 1}


def test_merge_is_deep_adds_keys_and_leaves_the_rest_as_written() -> None:
    target = "a: 010\nb:\n  yes: no\n  c: 1.20\n  d: 'q'\n  h: 0x1F\n  t: 2020-01-01\nl: [1, 2]\nz: |\n  text\n"
    assert merge(target, {"b": {"c": "1.30", "new": {"x": ""}}, "l": [3], "added": True}) == (
        "a: 010\nb:\n  yes: no\n  c: '1.30'\n  d: 'q'\n  h: 0x1F\n  t: 2020-01-01\n  new:\n    x: ''\nl:\n- 3\nz: |\n"
        "  text\nadded: true\n"
    )


def test_a_text_of_data_keeps_its_spelling_too() -> None:
    assert merge("a: 1\n", "a: 1.20\nb: yes\n") == "a: 1.20\nb: yes\n"


@pytest.mark.parametrize(("value", "written"), [("", "''"), (None, "null"), ([], "[]")])
def test_empty_values_count(value: Json, written: str) -> None:
    assert merge("a: 1\nb: 2\n", {"a": value}) == f"a: {written}\nb: 2\n"


def test_a_mapping_replaces_what_is_no_mapping_and_the_other_way_round() -> None:
    assert merge("a: 1\nb: {c: 1}\n", {"a": {"x": 1}, "b": 2}) == "a:\n  x: 1\nb: 2\n"


def test_merge_goes_into_every_document() -> None:
    assert merge("a: 1\n---\nb: 2\n---\n", {"a": 3}) == "a: 3\n---\nb: 2\na: 3\n"


@pytest.mark.parametrize("content", [None, b"", b"# nothing yet\n"])
def test_merge_into_nothing_is_the_data(content: bytes | None) -> None:
    assert config.apply(content, document({"a": 1}, "merge")) == b"a: 1\n"


def test_a_shared_part_is_changed_only_where_the_data_says() -> None:
    merged = merge("base: &b {x: 1, y: 2}\none: *b\ntwo:\n  <<: *b\n  y: 3\n", {"one": {"x": 9}, "two": {"x": 8}})
    assert yaml.safe_load(merged) == {"base": {"x": 1, "y": 2}, "one": {"x": 9, "y": 2}, "two": {"x": 8, "y": 3}}


def test_a_part_that_comes_through_a_merge_key_is_merged_deeply() -> None:
    merged = merge("base: &b\n  in: {x: 1, y: 2}\none:\n  <<: *b\n", {"one": {"in": {"x": 9}}})
    assert yaml.safe_load(merged)["one"] == {"in": {"x": 9, "y": 2}}


def test_keys_meet_by_their_text() -> None:
    assert merge("80: a\nyes: b\n", {"80": "c", "yes": "d"}) == "80: c\nyes: d\n"


def test_a_json_file_stays_json() -> None:
    merged = merge('{"live-restore": true, "mirrors": {"a": 1.50}}', {"mirrors": {"b": "x"}}, "etc/daemon.json")
    assert json.loads(merged) == {"live-restore": True, "mirrors": {"a": 1.5, "b": "x"}}


def test_long_lines_are_not_folded() -> None:
    long = "word " * 100 + "end"
    assert merge(f"a: {long}\n", {"b": long}) == f"a: {long}\nb: {long}\n"


def test_process_value_to_json_to_base64_to_secret() -> None:
    secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: gu\ntype: Opaque\ndata:\n  old: eA==\n"
    data: Json = {"config": {"user": "root", "n": 1}, "plain": "text"}
    written = yaml.safe_load(config.apply(secret.encode(), document(data, process="value|toJson|toBase64|toSecret")))
    assert written["metadata"] == {"name": "gu"}
    assert written["type"] == "Opaque"
    assert {key: json.loads(base64.b64decode(value)) for key, value in written["data"].items()} == data


def test_to_secret_with_merge_keeps_other_keys() -> None:
    secret = b"kind: Secret\ndata: {old: eA==, new: eA==}\n---\nkind: ConfigMap\ndata: {old: x}\n"
    first, second = yaml.safe_load_all(
        config.apply(secret, document({"new": "y"}, "merge", process="value|toBase64|toSecret"))
    )
    assert first["data"] == {"old": "eA==", "new": base64.b64encode(b"y").decode()}
    assert second == {"kind": "ConfigMap", "data": {"old": "x"}}


def test_to_secret_makes_the_secret_where_there_is_no_file() -> None:
    written = yaml.safe_load(config.apply(None, document({"a": "x"}, process="value|toBase64|toSecret")))
    assert written == {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mysql"}, "data": {"a": "eA=="}}


def test_without_value_the_pipe_works_on_the_whole() -> None:
    assert config.apply(None, document("a: 1.20\nb: yes\n", process="toJson")) == b'{"a":1.2,"b":"yes"}'
    assert base64.b64decode(config.apply(None, document({"a": 1}, process="toJson|toBase64"))) == b'{"a":1}'


@pytest.mark.parametrize(
    ("content", "wrong", "message"),
    [
        (None, document("x", "replace"), "spec.strategy: 'replace' is none of overwrite, merge"),
        (None, document("x", process="toYaml"), "spec.process: 'toYaml' is none of value, toJson, toBase64, toSecret"),
        (None, document({"a": 1}, process="toJson|value"), "spec.process: 'value' comes first"),
        (None, document({"a": 1}, process="toSecret|toBase64"), "spec.process: 'toSecret' comes last"),
        (None, document("x", process="value"), "spec.process: 'value' works on each value of a mapping"),
        (None, document({"a": {}}, process="value|toBase64"), "spec.process: 'toBase64' works on a text; put 'toJson'"),
        (None, document({"a": "?"}, process="toSecret"), "spec.process: the value of 'a' is no base64"),
        (b"kind: Pod", document({"a": "eA=="}, process="toSecret"), "spec.process: 'toSecret' needs a Secret"),
        (None, document("- a", "merge"), "spec.data: to be merged, the data must be a mapping"),
        (None, document("a: 1\n---\nb: 1", "merge"), "spec.data: the data is one YAML document"),
        (None, document("a: [", "merge"), "spec.data: line 1, column 5: "),
        (b"a: [", document({"a": 1}, "merge"), ": etc/x.yaml: line 1, column 5: "),
        (b"a: \0", document({"a": 1}, "merge"), ": etc/x.yaml: unacceptable character #x0000"),
        (b"- a", document({"a": 1}, "merge"), ": etc/x.yaml: document 1 of the file is no mapping"),
        (b"\xff\xfe\x00", document({"a": 1}, "merge"), "spec.path: etc/x.yaml is no text"),
        (b"[" * 5_000, document({"a": 1}, "merge"), ": etc/x.yaml: it is nested more than 100 deep"),
        (b"a: &a [*a]", document({"b": 1}, "merge", path="x.json"), ": x.json: line 1, column 8: an alias stands in"),
        (BOMB.encode(), document({"b": 1}, "merge", path="x.json"), ": more than 200000 values, with what aliases"),
        (None, document(BOMB, process="toJson"), ": more than 200000 values, with what aliases"),
    ],
)
def test_mistakes_stand_at_the_document(content: bytes | None, wrong: ConfigDocument, message: str) -> None:
    found = mistake(content, wrong)
    assert found.startswith("Clusterfile:7:1: Config mysql")
    assert message in found


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=8)
    | st.sampled_from(["yes", "010", "1.20", "~", "<<", "=", "a: b", "- a", "# a", "0x10", "1e3", "!x", "&x", "a\nb"]),
    lambda child: st.lists(child, max_size=3) | st.dictionaries(st.text("abc:<1", max_size=3), child, max_size=3),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text("abc:<1", max_size=3), JSON, max_size=4))
def test_what_is_written_is_what_was_said(data: dict[str, Json]) -> None:
    written = config.apply(None, document(data)).decode()
    again = config.apply(written.encode(), document("{}", "merge", path="x.json"))
    assert json.loads(again) == data


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(st.binary(), st.text(" abc:-[]{}&*<>|!#'\"\n").map(str.encode)),
    st.one_of(JSON, st.text(" abc:-[]{}&*<>|!#'\"\n")),
    st.sampled_from(["overwrite", "merge"]),
    st.lists(st.sampled_from([*config.STEPS, "other"]), max_size=4).map("|".join),
)
def test_whatever_is_written_ends_in_bytes_or_an_input_error(
    content: bytes, data: Json, strategy: str, process: str
) -> None:
    try:
        assert isinstance(config.apply(content, document(data, strategy, process)), bytes)
    except InputError as error:
        assert error.problems
