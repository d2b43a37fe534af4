"""Mistakes in documents: named with the place, the field, and the nearest right name."""

from __future__ import annotations

import pytest

from sealer.clusterfile.model import KubeadmDocument
from sealer.clusterfile.reading import read_kubeadm
from sealer.errors import InputError, Position
from sealer_plugin_kubeadm.documents import ClusterNeeds, Prepared, prepare

CLUSTER, INIT, JOIN = "ClusterConfiguration", "InitConfiguration", "JoinConfiguration"
KUBELET, PROXY = "KubeletConfiguration", "KubeProxyConfiguration"
VERSIONS = {KUBELET: "kubelet.config.k8s.io/v1beta1", PROXY: "kubeproxy.config.k8s.io/v1alpha1"}


def prepared(kind: str, text: str, api: str = "v1beta2", kubernetes: str = "v1.20.2") -> Prepared:
    head = f"apiVersion: {VERSIONS.get(kind, f'kubeadm.k8s.io/{api}')}\nkind: {kind}\n"
    needs = ClusterNeeds(kubernetes, masters=("198.18.0.11",))
    return prepare(read_kubeadm(f"{head}{text}\n", "my.yml"), (), needs)


MISTAKES = [
    (
        CLUSTER,
        "networking: {podSubnett: 10.244.0.0/16}",
        "3:14: networking.podSubnett: unknown field; did you mean 'podSubnet'?",
    ),
    (CLUSTER, "apiserver: {}", "3:1: apiserver: unknown field; did you mean 'apiServer'?"),
    (CLUSTER, "xyzzy: 1", "3:1: xyzzy: unknown field"),
    (CLUSTER, "clusterName: 7", "3:1: clusterName: a text (in quotes) is needed, not a number"),
    (CLUSTER, "clusterName: [a]", "3:1: clusterName: a text is needed, not a list"),
    (CLUSTER, "etcd: x", "3:1: etcd: a mapping is needed, not a text"),
    (CLUSTER, "apiServer: {certSANs: a}", "3:13: apiServer.certSANs: a list is needed, not a text"),
    (CLUSTER, "apiServer: {certSANs: [a, null]}", "3:27: apiServer.certSANs[1]: nothing stands here"),
    (
        CLUSTER,
        "apiServer: {timeoutForControlPlane: 5}",
        "3:13: apiServer.timeoutForControlPlane: a duration such as 5m0s is needed, not a number",
    ),
    (
        CLUSTER,
        "apiServer: {extraArgs: [{name: a, value: b}]}",
        "3:13: apiServer.extraArgs: a mapping of flags (a list only from v1beta4 on, this is v1beta2) "
        "is needed, not a list",
    ),
    (
        CLUSTER,
        "apiServer: {extraArgs: {--v: a}}",
        "3:25: apiServer.extraArgs.--v: a flag's name without dashes before it is needed, not '--v'",
    ),
    (
        CLUSTER,
        "apiServer: {extraVolumes: [{hostPath: /a}]}",
        "3:28: apiServer.extraVolumes[0]: the field 'name' is missing",
    ),
    (
        CLUSTER,
        "scheduler: {extraVolumes: [{name: a}, {name: a}]}",
        "3:39: scheduler.extraVolumes[1]: the name 'a' is given twice",
    ),
    (CLUSTER, "featureGates: {A: 'true'}", "3:16: featureGates.A: true or false is needed, not a text"),
    (
        CLUSTER,
        "dns: {type: coredns}",
        "3:7: dns.type: it is one of CoreDNS, kube-dns, not 'coredns'; did you mean 'CoreDNS'?",
    ),
    (
        CLUSTER,
        "etcd: {local: {dataDir: /a}, external: {endpoints: [a]}}",
        "3:1: etcd: local and external exclude each other",
    ),
    (
        INIT,
        "skipPhases: [preflight]",
        "3:1: skipPhases: v1beta2 does not have this field; write apiVersion: kubeadm.k8s.io/v1beta3, "
        "sealer converts it",
    ),
    (
        KUBELET,
        "evictionMaxPodGracePeriod: '30'",
        "3:1: evictionMaxPodGracePeriod: a whole number is needed, not a text",
    ),
    (
        JOIN,
        "nodeRegistration: {taints: [{key: a, effect: Noschedule}]}",
        "3:38: nodeRegistration.taints[0].effect: it is one of NoSchedule, PreferNoSchedule, NoExecute, "
        "not 'Noschedule'; did you mean 'NoSchedule'?",
    ),
    (KUBELET, "maxpods: 3", "3:1: maxpods: unknown field; did you mean 'maxPods'?"),
    (
        KUBELET,
        "memorySwap: {swapBehavior: LimitedSwap}",
        "3:1: memorySwap: Kubernetes v1.20 does not have this field yet",
    ),
    (
        KUBELET,
        "cgroupDriver: Systemd",
        "3:1: cgroupDriver: it is one of systemd, cgroupfs, not 'Systemd'; did you mean 'systemd'?",
    ),
    (
        PROXY,
        "mode: ipvz",
        "3:1: mode: it is one of iptables, ipvs, nftables, userspace, not 'ipvz'; did you mean 'ipvs'?",
    ),
    (PROXY, "mode: nftables", "3:1: mode: kube-proxy of Kubernetes v1.20.2 does not have nftables"),
]


@pytest.mark.parametrize(("kind", "text", "message"), MISTAKES)
def test_a_mistake_is_named(kind: str, text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        prepared(kind, text)
    place, _, rest = message.partition(" ")
    assert [str(problem) for problem in caught.value.problems] == [f"my.yml:{place} {kind}.{rest}"]


def test_a_field_that_is_gone_says_until_when_it_was_there() -> None:
    with pytest.raises(InputError, match="v1beta3 does not have this field any more; v1beta2 was the last"):
        prepared(CLUSTER, "useHyperKubeImage: false", "v1beta3")


def test_in_v1beta4_flags_are_a_list() -> None:
    with pytest.raises(InputError, match="a list of flags, each with name and value"):
        prepared(CLUSTER, "scheduler: {extraArgs: {v: '4'}}", "v1beta4")
    with pytest.raises(InputError, match=r"extraArgs\[0\]: a flag has a name and a value"):
        prepared(CLUSTER, "scheduler: {extraArgs: [v]}", "v1beta4")
    with pytest.raises(InputError, match=r"extraArgs\[0\].values: unknown field"):
        prepared(CLUSTER, "scheduler: {extraArgs: [{name: v, values: a}]}", "v1beta4")


@pytest.mark.parametrize("api", ["v1beta5", "v1alpha3", "v1"])
def test_an_api_version_that_is_not_known_is_refused(api: str) -> None:
    with pytest.raises(
        InputError, match=rf"'kubeadm.k8s.io/{api}' is not known; sealer knows kubeadm.k8s.io/v1beta1 to"
    ):
        prepared(CLUSTER, "", api)
    with pytest.raises(InputError, match=r"it is kubelet\.config\.k8s\.io/v1beta1"):
        prepare(
            [KubeadmDocument(f"kubelet.config.k8s.io/{api}", KUBELET, {})], (), ClusterNeeds("v1.20.2", ("198.18.0.1",))
        )


@pytest.mark.parametrize("kind", ["ResetConfiguration", "UpgradeConfiguration", "ClusterStatus"])
def test_documents_that_nothing_reads_are_refused(kind: str) -> None:
    document = KubeadmDocument("kubeadm.k8s.io/v1beta2", kind, {}, Position("my.yml", 1, 1))
    with pytest.raises(InputError, match=f"my.yml:1:1: {kind}: .*leave this document out"):
        prepare([document], (), ClusterNeeds("v1.20.2", masters=("198.18.0.11",)))


def test_a_kubernetes_newer_than_the_tables_is_told_of_fields_that_they_lack() -> None:
    (warning,) = prepared(KUBELET, "xyzzy: 1", kubernetes="v1.36.0").warnings
    assert str(warning).startswith("my.yml:3:1: KubeletConfiguration.xyzzy: sealer does not know this field")
    with pytest.raises(InputError, match="did you mean 'maxPods'"):
        prepared(KUBELET, "maxPodz: 1", kubernetes="v1.36.0")


def test_all_mistakes_are_told_at_once_and_in_order() -> None:
    with pytest.raises(InputError) as caught:
        prepared(CLUSTER, "networking: {podSubnet: a}\nclusterName: 7\nzzz: 1")
    assert [problem.position.line for problem in caught.value.problems] == [3, 4, 5]
    assert str(caught.value) == "3 mistakes in kubeadm's documents"


def test_a_wrong_value_is_not_shown_where_a_token_may_stand() -> None:
    with pytest.raises(InputError) as caught:
        prepared(INIT, "bootstrapTokens: [{ttl: abcdef.0123456789abcdef}]")
    assert "0123456789abcdef" not in str(caught.value)
