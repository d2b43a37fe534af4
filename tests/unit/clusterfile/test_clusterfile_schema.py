"""The JSON Schema: valid, and of one mind with the reader."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sealer.clusterfile import nodes
from sealer.clusterfile.free_values import Anything
from sealer.clusterfile.indentation import lifted
from sealer.clusterfile.reading import read
from sealer.clusterfile.report import Report
from sealer.clusterfile.schema import schema
from sealer.clusterfile.tables import DOCUMENTS
from sealer.clusterfile.writing import write
from sealer.errors import InputError
from sealer.events import Json

jsonschema = pytest.importorskip("jsonschema")

EXAMPLES = sorted((Path(__file__).parents[2] / "data" / "clusterfiles").glob("*.yaml"))
VALIDATOR = jsonschema.Draft202012Validator(schema())
ALL_FIELDS = """
apiVersion: sealer.io/v2
kind: Cluster
metadata: {name: all, labels: {a: b}, annotations: {a: b}}
spec:
  image: kubernetes:v1.19.8
  env: {A: b, C: [d, 1], E: true}
  ssh: {user: root, passwd: 123, pk: /root/key, pkPasswd: x, port: 22, authorizeKey: true}
  hosts:
    - ips: [10.0.0.1, 10.0.0.2:23]
      roles: [master, gpu]
      env: [A=b]
      ssh: {user: admin, port: "2222"}
      labels: {a: b, c: }
      taints: ["a=b:NoSchedule"]
    - {ips: 10.0.0.3-10.0.0.4, roles: node, env: , labels: , taints: , ssh: }
  provider: BAREMETAL
  runtime: {name: k3s, channel: stable}
  transport: ssh
  registry:
    driver: {name: registry, size: 3}
    localRegistry: {domain: sea.hub, port: 5000, username: a, password: b, ha: true, insecure: false,
                    cert: {subjectAltName: {dnsNames: [a.b], ips: [10.0.0.1]}}}
    externalRegistry: {domain: a.b, port: 443, username: a, password: b}
  network: {podCIDR: 100.64.0.0/10, svcCIDR: 10.96.0.0/22}
  certSANS: [a.b]
  containerRuntime: {type: docker}
  hostAliases: [{ip: 10.0.0.9, hostnames: [a.b]}]
  dataRoot: /data
  cmd: [kubectl get nodes]
  cmd_args: {A: b}
---
apiVersion: sealer.io/v1
kind: Plugin
metadata: {name: p}
spec: {type: SHELL, action: PreInit|PostInstall, "on": master, data: "true"}
---
apiVersion: sealer.cloud/v2
kind: Config
metadata: {name: c}
spec: {path: a.yaml, data: {a: [1, b]}, strategy: merge, process: value|toBase64}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
maxPods: 110
"""
BY_COUNT = """
apiVersion: sealer.aliyun.com/v1alpha1
kind: Cluster
spec:
  provider: {name: ALI_CLOUD}
  masters: {count: "3", cpu: 4, memory: "8", systemDisk: 100, dataDisks: [100, 10Gi], ipList: }
  nodes: {count: 2}
---
apiVersion: sealer.io/v2
kind: Infra
spec:
  hosts: [{count: 1, role: master, dataDisk: 10}, {count: 1, roles: [node], memory: 512Mi}]
"""


ONE: Json = {"ips": ["10.0.0.1"], "roles": ["master"]}


def as_json(text: str) -> list[Json]:
    """The documents as an editor sees them: YAML 1.2, where `on` is text."""
    report = Report("F")
    values = [Anything().read(root, "", report) for root in nodes.documents(text, report)]
    return [value.content for value in values if value is not None]  # type: ignore[misc]  # the shape made JSON of it


def complaints(document: Json) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(document)]


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("text", [ALL_FIELDS, BY_COUNT], ids=["all-fields", "by-count"])
def test_documents_with_every_field(text: str) -> None:
    assert read(text).cluster is not None
    assert [complaints(document) for document in as_json(text)] == [[] for _ in as_json(text)]
    assert [complaints(document) for document in as_json(write(read(text)))] == [[] for _ in as_json(write(read(text)))]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_examples(path: Path) -> None:
    documents = as_json(path.read_text())
    expected: list[bool] = [True] * len(documents)
    if path.name == "image-plugins-shell.yaml":
        expected[0] = False  # its children are not indented: the reader lifts them, a schema cannot
    assert [not complaints(document) for document in documents] == expected


def test_lifted_children_fit() -> None:
    report = Report("F")
    text = next(path for path in EXAMPLES if path.name == "image-plugins-shell.yaml").read_text()
    root = next(iter(nodes.documents(text, report)))
    assert isinstance(root, nodes.Entries)
    value = Anything().read(lifted(root, DOCUMENTS["Plugin"], report), "", report)
    assert value is not None
    assert complaints(value.content) == []  # type: ignore[arg-type]  # the shape made JSON of it


def places(value: Json, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of every mapping."""
    if isinstance(value, dict):
        yield path
        for key, item in value.items():
            yield from places(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(item, (*path, index))


def with_field(value: Json, path: tuple[str | int, ...], name: str) -> Json:
    """A copy with another field at `path`."""
    if isinstance(value, dict):
        if not path:
            return {**value, name: "x"}
        return {key: with_field(item, path[1:], name) if key == path[0] else item for key, item in value.items()}
    assert isinstance(value, list)
    return [with_field(item, path[1:], name) if index == path[0] else item for index, item in enumerate(value)]


def refused(document: Json) -> bool:
    import json

    try:
        read(json.dumps(document), recorded=True)
    except InputError:
        return True
    return False


CASES = [
    (text, number, path)
    for text in (ALL_FIELDS, BY_COUNT)
    for number, document in enumerate(as_json(text))
    for path in places(document)
]


@pytest.mark.parametrize(
    ("text", "number", "path"), CASES, ids=[f"{number}-{'.'.join(map(str, path))}" for _, number, path in CASES]
)
def test_reader_and_schema_agree_on_unknown_fields(text: str, number: int, path: tuple[str | int, ...]) -> None:
    document = as_json(text)[number]
    assert not refused(document)
    mutated = with_field(document, path, "unheard")
    assert refused(mutated) == bool(complaints(mutated))


@pytest.mark.parametrize(
    "document",
    [
        {"kind": "Cluster", "apiVersion": "sealer.io/v9", "spec": {}},
        {"kind": "Clutser", "apiVersion": "sealer.io/v2", "spec": {}},
        {"kind": "Cluster", "spec": {}},
        {"kind": "Cluster", "apiVersion": "sealer.io/v2"},
        {"kind": "Plugin", "apiVersion": "sealer.io/v2", "spec": {"type": "A"}},
        {"kind": "Plugin", "apiVersion": "sealer.io/v2", "metadata": {"name": "a/b"}, "spec": {"type": "A"}},
        {"kind": "Cluster", "apiVersion": "sealer.io/v2", "spec": {"image": 1.2}},
        {"kind": "Cluster", "apiVersion": "sealer.io/v2", "spec": {"ssh": {"port": 70000}}},
        {"kind": "Cluster", "apiVersion": "sealer.io/v2", "spec": {"hosts": {"ips": []}}},
        {"kind": "Cluster", "apiVersion": "sealer.io/v2", "spec": {"hosts": [ONE], "masters": {"ipList": ["1.2.3.4"]}}},
        {"kind": "Cluster", "apiVersion": "sealer.io/v2", "metadata": {"name": "A"}, "spec": {}},
        {"kind": "KubeletConfiguration", "apiVersion": "kubeadm.k8s.io/v1beta3"},
        {"kind": "Config", "apiVersion": "sealer.io/v2", "metadata": {"name": "a"}, "spec": {"path": "a"}},
    ],
)  # fmt: skip
def test_both_refuse(document: Json) -> None:
    assert refused(document)
    assert complaints(document)


def test_types_of_installed_plugins_are_proposed() -> None:
    made = schema(["SHELL", "HOSTNAME"])
    jsonschema.Draft202012Validator.check_schema(made)
    assert "'enum': ['HOSTNAME', 'SHELL']" in str(made)
    validator = jsonschema.Draft202012Validator(made)
    assert all(validator.is_valid(document) for document in as_json(ALL_FIELDS))
