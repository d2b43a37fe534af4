"""There and back again: what both API versions can say comes back as it was."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sealer.clusterfile.model import KubeadmDocument
from sealer.clusterfile.reading import read_kubeadm
from sealer.errors import InputError
from sealer.events import Json
from sealer_plugin_kubeadm.documents import (
    ClusterNeeds,
    KubernetesVersion,
    NodeNeeds,
    components,
    init_documents,
    join_documents,
    prepare,
)
from sealer_plugin_kubeadm.documents.conversion import lifted, lowered
from sealer_plugin_kubeadm.documents.fields import KUBE_PROXY, KUBEADM, KUBELET, STRUCTS, Struct
from sealer_plugin_kubeadm.documents.findings import Findings
from sealer_plugin_kubeadm.documents.reading import read_document
from sealer_plugin_kubeadm.documents.trees import CLUSTER, INIT, JOIN, Trees, merged, put
from sealer_plugin_kubeadm.documents.writing import as_written

KUBERNETES = {1: "v1.14.0", 2: "v1.20.2", 3: "v1.28.0", 4: "v1.35.0"}
KINDS = (INIT, CLUSTER, JOIN)
ALL_NAMES = {name for table in (STRUCTS, components.STRUCTS) for struct in table.values() for name in struct}
WORDS = st.text("abcXYZ019.:/-_ ", min_size=1, max_size=8)
NAMES = st.text("abcxyz-", min_size=1, max_size=6).filter(lambda name: not name.startswith("-"))
DURATIONS = st.sampled_from(["0", "5m0s", "1h30m", "1.5h", "300ms"])
# Fields with a closed set of words.
CHOSEN = {"effect": ("NoSchedule", "NoExecute"), "imagePullPolicy": ("Always", "Never"), "type": ("CoreDNS",),
          "encryptionAlgorithm": ("RSA-4096", "ECDSA-P256")}  # fmt: skip
DECIDED = {
    "advertiseAddress", "bindPort", "bootstrapToken", "caCertPath", "certificateKey", "certificatesDir",
    "controlPlaneEndpoint", "dryRun", "external", "file", "ignorePreflightErrors", "kubernetesVersion", "podSubnet",
    "serviceSubnet", "skipPhases", "tlsBootstrapToken",
}  # fmt: skip
MOVED = {"timeoutForControlPlane", "timeout"}  # given where a version has them, and moved by the other


def values(kind: str, name: str, versions: tuple[int, int]) -> st.SearchStrategy[Json]:
    if name in CHOSEN:
        return st.sampled_from(CHOSEN[name])
    if kind == "args":
        pairs = st.dictionaries(NAMES, WORDS, max_size=3)
        if versions[0] < 4:
            return pairs  # type: ignore[return-value]  # texts are JSON
        return pairs.map(lambda it: [{"name": flag, "value": it[flag]} for flag in sorted(it)])
    if kind in ("[Volume]", "[Variable]"):
        item = structs(STRUCTS[kind[1:-1]], versions)
        named = st.dictionaries(NAMES, item, max_size=2)
        return named.map(lambda it: [{**it[key], "name": key} for key in it])
    if kind.startswith("["):
        return st.lists(values(kind[1:-1], "", versions), max_size=2)  # type: ignore[return-value]
    if kind.startswith("{"):
        return st.dictionaries(NAMES, values(kind[1:-1], "", versions), max_size=2)  # type: ignore[return-value]
    if kind in STRUCTS:
        return structs(STRUCTS[kind], versions)  # type: ignore[return-value]
    plain: dict[str, st.SearchStrategy[Json]] = {
        "text": WORDS, "whole": st.integers(0, 2**31), "flag": st.booleans(), "duration": DURATIONS,
        "anything": WORDS,
    }  # type: ignore[dict-item]  # fmt: skip
    return plain[kind]


def structs(struct: Struct, versions: tuple[int, int]) -> st.SearchStrategy[dict[str, Json]]:
    both = {
        name: values(field.type, name, versions)
        for name, field in struct.items()
        if all(field.in_version(version) for version in versions) or (name in MOVED and field.in_version(versions[0]))
    }
    return st.fixed_dictionaries({}, optional=both)


@st.composite
def documents(draw: st.DrawFn) -> tuple[int, int, dict[str, dict[str, Json]]]:
    versions = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    return (*versions, {kind: draw(structs(STRUCTS[kind], versions)) for kind in KINDS})


def read(contents: dict[str, dict[str, Json]], api: int) -> Trees:
    findings = Findings()
    layers = []
    for kind, content in contents.items():
        document = KubeadmDocument(f"kubeadm.k8s.io/v1beta{api}", kind, content)
        tree = read_document(document, KubernetesVersion.parse(KUBERNETES[api]), findings)
        assert tree is not None
        layers.append(lifted(kind, tree))
    findings.finish()
    return merged(*layers)


def write(trees: Trees, api: int) -> dict[str, dict[str, Json]]:
    def refuse(kind: str, path: str, message: str) -> None:
        raise AssertionError(f"{kind}.{path}: {message}")

    result = lowered(trees, KubernetesVersion.parse(KUBERNETES[api]), refuse)
    assert not result.arguments
    return {
        kind: {name: it for name, it in as_written(kind, tree, api).items() if name not in ("apiVersion", "kind")}
        for kind, tree in result.trees.items()
    }


def filled(value: Json) -> Json:
    """Without mappings that have nothing in them: they say nothing."""
    if isinstance(value, dict):
        inner = {name: filled(item) for name, item in value.items()}
        return {name: item for name, item in inner.items() if item != {}}
    return [filled(item) for item in value] if isinstance(value, list) else value


def pruned(content: dict[str, Json], path: str) -> dict[str, Json]:
    """Without what sealer alone decides, and words that have to be some of a few: they would be refused each time."""
    return {
        name: pruned(value, f"{path}.{name}") if isinstance(value, dict) else value
        for name, value in content.items()
        if name not in DECIDED and not f"{path}.{name}".endswith(".nodeRegistration.name")
    }


@st.composite
def wishes(draw: st.DrawFn) -> tuple[list[KubeadmDocument], str]:
    """Documents of any versions, each right by itself, and a version of Kubernetes."""
    found = []
    for _ in range(draw(st.integers(0, 3))):
        api, kind = draw(st.integers(1, 4)), draw(st.sampled_from(KINDS))
        content = pruned(draw(structs(STRUCTS[kind], (api, api))), kind)
        found.append(KubeadmDocument(f"kubeadm.k8s.io/v1beta{api}", kind, content))
    return found, draw(st.sampled_from([*KUBERNETES.values(), "v1.18.0", "v1.22.0"]))


@given(wishes())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_what_is_found_right_is_written_right(drawn: tuple[list[KubeadmDocument], str]) -> None:
    """Whatever is not refused becomes documents that the target's own tables have nothing against."""
    found, kubernetes = drawn
    try:
        prepared = prepare(found, (), ClusterNeeds(kubernetes, masters=("198.18.0.11",), validity="10h"))
    except InputError as error:
        assert error.problems
        return
    node = NodeNeeds("node1", "198.18.0.11", "/run/containerd/containerd.sock")
    texts = [init_documents(prepared, node).text]
    texts += [join_documents(prepared, node, "/discovery.conf", master=master).text for master in (True, False)]
    for text in texts:
        findings = Findings()
        for document in read_kubeadm(text, "written"):
            assert read_document(document, prepared.kubernetes, findings) is not None
            assert document.api_version in (prepared.kubernetes.api_version, KUBELET, KUBE_PROXY)
        findings.finish()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(ALL_NAMES)), inner, max_size=4),
    max_leaves=8,
)


@given(st.sampled_from(sorted(components.STRUCTS.keys() | STRUCTS.keys())), st.integers(1, 4), JSON)
def test_no_content_is_too_odd_to_be_refused(kind: str, api: int, content: Json) -> None:
    version = {"KubeletConfiguration": KUBELET, "KubeProxyConfiguration": KUBE_PROXY}.get(
        kind, f"{KUBEADM}/v1beta{api}"
    )
    document = KubeadmDocument(version, kind, content if isinstance(content, dict) else {"etcd": content})
    for minor in (14, 20, 32, 40):
        try:
            prepare([document], [document], ClusterNeeds(f"v1.{minor}.0", masters=("198.18.0.11",)))
        except InputError as error:
            assert error.problems


@given(documents())
def test_there_and_back_is_as_it_was(drawn: tuple[int, int, dict[str, dict[str, Json]]]) -> None:
    here, there, contents = drawn
    if here == 4 and there < 4:  # times that both have, at other places
        for kind in (INIT, JOIN):
            put(contents[kind], "timeouts.controlPlaneComponentHealthCheck", "5m0s")
        put(contents[JOIN], "timeouts.discovery", "1m0s")
    before = write(read(contents, here), here)
    after = write(read(write(read(contents, here), there), there), here)
    assert filled(after) == filled(before)  # type: ignore[arg-type]  # mappings of JSON are JSON
