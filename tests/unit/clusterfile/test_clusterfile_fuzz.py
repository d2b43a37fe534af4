"""No input ends in a traceback."""

import string
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sealer.clusterfile import nodes
from sealer.clusterfile.reading import decoded, read, read_plugins
from sealer.clusterfile.tables import DOCUMENTS
from sealer.clusterfile.writing import write
from sealer.errors import InputError

EXAMPLES = [path.read_text() for path in sorted((Path(__file__).parents[2] / "data" / "clusterfiles").glob("*.yaml"))]
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
FIELDS = [
    "apiVersion",
    "kind",
    "metadata",
    "spec",
    "name",
    "labels",
    "annotations",
    "hosts",
    "ips",
    "roles",
    "env",
    "ssh",
    "passwd",
    "pk",
    "port",
    "masters",
    "nodes",
    "ipList",
    "count",
    "network",
    "podCIDR",
    "svcCIDR",
    "registry",
    "driver",
    "localRegistry",
    "provider",
    "runtime",
    "taints",
    "hostAliases",
    "ip",
    "hostnames",
    "dataRoot",
    "cmd",
    "cmd_args",
    "containerRuntime",
    "certSANS",
    "image",
    "type",
    "action",
    "on",
    "data",
    "path",
    "strategy",
    "process",
    "memory",
    "dataDisks",
    "role",
    "networking",
    "podSubnet",
    "kubernetesVersion",
    "<<",
]
WORDS = [
    "master",
    "node",
    "Cluster",
    "Plugin",
    "sealer.io/v2",
    "10.0.0.1",
    "10.0.0.1-10.0.0.9",
    "fd00::1",
    "10.0.0.0/8",
    "a=b",
    "PreInit|PostInstall",
    "yes",
    "010",
    "1.20",
    "a=b:NoSchedule",
    "/var/lib",
    "3",
    "1e999",
    "::/0",
    "0.0.0.0/0",
    "10.0.0.1,,",
    "-",
    "[::1]:22",
    "10.0.0.1:0",
    "K=V",
    "\x00",
]
WORDS += ["9" * 5000, "\ud800"]


def understood_or_refused(text: str) -> None:
    for attempt in (read, lambda it: read_plugins(it, "plugins/a.yaml")):
        try:
            attempt(text)
        except InputError as error:
            assert error.problems
            assert all(problem.position.line for problem in error.problems)
            positions = [problem.position for problem in error.problems]
            assert positions == sorted(positions)


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(), max_size=200))
@example("[" * 100_000)
@example("{a: " * 100_000)
@example("- " * 50_000)
@example("a:\n" + "".join(" " * depth + "a:\n" for depth in range(1, 300)))
@example("a: !!python/object/apply:os.system [ls]")
@example("!!binary |\n  aGVsbG8=")
@example("kind: &a [*a]")
@example("kind: *a")
@example("? [a]\n: b")
@example('"\\ud800": "\\0"')
@example("kind: Cluster\nspec: {ssh: {port: " + "9" * 10_000 + "}}")
@example("\ufeffkind: Cluster")
@example("%YAML 9.9\n---\na: b")
@example("a\x00b")
@example("kind: Cluster\n\x85\u2028spec: {}")
def test_any_text(text: str) -> None:
    understood_or_refused(text)


@settings(max_examples=120, deadline=None)
@given(st.data(), st.sampled_from(EXAMPLES))
def test_examples_with_mistakes(data: st.DataObject, text: str) -> None:
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 20)))
        inserted = data.draw(st.one_of(st.text(string.printable, max_size=5), st.sampled_from(WORDS)))
        text = text[:start] + inserted + text[end:]
    understood_or_refused(text)


leaves = st.one_of(
    st.sampled_from(WORDS[:-1]), st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), inner, max_size=6)
    ),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([*DOCUMENTS, "ClusterConfiguration"]), trees, trees), min_size=1, max_size=3))
def test_any_tree_under_a_known_kind(documents: list[tuple[str, object, object]]) -> None:
    versions = {"ClusterConfiguration": "kubeadm.k8s.io/v1beta3"}
    written = [
        {"apiVersion": versions.get(kind, "sealer.io/v2"), "kind": kind, "metadata": metadata, "spec": spec}
        for kind, metadata, spec in documents
    ]
    understood_or_refused(yaml.dump_all(written, Dumper=DUMPER, allow_unicode=True))


def trees_of(shape: object, depth: int = 0) -> st.SearchStrategy[object]:
    """Trees that mostly have the right fields, and now and then anything."""
    fields = getattr(shape, "fields", None)
    item = getattr(shape, "item", None)
    if depth > 6:
        return leaves
    if fields:
        inner = {name: trees_of(field.shape, depth + 1) for name, field in fields.items() if name not in ("kind",)}
        return st.fixed_dictionaries({}, optional=inner)
    if item:
        return st.one_of(st.lists(trees_of(item, depth + 1), max_size=3), trees_of(item, depth + 1))
    return leaves


@settings(max_examples=120, deadline=None)
@given(st.data(), st.sampled_from(sorted(DOCUMENTS)))
def test_trees_with_the_right_fields(data: st.DataObject, kind: str) -> None:
    document = data.draw(trees_of(DOCUMENTS[kind]))
    assert isinstance(document, dict)
    understood_or_refused(
        yaml.dump({**document, "apiVersion": "sealer.io/v2", "kind": kind}, Dumper=DUMPER, allow_unicode=True)
    )


@settings(max_examples=120, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes(content: bytes) -> None:
    try:
        text = decoded(content, "F")
    except InputError as error:
        assert error.problems[0].position.column
    else:
        understood_or_refused(text)


@pytest.mark.parametrize("loader", [yaml.SafeLoader, nodes._LOADER], ids=["python", "libyaml"])
def test_a_bomb_of_aliases_is_refused_at_once(loader: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "_LOADER", loader)
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(InputError, match="more than 500000 values") as caught:
        read("kind: Cluster\n" + "\n".join(lines))
    assert caught.value.problems[0].position.line == 7


def test_many_large_ranges_are_refused_before_they_are_expanded() -> None:
    ranges = ", ".join(["10.0.0.0-10.0.255.255"] + [f"10.{n}.0.0-10.{n}.255.255" for n in range(1, 200)])
    text = f"apiVersion: sealer.io/v2\nkind: Cluster\nspec: {{masters: {{ipList: ['{ranges}']}}}}\n"
    with pytest.raises(InputError, match="more than 65536 hosts"):
        read(text)


def test_what_was_read_can_be_written() -> None:
    for text in EXAMPLES:
        assert read(write(read(text)))
