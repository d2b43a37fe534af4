"""From any API version to any other: what moves, what is left out, what is refused and where."""

from __future__ import annotations

import pytest

from sealer.clusterfile.reading import read_kubeadm
from sealer.errors import InputError
from sealer.events import Json
from sealer_plugin_kubeadm.documents import ClusterNeeds, NodeNeeds, Rendered, init_documents, prepare
from sealer_plugin_kubeadm.documents.versions import KubernetesVersion

NODE = NodeNeeds("node1", "198.18.0.11", "/run/containerd/containerd.sock")


def init(text: str, kubernetes: str) -> Rendered:
    needs = ClusterNeeds(kubernetes, masters=("198.18.0.11",))
    return init_documents(prepare(read_kubeadm(text, "Clusterfile"), (), needs), NODE)


def document(result: Rendered, kind: str) -> dict[str, Json]:
    documents = result.inputs["documents"]
    assert isinstance(documents, list)
    return next(it for it in documents if isinstance(it, dict) and it["kind"] == kind)


def given(kind: str, api: int, **fields: str) -> str:
    lines = "".join(f"{name.replace('__', ': {')}: {value}{'}' * name.count('__')}\n" for name, value in fields.items())
    return f"apiVersion: kubeadm.k8s.io/v1beta{api}\nkind: {kind}\n{lines}"


@pytest.mark.parametrize(
    ("kubernetes", "api"),
    [
        ("v1.13.0", 1),
        ("v1.14.10", 1),
        ("1.15.0", 2),
        ("v1.20.2", 2),
        ("v1.21.14", 2),
        ("v1.22.0", 3),
        ("v1.26.1", 3),
        ("v1.27.0", 3),
        ("v1.30.4", 3),
        ("v1.31.0-rc.1", 4),
        ("v1.35.0", 4),
        ("v1.40.0", 4),
    ],
)
def test_sealer_writes_the_newest_api_that_kubeadm_reads(kubernetes: str, api: int) -> None:
    assert KubernetesVersion.parse(kubernetes).api_version == f"kubeadm.k8s.io/v1beta{api}"


@pytest.mark.parametrize("kubernetes", ["", "1.20", "v2.0.0", "stable-1", "v1.12.9", "v1.20.2 x", "v1.٢.0"])
def test_what_is_no_version_that_kubeadm_has_an_api_for_is_refused(kubernetes: str) -> None:
    with pytest.raises(InputError):
        KubernetesVersion.parse(kubernetes)


def test_the_time_for_the_control_plane_moves_both_ways() -> None:
    old = given("ClusterConfiguration", 2, apiServer__timeoutForControlPlane="9m0s")
    new = given("InitConfiguration", 4, timeouts__controlPlaneComponentHealthCheck="9m0s")
    for text in (old, new):
        assert document(init(text, "v1.20.2"), "ClusterConfiguration")["apiServer"]["timeoutForControlPlane"] == "9m0s"  # type: ignore[index, call-overload]
        after = document(init(text, "v1.31.0"), "InitConfiguration")
        assert after["timeouts"] == {"controlPlaneComponentHealthCheck": "9m0s"}


def test_the_key_algorithm_is_a_feature_gate_before_v1beta4() -> None:
    old = given("ClusterConfiguration", 3, featureGates__PublicKeysECDSA="true")
    new = given("ClusterConfiguration", 4, encryptionAlgorithm="ECDSA-P256")
    for text in (old, new):
        assert document(init(text, "v1.20.2"), "ClusterConfiguration")["featureGates"] == {"PublicKeysECDSA": True}
        after = document(init(text, "v1.31.0"), "ClusterConfiguration")
        assert after["encryptionAlgorithm"] == "ECDSA-P256" and "featureGates" not in after


def test_an_addon_that_is_disabled_is_a_phase_that_is_skipped() -> None:
    text = given("ClusterConfiguration", 4, proxy__disabled="true", dns__disabled="true")
    assert init(text, "v1.20.2").arguments == ("--skip-phases=addon/coredns,addon/kube-proxy",)
    assert document(init(text, "v1.28.0"), "InitConfiguration")["skipPhases"] == ["addon/coredns", "addon/kube-proxy"]
    assert document(init(text, "v1.31.0"), "ClusterConfiguration")["proxy"] == {"disabled": True}


def test_patches_are_an_argument_where_the_documents_have_no_field_for_them() -> None:
    text = given("InitConfiguration", 3, patches__directory="/etc/patches")
    assert init(text, "v1.20.2").arguments == ("--experimental-patches=/etc/patches",)
    assert init(text, "v1.28.0").arguments == ()
    with pytest.raises(InputError, match=r"InitConfiguration.patches.directory: cannot be converted"):
        init(text, "v1.18.0")


def test_a_flag_without_a_value_and_one_given_twice_stay_so_in_v1beta4() -> None:
    args = "apiServer: {extraArgs: [{name: a, value: b}, {name: c}, {name: a, value: d}]}\n"
    text = given("ClusterConfiguration", 4) + args
    cluster = document(init(text, "v1.31.0"), "ClusterConfiguration")["apiServer"]
    assert isinstance(cluster, dict)
    assert [flag for flag in cluster["extraArgs"] if len(flag["name"]) == 1] == [
        {"name": "a", "value": "b"}, {"name": "a", "value": "d"}, {"name": "c", "value": ""},
    ]  # fmt: skip


REFUSED = [
    (4, "v1.20.2", "InitConfiguration", "timeouts: {kubeletHealthCheck: 5m}", "timeouts.kubeletHealthCheck", 3, 12),
    (4, "v1.28.0", "JoinConfiguration", "timeouts: {tlsBootstrap: 5m}", "timeouts.tlsBootstrap", 3, 12),
    (4, "v1.30.0", "ClusterConfiguration", "certificateValidityPeriod: 10h", "certificateValidityPeriod", 3, 1),
    (4, "v1.30.0", "ClusterConfiguration", "encryptionAlgorithm: RSA-4096", "encryptionAlgorithm", 3, 1),
    (4, "v1.18.0", "ClusterConfiguration", "encryptionAlgorithm: ECDSA-P256", "encryptionAlgorithm", 3, 1),
    (4, "v1.33.0", "ClusterConfiguration", "encryptionAlgorithm: ECDSA-P384", "encryptionAlgorithm", 3, 1),
    (
        4,
        "v1.34.0",
        "ClusterConfiguration",
        "etcd: {external: {httpEndpoints: [a]}}",
        "etcd.external.httpEndpoints",
        3,
        19,
    ),
    (
        4,
        "v1.30.0",
        "ClusterConfiguration",
        "scheduler: {extraEnvs: [{name: A, value: b}]}",
        "scheduler.extraEnvs",
        3,
        13,
    ),
    (
        4,
        "v1.30.0",
        "ClusterConfiguration",
        "scheduler: {extraArgs: [{name: a, value: b}, {name: a, value: c}]}",
        "scheduler.extraArgs.a",
        3,
        13,
    ),
    (
        4,
        "v1.30.0",
        "JoinConfiguration",
        "nodeRegistration: {imagePullSerial: false}",
        "nodeRegistration.imagePullSerial",
        3,
        20,
    ),
    (
        3,
        "v1.20.2",
        "InitConfiguration",
        "nodeRegistration: {imagePullPolicy: Never}",
        "nodeRegistration.imagePullPolicy",
        3,
        20,
    ),
    (2, "v1.22.0", "ClusterConfiguration", "dns: {type: kube-dns}", "dns.type", 3, 7),
    (1, "v1.31.0", "ClusterConfiguration", "useHyperKubeImage: true", "useHyperKubeImage", 3, 1),
]


@pytest.mark.parametrize(("api", "kubernetes", "kind", "text", "path", "line", "column"), REFUSED)
def test_what_cannot_be_converted_is_named_with_its_place(
    api: int, kubernetes: str, kind: str, text: str, path: str, line: int, column: int
) -> None:
    with pytest.raises(InputError) as caught:
        init(given(kind, api) + text + "\n", kubernetes)
    (problem,) = caught.value.problems
    assert str(problem).startswith(f"Clusterfile:{line}:{column}: {kind}.{path}: ")
    assert "cannot be converted" in problem.message or "it came with Kubernetes v1.3" in problem.message


def test_one_time_for_all_masters_is_told_at_the_document_that_has_another() -> None:
    first = given("ClusterConfiguration", 3, apiServer__timeoutForControlPlane="9m0s")
    other = given("JoinConfiguration", 4, timeouts__controlPlaneComponentHealthCheck="8m0s")
    with pytest.raises(InputError, match=r"Clusterfile:7:12: JoinConfiguration.timeouts.controlPlane"):
        init(f"{first}---\n{other}", "v1.20.2")
    init(f"{first}---\n{other}", "v1.31.0")
